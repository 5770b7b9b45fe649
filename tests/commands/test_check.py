"""The command `brats-unet check`."""

import gzip
import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from brats_unet import nifti
from brats_unet.commands.check import main, table_rows
from brats_unet.data.inspection import inspect
from brats_unet.data.readers.discovery import find_cases
from brats_unet.data.readers.findings import Finding, Severity
from brats_unet.errors import DataError, SettingsError
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin, scheme_of
from brats_unet.settings import Check, Data
from brats_unet.volume import Volume
from tests.slices import patient, slice_file

LARGE = np.diag([-17.0, -17.0, 17.0, 1.0])
DATA = Data(
    name="brats",
    root=None,
    files=None,
    labels="auto",
    modalities=["flair", "t1ce"],
    leave_out=[],
    cache="cache",
    preparation={"spacing_mm": [1, 1, 1], "crop": "brain", "normalise": "zscore"},
    folds=2,
    fold=0,
    fold_seed=0,
    splits=None,
    validation_root=None,
    cases=0,
    seed=0,
    grid=None,
    spacing_mm=None,
)


def settings(
    root: Path | None, *, as_json: bool = False, report: Path | None = None, pictures: Path | None = None
) -> Check:
    data = replace(DATA, root=None if root is None else str(root))
    report_file, folder = (None if path is None else str(path) for path in (report, pictures))
    return Check(scheme=builtin().as_dict(), data=data, json=as_json, report=report_file, pictures=folder)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two valid cases with two modalities each, and voxels so large that the brain has a litre."""
    draw = np.random.default_rng(0)
    for case_id in ("BraTS20_Training_001", "BraTS20_Training_002"):
        folder = tmp_path / "data" / case_id
        folder.mkdir(parents=True)
        for suffix in ("flair", "t1ce"):
            array = np.zeros((8, 8, 8), np.int16)
            array[1:7, 1:7, 1:7] = draw.integers(1, 99, (6, 6, 6))
            nifti.write_volume(folder / f"{case_id}_{suffix}.nii.gz", Volume(array, LARGE))
        mask = np.zeros((8, 8, 8), np.uint8)
        mask[3, 3, 3] = 4
        nifti.write_volume(folder / f"{case_id}_seg.nii.gz", Volume(mask, LARGE))
    return tmp_path / "data"


def test_valid_data_is_ready_to_train(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(settings(root)) == 0
    printed = capsys.readouterr().out
    assert "2 cases, 2 with masks, layout brats2018-2021. Labels brats2017" in printed
    assert "0 errors, 0 warnings, 0 notes" in printed
    assert "Ready to train." in printed


def test_a_defect_is_printed_and_the_exit_code_is_1(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "BraTS20_Training_002" / "BraTS20_Training_002_t1ce.nii.gz").unlink()
    assert main(settings(root)) == 1
    printed = " ".join(capsys.readouterr().out.split())
    assert "no t1ce scan." in printed
    assert "1 error, 0 warnings" in printed
    assert "These errors would stop a training." in printed


def test_a_bomb_and_a_cut_file_are_rows_of_the_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bomb, cut = (root / case / f"{case}_flair.nii.gz" for case in ("BraTS20_Training_001", "BraTS20_Training_002"))
    scan = gzip.decompress(bomb.read_bytes())
    shape = struct.pack("<4h", 3, 30000, 30000, 30000)
    bomb.write_bytes(gzip.compress(scan[:40] + shape + scan[48:] + bytes(50_000_000)))
    cut.write_bytes(cut.read_bytes()[:100])
    assert main(settings(root, as_json=True)) == 1
    found = {(one["case"], one["found"]) for one in json.loads(capsys.readouterr().out)["findings"]}
    told = {case: sentence for case, sentence in found if sentence.startswith(f"{case}_flair.nii.gz: cannot be read")}
    assert sorted(told) == ["BraTS20_Training_001", "BraTS20_Training_002"]
    assert "its header promises 54,000,000,000,352 bytes" in told["BraTS20_Training_001"]


def test_json_is_one_document_on_stdout(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(settings(root, as_json=True)) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["cases"], document["labels"], document["findings"]) == (2, "brats2017", [])


def test_a_report_is_written_and_can_be_replaced(root: Path, tmp_path: Path) -> None:
    report = tmp_path / "reports" / "check.json"
    for _ in range(2):
        assert main(settings(root, report=report)) == 0
    assert json.loads(report.read_text())["stops_training"] is False


def test_a_report_never_replaces_another_file_and_is_never_written_into_the_data(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "mine.json"
    other.write_text("{}")
    with pytest.raises(SettingsError, match="is not a report of `brats-unet check`"):
        main(settings(root, report=other))
    assert other.read_text() == "{}"
    with pytest.raises(SettingsError, match="nothing is ever written"):
        main(settings(root, report=root / "check.json"))
    with pytest.raises(SettingsError, match="is a folder"):
        main(settings(root, report=tmp_path))


def test_the_json_has_kind_scan_and_severity_of_each_finding_and_the_worst_of_each_case(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flat = np.zeros((8, 8, 8), np.int16)
    name = "BraTS20_Training_002"
    nifti.write_volume(root / name / f"{name}_t1ce.nii.gz", Volume(flat, LARGE))
    nifti.write_volume(root / name / f"{name}_seg.nii.gz", Volume(flat.astype(np.uint8), LARGE))
    assert main(settings(root, as_json=True)) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["severities"] == {name: "error"}
    about = [(one["case"], one["severity"], one["kind"], one["scan"]) for one in document["findings"]]
    assert about == [(name, "error", "intensities", "t1ce"), (name, "warning", "mask", "mask")]


def test_each_case_with_a_warning_or_an_error_is_drawn(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    assert main(settings(root, pictures=folder)) == 0
    assert "No case to draw." in capsys.readouterr().out
    name = "BraTS20_Training_002"
    (root / name / f"{name}_t1ce.nii.gz").write_bytes(b"no scan")
    assert main(settings(root, pictures=folder)) == 1
    assert f"1 picture in {folder}." in capsys.readouterr().out.replace("\n", "")
    assert [path.name for path in folder.iterdir()] == [f"{name}.png"]
    with Image.open(folder / f"{name}.png") as image:
        assert image.width > 400


def test_pictures_are_never_written_into_the_data_nor_over_a_file(root: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nothing is ever written"):
        main(settings(root, pictures=root / "pictures"))
    (tmp_path / "taken").write_text("")
    with pytest.raises(SettingsError, match="is a file. Give the name of a folder"):
        main(settings(root, pictures=tmp_path / "taken"))


def test_a_missing_root_and_a_wrong_root_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"data\.root is not set"):
        main(settings(None))
    with pytest.raises(DataError, match="there is no such folder"):
        main(settings(tmp_path / "nowhere"))


def test_equal_findings_share_one_row() -> None:
    findings = [Finding(f"c{n}", Severity.WARNING, "is strange.", "Check it.") for n in range(9)]
    findings.append(Finding("", Severity.NOTE, "All is fine."))
    assert [cases for cases, _ in table_rows(findings)] == ["c0\nc1\nand 7 more", "all"]
    assert [cases for cases, _ in table_rows(findings[:3])] == ["c0\nc1\nc2"]


def test_slices_with_skull_give_notes_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(1, 4):
        patient(tmp_path, f"TCGA_CS_000{number}_1", copied=(2,) if number == 1 else (), brighter=number)
    data = replace(
        DATA,
        root=str(tmp_path),
        modalities=["flair", "t1", "t1ce"],
        preparation={"spacing_mm": None, "crop": "head", "normalise": "zscore"},
    )
    lesion = Check(scheme=builtin("lesion").as_dict(), data=data, json=True, report=None, pictures=None)
    assert main(lesion) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["layout"], document["labels"], document["warnings"], document["notes"]) == ("lgg", "grey", 0, 2)


def test_a_mask_beside_the_head_or_of_other_values_is_said(tmp_path: Path) -> None:
    folder = patient(tmp_path)
    outside = np.zeros((8, 8), np.uint8)
    outside[0, 0] = 255
    Image.fromarray(outside).save(slice_file(folder, 3, mask=True))
    (case,) = find_cases(tmp_path, modalities=[Modality.FLAIR]).cases
    assert [finding.found for finding in inspect(case, with_skull=True).findings] == [
        "14% of the labelled voxels are background in every scan."
    ]
    Image.fromarray(outside // 2).save(slice_file(folder, 3, mask=True))
    assert inspect(case, with_skull=True).labels == {0: 185, 127: 1, 255: 6}


LGG = replace(
    DATA,
    name="lgg",
    modalities=["flair", "t1", "t1ce"],
    preparation={"spacing_mm": None, "crop": "head", "normalise": "zscore"},
)


def broken_slices(folder: Path) -> None:
    """A slice of another size, one with four channels, a truncated one, a missing mask, and one slice twice."""
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(slice_file(folder, 1))
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save(slice_file(folder, 2))
    slice_file(folder, 3).write_bytes(slice_file(folder, 3).read_bytes()[:150])
    slice_file(folder, 2, mask=True).unlink()
    (folder / f"{folder.name}_03_mask.tif").write_bytes(slice_file(folder, 3, mask=True).read_bytes())


def test_each_defect_of_slices_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(1, 4):
        patient(tmp_path, f"TCGA_CS_000{number}_1", brighter=number)
    folder = tmp_path / "TCGA_CS_0001_1"
    broken_slices(folder)
    told = Check(
        scheme=builtin("lesion").as_dict(), data=replace(LGG, root=str(tmp_path)), json=True, report=None, pictures=None
    )
    assert main(told) == 1
    document = json.loads(capsys.readouterr().out)
    assert [one["found"] for one in document["findings"] if one["severity"] == "error"] == [
        f"two files for one slice: {folder.name}_03_mask.tif and {folder.name}_3_mask.tif. Expected each slice once.",
        "no mask of slice 2. Expected one for each slice, or none at all.",
        f"{folder.name}_2.tif is stored as RGBA. Expected RGB with 8 bits a channel.",
        f"{folder.name}_1.tif is of another size (9×8 pixels). Expected 8×8, as the other files.",
        f"{folder.name}_3.tif is truncated.",
    ]
    assert (document["cases"], document["with_masks"], document["warnings"]) == (3, 3, 0)


def test_data_lgg_of_nifti_files_is_refused(root: Path) -> None:
    told = Check(
        scheme=builtin("lesion").as_dict(), data=replace(LGG, root=str(root)), json=True, report=None, pictures=None
    )
    with pytest.raises(SettingsError, match=r"data=lgg reads folders of TIFF slices.* Set data=brats"):
        main(told)


def test_a_label_in_no_region_is_a_warning_with_its_voxels(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = scheme_of({"labels": {"A": 4, "B": 2}, "regions": {"R": ["B"]}})
    assert main(replace(settings(root, as_json=True), scheme=own.as_dict())) == 0
    found = [one["found"] for one in json.loads(capsys.readouterr().out)["findings"] if one["severity"] == "warning"]
    assert (
        "Label 4 (A) lies in no region of the scheme own and counts as background (in 2 of 2 masks, 2 voxels)." in found
    )
