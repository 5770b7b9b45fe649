"""Bytes of NIfTI files: no more than the header promises, and refused where it promises too much."""

import gzip
import struct

import nibabel
import numpy as np
import pytest

from brats_unet import nifti_bytes
from brats_unet.errors import DataError
from brats_unet.nifti import read_header, read_volume
from brats_unet.nifti_bytes import promised_bytes, unpacked
from tests.changed_bytes import each_byte_changed

SCAN = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def plain(kind=nibabel.Nifti1Image):
    return kind(SCAN, np.eye(4)).to_bytes()


def with_shape(*axes):
    data = bytearray(plain())
    struct.pack_into(f"<{1 + len(axes)}h", data, 40, len(axes), *axes)
    return bytes(data)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_the_header_promises_the_bytes_of_the_whole_file(tmp_path, kind):
    data = plain(kind)
    assert promised_bytes(data[:544]) == len(data)
    for name, content in (("a.nii", data), ("a.nii.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        assert unpacked(tmp_path / name) == data


def test_big_endian_files_and_several_members_are_unpacked(tmp_path):
    image = nibabel.Nifti1Image(SCAN, np.eye(4), nibabel.Nifti1Header(endianness=">"))
    data = image.to_bytes()
    assert promised_bytes(data[:544]) == len(data)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data[:500]) + gzip.compress(data[500:]))
    assert unpacked(tmp_path / "a.nii.gz") == data
    np.testing.assert_array_equal(read_volume(tmp_path / "a.nii.gz").array, SCAN)


def test_no_more_is_kept_than_the_header_promises_and_a_bomb_is_refused(tmp_path):
    data = plain()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data + bytes(1_000_000)))
    assert unpacked(tmp_path / "a.nii.gz") == data
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(data + bytes(50_000_000)))
    with pytest.raises(EOFError, match="does not end where the voxels do"):
        unpacked(tmp_path / "bomb.nii.gz")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_header_that_promises_more_than_the_file_can_hold_is_refused(tmp_path, pack):
    path = tmp_path / ("a.nii" if pack is bytes else "a.nii.gz")
    path.write_bytes(pack(with_shape(30000, 30000, 30000)))
    with pytest.raises(
        DataError, match=r"cannot be read as NIfTI \([\d,]+ bytes; its header promises 54,000,000,000,352 "
    ):
        read_volume(path)
    assert read_header(path).shape == (30000, 30000, 30000)


def test_a_header_that_promises_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(nifti_bytes, "memory_available_bytes", lambda: 500)
    (tmp_path / "a.nii").write_bytes(plain())
    with pytest.raises(DataError, match="its header promises 592 bytes, but 500 bytes of memory are free"):
        read_volume(tmp_path / "a.nii")


BROKEN = {
    "nothing": b"",
    "text": b"abc",
    "half a header": plain()[:300],
    "half a header, packed": gzip.compress(plain())[:60],
    "no end mark": gzip.compress(plain())[:-9],
    "a negative axis": with_shape(-4, 5, 6),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_what_is_no_whole_file_is_one_sentence(tmp_path, content):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(DataError, match="cannot be read as NIfTI"):
        read_volume(tmp_path / "a.nii.gz")


def test_a_wrong_check_sum_is_noticed(tmp_path):
    packed = bytearray(gzip.compress(plain()))
    packed[-8] ^= 1
    (tmp_path / "a.nii.gz").write_bytes(packed)
    with pytest.raises(DataError, match="cannot be read as NIfTI"):
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.MGHImage])
def test_no_changed_bit_of_a_packed_scan_goes_unnoticed(tmp_path, kind):
    path = tmp_path / ("a.nii.gz" if kind is nibabel.Nifti1Image else "a.mgz")
    voxels = np.random.default_rng(0).integers(0, 900, (6, 7, 8)).astype(np.int16)
    nibabel.save(kind(voxels, np.eye(4)), path)
    for changed in each_byte_changed(path.read_bytes(), first=10):  # before it are date and system of the packer
        path.write_bytes(changed)
        try:
            found = read_volume(path).array
        except DataError:
            continue
        np.testing.assert_array_equal(found, voxels)


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("meter", 1000), ("micron", 0.001), ("unknown", 1)])
def test_lengths_in_metres_and_micrometres_become_millimetres(tmp_path, unit, factor):
    image = nibabel.Nifti1Image(SCAN, np.diag([2.0, 3.0, 4.0, 1.0]))
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "a.nii.gz")
    expected = np.diag([2.0 * factor, 3.0 * factor, 4.0 * factor, 1.0])
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii.gz").affine, expected)
    np.testing.assert_allclose(read_header(tmp_path / "a.nii.gz").affine, expected)
