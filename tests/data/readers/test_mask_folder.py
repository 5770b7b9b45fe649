"""Finding masks by case id in flat and nested folders."""

from pathlib import Path

import pytest

from brats_unet.data.readers.discovery import find_masks
from brats_unet.errors import DataError


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    "name",
    [
        "a.nii.gz",
        "a.nii",
        "a_seg.nii.gz",
        "a-seg.nii.gz",
        "a/a_seg.nii.gz",
        "a/a.nii.gz",
        "a/seg.nii.gz",
        "x/y/a-seg.nii",
    ],
)
def test_a_mask_is_found_under_every_usual_name(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name)
    assert find_masks(tmp_path) == {"a": path}


@pytest.mark.parametrize("name", ["BraTS20_Training_355/W39_1998.09.19_Segm.nii", "W39_1998.09.19_Segm.nii.gz"])
def test_the_misnamed_mask_belongs_to_case_355(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name)
    assert find_masks(tmp_path) == {"BraTS20_Training_355": path}


def test_scans_and_probabilities_are_not_taken_for_masks(tmp_path: Path) -> None:
    for suffix in ("flair", "t1", "t1ce", "t2", "brainmask", "probabilities"):
        put(tmp_path / "a" / f"a_{suffix}.nii.gz")
    mask = put(tmp_path / "a" / "a_seg.nii.gz")
    assert find_masks(tmp_path) == {"a": mask}


def test_probabilities_beside_predictions_are_skipped(tmp_path: Path) -> None:
    mask = put(tmp_path / "BraTS-GLI-00001-000.nii.gz")
    put(tmp_path / "BraTS-GLI-00001-000_probabilities.nii.gz")
    put(tmp_path / "BraTS-GLI-00001-000_prob_WT.nii.gz")
    assert find_masks(tmp_path) == {"BraTS-GLI-00001-000": mask}


def test_only_labelstr_of_an_msd_folder_holds_masks(tmp_path: Path) -> None:
    put(tmp_path / "imagesTr" / "BRATS_001.nii.gz")
    mask = put(tmp_path / "labelsTr" / "BRATS_001.nii.gz")
    assert find_masks(tmp_path) == {"BRATS_001": mask}


def test_one_case_with_two_masks_is_refused_with_both_named(tmp_path: Path) -> None:
    put(tmp_path / "a.nii.gz")
    put(tmp_path / "a_seg.nii.gz")
    with pytest.raises(DataError, match=r"a: two masks: .*a_seg\.nii\.gz and .*a\.nii\.gz"):
        find_masks(tmp_path)


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "a_flair.nii.gz")
    with pytest.raises(DataError, match="no mask"):
        find_masks(tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        find_masks(tmp_path / "nowhere")


def test_nnunet_scans_are_not_taken_for_masks(tmp_path: Path) -> None:
    for channel in range(4):
        put(tmp_path / f"a_{channel:04}.nii.gz")
    with pytest.raises(DataError, match="not masks"):
        find_masks(tmp_path)


@pytest.mark.real
def test_masks_of_real_folders_are_found(real_scans: Path) -> None:
    assert len(find_masks(real_scans / "BraTS2021")) == 8
    assert len(find_masks(real_scans / "predictions")) == 6


def test_the_probabilities_of_a_region_named_gtv_are_no_masks(tmp_path):
    for name in (
        "BraTS-MEN-RT-0001-1.nii.gz",
        "BraTS-MEN-RT-0001-1_probability_GTV.nii.gz",
        "BraTS-MEN-RT-0002-1_gtv.nii.gz",
    ):
        (tmp_path / name).touch()
    assert list(find_masks(tmp_path)) == ["BraTS-MEN-RT-0001-1", "BraTS-MEN-RT-0002-1"]
