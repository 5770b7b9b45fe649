"""Scans and masks from NIfTI files and from folders of slices through one door."""

import os

import nibabel
import numpy as np
import pytest

from brats_unet import nifti
from brats_unet.errors import DataError
from brats_unet.scan_files import files_in, read_array, read_header, read_mask, read_scan, stamp, write_like
from brats_unet.volume import ImageFile, Volume, turn_to_lps
from tests.slices import patient, picture, slice_file, tumour

SPACING = (0.9, 1.1, 5.0)


@pytest.fixture
def scan(tmp_path):
    """A NIfTI scan."""
    path = tmp_path / "scan.nii.gz"
    nifti.write_volume(path, Volume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([2.0, 3.0, 4.0, 1.0])))
    return path


def test_a_nifti_file_is_read_as_by_nifti(scan):
    one, other = read_scan(ImageFile(scan)), nifti.read_volume(scan)
    assert np.array_equal(one.array, other.array) and np.array_equal(one.affine, other.affine) and one.spacing_known
    assert read_header(ImageFile(scan)).spacing_mm == (2, 3, 4)
    assert np.array_equal(read_array(ImageFile(scan)).array, read_mask(scan).array)
    assert files_in(scan) == [scan]
    assert stamp(scan) == (scan.stat().st_size, scan.stat().st_mtime_ns)


def test_the_channels_of_slices_are_scans_in_lps_axes(tmp_path):
    folder = patient(tmp_path)
    for channel in range(3):
        volume = read_scan(ImageFile(folder, channel))
        assert np.array_equal(volume.array[:, :, 1], picture(2)[..., channel].T)
        assert (turn_to_lps(volume.affine).axes, turn_to_lps(volume.affine).reverse) == ((0, 1, 2), (False,) * 3)
    assert np.array_equal(read_array(ImageFile(folder)).array[..., 2], volume.array)
    mask = read_mask(folder)
    assert mask.array.dtype == np.int16 and np.array_equal(mask.array[:, :, 1], tumour(2).T)


def test_slices_have_an_unknown_spacing_unless_it_is_given(tmp_path):
    folder = patient(tmp_path)
    unknown, given = read_scan(ImageFile(folder, 1)), read_scan(ImageFile(folder, 1, SPACING))
    assert (unknown.spacing_known, unknown.spacing_mm) == (False, (1, 1, 1))
    assert (given.spacing_known, given.spacing_mm) == (True, SPACING)
    assert (read_mask(folder).spacing_known, read_mask(folder, SPACING).spacing_mm) == (False, SPACING)
    header = read_header(ImageFile(folder, 1, SPACING))
    assert (header.shape, header.spacing_mm) == ((8, 8, 3), SPACING)


@pytest.mark.parametrize("channel", [None, 3])
def test_a_channel_that_slices_lack_is_refused(tmp_path, channel):
    with pytest.raises(DataError, match=rf"channel {channel}. Expected one of 3: slices hold three scans"):
        read_scan(ImageFile(patient(tmp_path), channel))


@pytest.mark.parametrize(("spacing_mm", "units"), [(None, "unknown"), (SPACING, "mm")])
def test_a_mask_of_slices_is_written_as_nifti_on_their_grid(tmp_path, spacing_mm, units):
    image = ImageFile(patient(tmp_path), 1, spacing_mm)
    written = tmp_path / "mask.nii.gz"
    write_like(written, read_mask(image.path).array.astype(np.uint8), image)
    back = nifti.read_integers(written)
    assert np.array_equal(back.array, read_mask(image.path).array)
    assert np.allclose(back.affine, read_scan(image).affine)
    assert nibabel.load(written).header.get_xyzt_units()[0] == units


def test_a_mask_of_a_nifti_scan_copies_its_header(scan, tmp_path):
    write_like(tmp_path / "one.nii", np.zeros((2, 3, 4), np.uint8), ImageFile(scan))
    nifti.write_volume(tmp_path / "other.nii", Volume(np.zeros((2, 3, 4), np.uint8)), like=scan)
    assert (tmp_path / "one.nii").read_bytes() == (tmp_path / "other.nii").read_bytes()


def test_the_stamp_of_slices_changes_with_any_of_them(tmp_path):
    folder = patient(tmp_path)
    before = stamp(folder)
    assert len(files_in(folder)) == 6
    found = slice_file(folder, 2, mask=True).stat()
    os.utime(slice_file(folder, 2, mask=True), ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    assert stamp(folder) == (before[0], before[1] + 1)
