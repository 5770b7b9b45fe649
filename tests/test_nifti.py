"""NIfTI files that are whole, cut short, or no NIfTI at all."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brats_unet import nifti
from brats_unet.errors import DataError
from brats_unet.volume import Volume

ARRAY = np.random.default_rng(0).integers(0, 999, (9, 8, 7)).astype(np.int16)
AFFINE = np.array([[-1.0, 0, 0, -0.0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_what_was_written_is_read(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x{ending}"
    nifti.write_volume(path, Volume(ARRAY, AFFINE))
    volume = nifti.read_volume(path)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.array, ARRAY)
    assert np.array_equal(volume.affine, AFFINE)
    header = nifti.read_header(path)
    assert (header.shape, header.dtype, header.spacing_mm) == ((9, 8, 7), np.int16, (1.0, 1.0, 1.0))


@pytest.mark.parametrize("read", [nifti.read_volume, nifti.read_integers, nifti.read_array])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kept", [0, 1, 10, 200, 347, 348, 352, 400, -200, -5, -1])
def test_a_file_cut_short_is_one_sentence_wherever_it_ends(
    tmp_path: Path, read: Callable[[Path], Volume], ending: str, kept: int
) -> None:
    path = tmp_path / f"x{ending}"
    nifti.write_volume(path, Volume(ARRAY, AFFINE))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="It is probably truncated: copy or download it again") as refusal:
        read(path)
    assert "\n" not in str(refusal.value)


def test_a_header_cut_short_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.nii").write_bytes(bytes(100))
    with pytest.raises(DataError, match="probably truncated"):
        nifti.read_header(tmp_path / "x.nii")


def test_a_text_file_is_no_nifti_and_says_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.nii").write_text("version https://git-lfs.github.com/spec/v1\n" * 20)
    with pytest.raises(DataError, match="cannot be read as NIfTI"):
        nifti.read_volume(tmp_path / "x.nii")
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        nifti.read_volume(tmp_path / "x.nii")
    with pytest.raises(DataError, match="Is a directory"):
        nifti.read_volume(tmp_path)


def test_a_channel_of_a_4d_file_is_a_volume(tmp_path: Path) -> None:
    path = tmp_path / "x.nii.gz"
    stack = np.stack([ARRAY, ARRAY + 1], axis=-1)
    nifti.write_volume(path, Volume(stack, AFFINE))
    assert np.array_equal(nifti.read_volume(path, 1).array, ARRAY + 1)
    assert np.array_equal(nifti.read_array(path).array, stack)
    with pytest.raises(DataError, match="Expected four axes with channel 2"):
        nifti.read_volume(path, 2)
    with pytest.raises(DataError, match="Expected three axes"):
        nifti.read_volume(path)


def test_a_slope_that_bends_one_is_rounded_back(tmp_path: Path) -> None:
    nifti.write_volume(tmp_path / "x.nii", Volume(np.array([[[0.0, 0.99999997, 4.0]]], np.float32)))
    volume = nifti.read_integers(tmp_path / "x.nii")
    assert volume.array.dtype == np.int16
    assert volume.array.ravel().tolist() == [0, 1, 4]


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_what_is_no_integer_is_no_mask(tmp_path: Path, value: float) -> None:
    nifti.write_volume(tmp_path / "x.nii", Volume(np.array([[[0.0, value]]], np.float32)))
    with pytest.raises(DataError, match="not an integer"):
        nifti.read_integers(tmp_path / "x.nii")


def test_macos_shadows_are_no_nifti() -> None:
    assert nifti.is_nifti(Path("x_T1.NII.GZ"))
    assert not nifti.is_nifti(Path("._x_t1.nii"))
    assert nifti.stem(Path("x_T1.NII.GZ")) == "x_T1"
