"""Checking a whole data folder: every kind of broken case, written here with 12 x 12 x 12 voxels."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from brats_unet import nifti, scan_files
from brats_unet.data.dataset_check import CheckReport, check_cases
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.readers.discovery import survey
from brats_unet.data.readers.findings import Severity
from brats_unet.errors import SettingsError
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume

SHAPE = (12, 12, 12)
MODALITIES = tuple(Modality)
# Voxels so large that the brain of 8 x 8 x 8 voxels has a litre.
LPS = np.array([[-12.5, 0, 0, 0], [0, -12.5, 0, 239], [0, 0, 12.5, 0], [0, 0, 0, 1]])


def scan(seed: int) -> np.ndarray:
    array = np.zeros(SHAPE, np.int16)
    array[2:10, 2:10, 2:10] = np.random.default_rng(seed).integers(1, 999, (8, 8, 8))
    return array


def labels() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    array[4:6, 4:6, 4:6] = 1
    array[6, 4:6, 4:6] = 2
    array[7, 4, 4] = 4
    return array


def write(folder: Path, case_id: str, suffix: str, array: np.ndarray, affine: np.ndarray = LPS) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case_id}_{suffix}.nii.gz"
    nifti.write_volume(path, Volume(array, affine))
    return path


def case(root: Path, number: int) -> Path:
    """Write a case without defects and return its folder."""
    case_id = f"BraTS20_Training_{number:03}"
    for index, modality in enumerate(MODALITIES):
        write(root / case_id, case_id, str(modality), scan(10 * number + index))
    write(root / case_id, case_id, "seg", labels())
    return root / case_id


def check(root: Path, setting: str = "auto", **options: int) -> CheckReport:
    return check_cases(survey(root, modalities=MODALITIES), setting, scheme=builtin(), **options)


def test_cases_without_defects_have_no_findings(tmp_path: Path) -> None:
    for number in (1, 2):
        case(tmp_path, number)
    seen: list[tuple[int, int]] = []
    found = survey(tmp_path, modalities=MODALITIES)
    report = check_cases(
        found, "auto", scheme=builtin(), folds=2, progress=lambda done, total: seen.append((done, total))
    )
    assert report.findings == ()
    assert not report.stops_training
    assert (report.cases, report.with_masks, report.layout) == (2, 2, "brats2018-2021")
    assert report.convention is not None
    assert report.convention.name == "brats2017"
    assert seen == [(1, 2), (2, 2)]


def constant(folder: Path) -> None:
    write(folder, folder.name, "t1", np.zeros(SHAPE, np.int16))


def not_a_number(folder: Path) -> None:
    array = scan(1).astype(np.float32)
    array[3, 3, 3:6] = np.nan, np.inf, 2e30
    write(folder, folder.name, "t1", array)


def truncated(folder: Path) -> None:
    path = folder / f"{folder.name}_t1.nii.gz"
    path.write_bytes(path.read_bytes()[:-100])


def no_nifti(folder: Path) -> None:
    (folder / f"{folder.name}_t1.nii.gz").write_text("version https://git-lfs.github.com/spec/v1\n")


def missing(folder: Path) -> None:
    (folder / f"{folder.name}_t1.nii.gz").unlink()


def other_shape(folder: Path) -> None:
    write(folder, folder.name, "t1", scan(1)[:-1])


def other_place(folder: Path) -> None:
    moved = LPS.copy()
    moved[0, 3] = 5
    write(folder, folder.name, "t1", scan(1), moved)


def four_axes(folder: Path) -> None:
    write(folder, folder.name, "t1", np.stack([scan(1), scan(2)], axis=-1))


def singular(folder: Path) -> None:
    path = folder / f"{folder.name}_t1.nii.gz"
    data = bytearray(nifti.igzip.decompress(path.read_bytes()))
    data[280 : 280 + 48] = bytes(48)  # the rows of the sform
    path.write_bytes(nifti.igzip.compress(bytes(data)))


def mask_elsewhere(folder: Path) -> None:
    write(folder, folder.name, "seg", labels()[:, :-1])


def label_99(folder: Path) -> None:
    array = labels()
    array[5, 5, 5] = 99
    write(folder, folder.name, "seg", array)


def fractions(folder: Path) -> None:
    write(folder, folder.name, "seg", labels().astype(np.float32) + 0.5)


def mask_is_scan(folder: Path) -> None:
    write(folder, folder.name, "seg", (scan(1) % 100).astype(np.uint8))


def negative_mask(folder: Path) -> None:
    write(folder, folder.name, "seg", -labels().astype(np.int16))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (constant, "the t1 scan is constant: no brain in it."),
        (not_a_number, "the t1 scan holds 3 voxels that are NaN, infinite or beyond 1e+30."),
        (truncated, "cannot be read as NIfTI"),
        (no_nifti, "is a Git LFS pointer, not the scan itself"),
        (missing, "no t1 scan. Expected BraTS20_Training_002_t1.nii.gz beside the other three."),
        (other_shape, "the t1 is (11, 12, 12) voxels, the flair (12, 12, 12)."),
        (other_place, "the t1 is not aligned with the flair"),
        (four_axes, "BraTS20_Training_002_t1.nii.gz: a volume of shape (12, 12, 12, 2). Expected three axes"),
        (singular, "singular or not finite"),
        (mask_elsewhere, "the mask is (12, 11, 12) voxels, the flair (12, 12, 12)."),
        (label_99, "its mask holds label 99 (1 voxels). Expected 0 1 2 4 (brats2017)."),
        (fractions, "not an integer"),
        (mask_is_scan, "different values: it looks like a scan."),
        (negative_mask, "labels from -4 to 0"),
    ],
)
def test_each_defect_that_stops_training_is_one_error_of_its_case(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    case(tmp_path, 1)
    damage(case(tmp_path, 2))
    report = check(tmp_path)
    assert report.stops_training
    (finding,) = [f for f in report.findings if f.severity == Severity.ERROR]
    assert finding.case == "BraTS20_Training_002"
    assert words in finding.found
    assert report.convention is not None


def test_every_defect_is_found_at_once(tmp_path: Path) -> None:
    for number, damage in enumerate((constant, truncated, label_99, missing), 1):
        damage(case(tmp_path, number))
    errors = [f.case[-3:] for f in check(tmp_path).findings if f.severity == Severity.ERROR]
    assert errors == ["001", "002", "003", "004"]


def saturated(folder: Path) -> None:
    array = scan(1)
    array[3:6, 3:6, 3:6] = 32767
    write(folder, folder.name, "t1", array)


def other_brain(folder: Path) -> None:
    array = scan(1)
    array[2:5] = 0
    write(folder, folder.name, "t1", array)


def same_scan(folder: Path) -> None:
    (folder / f"{folder.name}_t1.nii.gz").write_bytes((folder / f"{folder.name}_t2.nii.gz").read_bytes())


def no_tumour(folder: Path) -> None:
    write(folder, folder.name, "seg", np.zeros(SHAPE, np.uint8))


def outside(folder: Path) -> None:
    array = labels()
    array[0:2, 0:3, 0:3] = 2
    write(folder, folder.name, "seg", array)


def noisy(folder: Path) -> None:
    array = scan(1) + np.random.default_rng(0).integers(0, 50, SHAPE).astype(np.int16)
    write(folder, folder.name, "t1", array)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (saturated, "the t1 scan is saturated: 27 voxels (5.27%) at 32767, its maximum."),
        (other_brain, "the brain in the t1 scan differs from the other scans' (mean Jaccard index 0.62)."),
        (same_scan, "the t1 and t2 scans are identical."),
        (no_tumour, "its mask is empty: no tumour."),
        (outside, "58% of the labelled voxels are background in every scan."),
        (noisy, "the background of the t1 scan is not constant"),
    ],
)
def test_each_defect_that_may_harm_training_is_only_a_warning(
    tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    case(tmp_path, 1)
    damage(case(tmp_path, 2))
    report = check(tmp_path)
    assert not report.stops_training
    assert words in [f.found for f in report.findings] or any(words in f.found for f in report.findings)
    assert {(f.case, f.severity) for f in report.findings} == {("BraTS20_Training_002", Severity.WARNING)}


def test_a_scan_copied_from_another_case_is_found_even_if_compressed_again(tmp_path: Path) -> None:
    one, other = case(tmp_path, 1), case(tmp_path, 2)
    nifti.write_volume(other / f"{other.name}_flair.nii.gz", nifti.read_volume(one / f"{one.name}_flair.nii.gz"))
    array = labels()
    array[5, 5, 5] = 2
    write(other, other.name, "seg", array)
    (finding,) = check(tmp_path).findings
    assert finding.severity == Severity.WARNING
    assert finding.found == "has the same flair as BraTS20_Training_002, but a different mask."
    assert finding.remedy.startswith("They stay in one fold")


def test_an_origin_of_minus_zero_equals_zero(tmp_path: Path) -> None:
    folder = case(tmp_path, 1)
    signed = LPS.copy()
    signed[0, 3] = -0.0
    write(folder, folder.name, "seg", labels(), signed)
    assert check(tmp_path).findings == ()


def test_cases_that_differ_in_orientation_shape_or_spacing_get_notes(tmp_path: Path) -> None:
    case(tmp_path, 1)
    folder = case(tmp_path, 2)
    ras = np.diag([15.0, 12.5, 12.5, 1.0])
    for index, modality in enumerate(MODALITIES):
        write(folder, folder.name, str(modality), scan(index)[:-1], ras)
    write(folder, folder.name, "seg", labels()[:-1], ras)
    found = [(f.severity, f.found) for f in check(tmp_path).findings]
    assert found == [
        (Severity.NOTE, "2 different shapes: 12 × 12 × 12 voxels (1 cases), 11 × 12 × 12 voxels (1 cases)."),
        (Severity.NOTE, "2 different voxel sizes: 12.5 × 12.5 × 12.5 mm (1 cases), 15 × 12.5 × 12.5 mm (1 cases)."),
        (Severity.NOTE, "1 of 2 cases are not stored in L-P-S orientation (first: BraTS20_Training_002)."),
    ]


def rewritten(folder: Path, affine: np.ndarray) -> None:
    for index, modality in enumerate(MODALITIES):
        write(folder, folder.name, str(modality), scan(10 * int(folder.name[-3:]) + index), affine)
    write(folder, folder.name, "seg", labels(), affine)


def test_voxels_of_no_scan_and_brains_of_no_head_are_found(tmp_path: Path) -> None:
    rewritten(case(tmp_path, 1), np.diag([-1000.0, -1000.0, 1000.0, 1.0]))
    rewritten(case(tmp_path, 2), np.diag([-1.0, -1.0, 1.0, 1.0]))
    found = {f.case: (f.severity, f.found) for f in check(tmp_path).findings if f.case}
    assert found["BraTS20_Training_001"][0] is Severity.ERROR
    assert "voxels of 1000×1000×1000 mm by its header. Expected edges from 0.05 to 30 mm" in str(found)
    assert found["BraTS20_Training_002"] == (
        Severity.WARNING,
        "the scans' foreground fills only 0.00 litres. Is this a whole brain?",
    )


def test_labels_that_preparing_would_lose_are_found(tmp_path: Path) -> None:
    rewritten(case(tmp_path, 1), np.diag([-1.0, -1.0, 1.0, 1.0]))
    case(tmp_path, 2)
    coarse = Preparation(MODALITIES, (9.0, 9.0, 9.0), "brain")
    report = check_cases(survey(tmp_path, modalities=MODALITIES), "auto", scheme=builtin(), preparation=coarse)
    errors = [f for f in report.findings if f.severity is Severity.ERROR]
    assert [f.case for f in errors] == ["BraTS20_Training_001"]
    assert "of the mask would be lost" in errors[0].found


def test_cases_without_masks_cannot_be_trained_on(tmp_path: Path) -> None:
    folder = case(tmp_path, 1)
    (folder / f"{folder.name}_seg.nii.gz").unlink()
    (finding,) = check(tmp_path).findings
    assert finding.found == "No case has a mask: the cases can only be used for prediction."


def test_fewer_patients_than_folds_stop_training(tmp_path: Path) -> None:
    case(tmp_path, 1)
    (finding,) = check(tmp_path, folds=5).findings
    assert finding.found == "1 patient with masks cannot be split into 5 folds."


def test_binary_masks_of_glioma_get_a_warning_that_names_the_scheme_for_them(tmp_path: Path) -> None:
    for number in (1, 2):
        write(case(tmp_path, number), f"BraTS20_Training_{number:03}", "seg", (labels() > 0).astype(np.uint8))
    found = [finding for finding in check(tmp_path).findings if finding.found.startswith("No ET")]
    assert len(found) == 1 and "If it stands for any lesion, set scheme=lesion." in found[0].found
    assert found[0].severity is Severity.WARNING


def test_ambiguous_labels_stop_training(tmp_path: Path) -> None:
    folder = case(tmp_path, 1)
    for path in folder.iterdir():
        path.rename(folder / path.name.replace("BraTS20_Training_001", "mine"))
    array = labels()
    array[array == 4] = 3
    write(folder, "mine", "seg", array)
    report = check(tmp_path)
    assert report.convention is None
    assert "data.labels=brats2023 or data.labels=nnunet" in report.findings[0].found
    assert check(tmp_path, "brats2023").findings == ()
    with pytest.raises(SettingsError, match="There is no data.labels=brats"):
        check(tmp_path, "brats")


def test_an_msd_file_is_read_once_for_its_four_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    original = scan_files.read_array
    monkeypatch.setattr("brats_unet.data.inspection.read_array", lambda file: read.append(file.path) or original(file))
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "labelsTr").mkdir()
    array = labels()
    array[array == 4] = 3
    nifti.write_volume(
        tmp_path / "imagesTr" / "BRATS_001.nii.gz", Volume(np.stack([scan(i) for i in range(4)], -1), LPS)
    )
    nifti.write_volume(tmp_path / "labelsTr" / "BRATS_001.nii.gz", Volume(array, LPS))
    report = check(tmp_path)
    assert [f.found for f in report.findings if f.severity != Severity.NOTE] == []
    assert report.convention is not None
    assert report.convention.name == "msd"
    assert len(read) == 1


def test_an_msd_file_with_three_channels_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "imagesTr").mkdir()
    nifti.write_volume(
        tmp_path / "imagesTr" / "BRATS_001.nii.gz", Volume(np.stack([scan(i) for i in range(3)], -1), LPS)
    )
    assert any("Expected four axes with 4 channels." in f.found for f in check(tmp_path).findings)


def test_a_report_is_plain_json(tmp_path: Path) -> None:
    label_99(case(tmp_path, 1))
    document = json.loads(json.dumps(check(tmp_path).as_dict()))
    assert (document["errors"], document["stops_training"], document["labels"]) == (1, True, None)
    assert document["findings"][0]["severity"] == "error"


@pytest.mark.real
def test_real_cases_have_no_findings(real_scans: Path) -> None:
    report = check(real_scans / "BraTS2021" / "BraTS2021_01476")
    assert report.findings == ()
    assert report.convention is not None
    assert report.convention.name == "brats2017"
