"""MetaImage and NRRD files: the same voxels at the same places as in NIfTI, on an oblique grid with uneven spacing."""

import sys

import numpy as np
import pytest

from brats_unet import nifti
from brats_unet.data.prepare.content_hash import file_hash
from brats_unet.errors import DataError, MachineError
from brats_unet.scan_files import (
    files_in,
    mask_suffix,
    read_array,
    read_header,
    read_mask,
    read_scan,
    stamp,
    write_like,
)
from brats_unet.sitk_files import write_volume
from brats_unet.volume import ImageFile, Volume
from tests.changed_bytes import each_byte_changed

sitk = pytest.importorskip("SimpleITK")


def oblique():
    """An affine with axes turned about all three world axes, spacing 0.5 × 1.25 × 3 mm, and an origin."""
    a, b, c = 0.3, -0.2, 0.15
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = (x @ y @ z) * np.array([0.5, 1.25, 3.0])
    affine[:3, 3] = (-12.5, 30.25, 7)
    return affine


SCAN = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def by_simpleitk(folder, ending, compress=False):
    """Write `SCAN` with SimpleITK alone, from a NIfTI file that it reads itself: its geometry owes nothing to ours."""
    nifti.write_volume(folder / "source.nii", Volume(SCAN, oblique()))
    path = folder / f"scan.{ending}"
    sitk.WriteImage(sitk.ReadImage(str(folder / "source.nii")), str(path), compress)
    return path


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("ending", ["mha", "mhd", "nrrd", "nhdr"])
def test_the_same_volume_in_every_format_has_the_same_voxels_and_affine(tmp_path, ending, compress):
    file = ImageFile(by_simpleitk(tmp_path, ending, compress))
    read, header = read_scan(file), read_header(file)
    np.testing.assert_array_equal(read.array, SCAN)
    np.testing.assert_allclose(read.affine, oblique(), atol=1e-5)
    assert read.array.dtype == np.int16 and read.spacing_known
    assert header.shape == (3, 4, 5) and header.dtype == np.int16
    np.testing.assert_allclose(header.affine, read.affine)
    np.testing.assert_array_equal(read_mask(file.path).array, SCAN)


@pytest.mark.parametrize("ending", ["mha", "nrrd"])
def test_a_mask_goes_back_in_the_format_of_the_scan(tmp_path, ending):
    scan, mask = ImageFile(by_simpleitk(tmp_path, ending)), tmp_path / f"mask.{ending}"
    write_like(mask, (SCAN % 4).astype(np.uint8), scan)
    image, like = sitk.ReadImage(str(mask)), sitk.ReadImage(str(scan.path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), (SCAN % 4).transpose())
    for geometry in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(image, geometry)(), getattr(like, geometry)(), atol=1e-6)
    assert image.GetPixelIDTypeAsString() == "8-bit unsigned integer"


def test_a_mask_as_nifti_lies_on_the_grid_of_an_itk_scan(tmp_path):
    write_like(tmp_path / "mask.nii.gz", (SCAN % 4).astype(np.uint8), ImageFile(by_simpleitk(tmp_path, "mha")))
    back = nifti.read_integers(tmp_path / "mask.nii.gz")
    np.testing.assert_array_equal(back.array, SCAN % 4)
    np.testing.assert_allclose(back.affine, oblique(), atol=1e-5)


@pytest.mark.parametrize(
    ("setting", "name", "suffix"),
    [
        ("nifti", "a.mha", ".nii.gz"),
        ("input", "a.MHA", ".mha"),
        ("input", "a.mhd", ".mha"),
        ("input", "a.nhdr", ".nrrd"),
        ("input", "a.mgz", ".mgz"),
        ("input", "a.nii", ".nii.gz"),
    ],
)
def test_the_ending_of_a_mask_follows_the_setting(tmp_path, setting, name, suffix):
    assert mask_suffix(setting, tmp_path / name) == suffix


def test_several_numbers_a_voxel_are_channels(tmp_path):
    array = np.stack([SCAN, 2 * SCAN], axis=-1)
    sitk.WriteImage(sitk.GetImageFromArray(array.transpose(2, 1, 0, 3), isVector=True), str(tmp_path / "scan.nrrd"))
    np.testing.assert_array_equal(read_array(ImageFile(tmp_path / "scan.nrrd")).array, array)
    np.testing.assert_array_equal(read_scan(ImageFile(tmp_path / "scan.nrrd", 1)).array, 2 * SCAN)
    assert read_header(ImageFile(tmp_path / "scan.nrrd")).shape == (3, 4, 5, 2)


def test_a_picture_is_no_scan(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5), np.uint8)), str(tmp_path / "slice.mha"))
    with pytest.raises(DataError, match=r"slice\.mha: an image of 2 axes\. Expected three"):
        read_scan(ImageFile(tmp_path / "slice.mha"))


@pytest.mark.parametrize("keep", [0, 10, 200, -50, -1])
@pytest.mark.parametrize("ending", ["mha", "nrrd"])
def test_a_truncated_file_is_refused_in_one_line(tmp_path, ending, keep):
    path = by_simpleitk(tmp_path, ending)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        DataError, match=rf"scan\.{ending}: cannot be read .*damaged or cut short: copy or download it"
    ) as caught:
        read_scan(ImageFile(path))
    assert "\n" not in str(caught.value) and "0x" not in str(caught.value)


def test_the_voxels_of_a_header_belong_to_its_stamp_and_hash(tmp_path):
    path = by_simpleitk(tmp_path, "mhd")
    voxels = tmp_path / "scan.raw"
    assert files_in(path) == [path, voxels]
    before = stamp(path), file_hash(path)
    voxels.write_bytes(voxels.read_bytes() + b"\0")
    assert stamp(path)[0] == before[0][0] + 1 and file_hash(path) != before[1]


@pytest.mark.parametrize("name", ["/etc/hostname", "../scan.raw", "LIST", "slice%03d.raw"])
def test_a_header_names_one_file_in_its_own_folder_or_is_refused(tmp_path, name):
    path = by_simpleitk(tmp_path, "mhd")
    path.write_text(path.read_text().replace("= scan.raw", f"= {name}"))
    with pytest.raises(DataError, match=r"its voxels are in .*Expected one file in the same folder"):
        read_scan(ImageFile(path))


def test_a_header_without_its_voxels_is_refused(tmp_path):
    path = by_simpleitk(tmp_path, "nhdr")
    (tmp_path / "scan.raw").unlink()
    with pytest.raises(DataError, match=r"scan\.nhdr: there is no .*scan\.raw, which holds its voxels"):
        read_scan(ImageFile(path))


def test_a_header_that_names_its_voxels_by_too_long_a_name_is_refused(tmp_path):
    path = by_simpleitk(tmp_path, "nhdr")
    path.write_text(path.read_text().replace("scan.raw", 300 * "9"))
    with pytest.raises(DataError, match=r"scan\.nhdr: cannot be read .*its header is no text of short lines"):
        read_scan(ImageFile(path))


def test_without_simpleitk_the_extra_is_named(tmp_path, monkeypatch):
    path = by_simpleitk(tmp_path, "mha")
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    message = (
        r"\.mha files are read with SimpleITK, which is not installed\. Install it: pip install 'brats-unet\[formats\]'"
    )
    for call in (lambda: read_scan(ImageFile(path)), lambda: write_volume(tmp_path / "new.mha", Volume(SCAN))):
        with pytest.raises(MachineError, match=message):
            call()


@pytest.mark.real
def test_the_mha_files_of_brats_2015_equal_the_converted_ones(real_scans):
    converted = real_scans / "BRATS2015" / "brats_2013_pat0001_1"
    for name, part in {"Flair": "flair", "T1": "t1", "T1c": "t1ce", "T2": "t2", "OT": "seg"}.items():
        (mha,) = real_scans.glob(f"mha/*/*/VSD.Brain*.*{name}.*.mha")
        one, other = read_scan(ImageFile(mha)), read_scan(ImageFile(converted / f"{converted.name}_{part}.nii.gz"))
        assert np.array_equal(one.array, other.array), name
        np.testing.assert_allclose(one.affine, other.affine, atol=1e-4)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "a.mhd", "a.nhdr"])
def test_no_changed_bit_of_packed_voxels_goes_unnoticed(tmp_path, name):
    sitk.WriteImage(sitk.GetImageFromArray(SCAN), str(tmp_path / name), True)
    data = next((path for path in tmp_path.iterdir() if path.name != name), tmp_path / name)
    whole, expected = data.read_bytes(), read_array(ImageFile(tmp_path / name)).array
    start = 0 if data.name != name else whole.index(b"LOCAL\n") + 6 if name == "a.mha" else whole.index(b"\n\n") + 2
    for changed in each_byte_changed(whole, start):
        data.write_bytes(changed)
        try:
            found = read_array(ImageFile(tmp_path / name)).array
        except DataError:
            continue
        np.testing.assert_array_equal(found, expected)
