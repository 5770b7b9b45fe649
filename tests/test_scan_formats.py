"""Names of the formats of scans, and files that are none of them, each named for what it is."""

import gzip
import re

import numpy as np
import pytest

from brats_unet.errors import DataError
from brats_unet.scan_files import read_header, read_mask, read_scan
from brats_unet.scan_formats import foreign, is_scan, stem, suffix_of
from brats_unet.volume import ImageFile

DICOM = bytes(128) + b"DICM" + bytes(600)
# First bytes of a file saved under the name of a scan, and the sentence about it.
FOREIGN = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 2345678\n": (
        "is a Git LFS pointer, not the scan itself. Fetch the scans: git lfs pull."
    ),
    b"/annex/objects/SHA256E-s23--45.nii.gz\n": (
        "is a git-annex pointer, not the scan itself. Fetch the scans: datalad get, or git annex get."
    ),
    b"\n<!DOCTYPE html><html><title>Sign in</title>" * 20: (
        "is a web page, not a scan. Download it again, signed in if the site asks for it."
    ),
    b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>': (
        "is a web page, not a scan. Download it again, signed in if the site asks for it."
    ),
    DICOM: "is DICOM. Convert the series with dcm2niix: dcm2niix -z y FOLDER.",
    b"\x89HDF\r\n\x1a\n" + bytes(600): "is HDF5. Convert the arrays with nibabel: nibabel.save(",
    b"\x93NUMPY\x01\x00" + bytes(600): "is a NumPy array. Convert the arrays with nibabel: nibabel.save(",
    b"PK\x03\x04" + bytes(600): "is an archive. Unpack it first.",
    b"\x89PNG\r\n\x1a\n" + bytes(600): "is a picture.",
    b"ObjectType = Image\nNDims = 3\n" * 30: "is a MetaImage file. Rename it: its name must end in .mha.",
    b"NRRD0005\ntype: short\n" * 30: "is an NRRD file. Rename it: its name must end in .nrrd.",
}


@pytest.mark.parametrize("name", ["case_t1.nii.gz", "case_t1.nii", "case_t1.mgz"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("content", "sentence"), FOREIGN.items(), ids=[text[:24] for text in FOREIGN.values()])
def test_a_file_that_is_no_scan_is_named_for_what_it_is(tmp_path, name, packed, content, sentence):
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if packed else content)
    for read in (read_mask, lambda p: read_scan(ImageFile(p)), lambda p: read_header(ImageFile(p))):
        with pytest.raises(DataError, match=re.escape(f"{path}: {sentence}")):
            read(path)


def test_a_file_packed_twice_says_how_to_unpack_it(tmp_path):
    path = tmp_path / "case_t1.nii.gz"
    path.write_bytes(gzip.compress(gzip.compress(bytes(352))))
    with pytest.raises(DataError, match=r"is packed with gzip twice\. Unpack it once: gunzip -c FILE > NEW"):
        read_scan(ImageFile(path))


@pytest.mark.parametrize("name", ["case_t1.mha", "case_t1.mhd", "case_t1.nrrd", "case_t1.nhdr"])
def test_a_pointer_named_like_an_itk_file_is_named_too(tmp_path, name):
    pytest.importorskip("SimpleITK")
    (tmp_path / name).write_bytes(next(iter(FOREIGN)))
    with pytest.raises(DataError, match="is a Git LFS pointer"):
        read_scan(ImageFile(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "one"),
    [("a.h5", "HDF5"), ("a.npy", "a NumPy array"), ("a.zip", "an archive"), ("a.hdr", "an Analyze or NIfTI pair")],
)
def test_an_empty_file_is_judged_by_its_name(tmp_path, name, one):
    (tmp_path / name).touch()
    assert foreign(tmp_path / name).one == one


def test_what_is_unknown_is_not_guessed(tmp_path):
    (tmp_path / "notes.txt").write_text("words")
    assert foreign(tmp_path / "notes.txt") is None and foreign(tmp_path / "missing") is None
    np.save(tmp_path / "array.npy", np.zeros(3))
    assert foreign(tmp_path / "array.npy").many == "NumPy arrays"


@pytest.mark.parametrize(
    ("name", "expected", "suffix"),
    [
        ("a.nii.gz", "a", ".nii.gz"),
        ("a.nii", "a", ".nii"),
        ("a.b.NII.GZ", "a.b", ".nii.gz"),
        ("BraTS20_355_t1.nii", "BraTS20_355_t1", ".nii"),
        ("VSD.Brain.XX.O.MR_T1.54513.mha", "VSD.Brain.XX.O.MR_T1.54513", ".mha"),
        ("norm.MGZ", "norm", ".mgz"),
        ("a.csv", "a", ""),
    ],
)
def test_stem_removes_the_whole_suffix(tmp_path, name, expected, suffix):
    assert (stem(tmp_path / name), suffix_of(tmp_path / name)) == (expected, suffix)


def test_shadow_files_of_macos_are_no_scans(tmp_path):
    assert is_scan(tmp_path / "a.nii.gz") and is_scan(tmp_path / "A.NII") and is_scan(tmp_path / "a.nrrd")
    assert not is_scan(tmp_path / "._a.nii.gz") and not is_scan(tmp_path / "a.gz") and not is_scan(tmp_path / "nii")
