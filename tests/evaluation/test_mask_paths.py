"""Paths of masks and scans in a summary: relative to folders that only a settings.json names."""

import json

import pytest

from brats_unet.evaluation.mask_paths import described_files, pairs_of
from brats_unet.evaluation.record import open_evaluation, write_rows
from brats_unet.evaluation.score import Pair, Row
from brats_unet.modality import Modality
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import ImageFile

CONVENTION = conventions(builtin())["brats2017"]


@pytest.fixture
def recorded(tmp_path):
    """Write an evaluation's summary; returns it read back, and its text."""

    def write(pairs, output):
        write_rows(output / "scores.csv", Row, [Row("a", "WT", "dice", 0.9, "1")])
        text = json.dumps({"files": described_files(pairs, output)})
        (output / "summary.json").write_text(text)
        return open_evaluation(output), text

    return write


def pair_in(root, predictions):
    images = {Modality.T1: ImageFile(root / "a" / "a_t1.nii.gz", 2)}
    return Pair("a", root / "a" / "a_seg.nii.gz", predictions / "a.nii.gz", images, CONVENTION, CONVENTION)


def test_paths_of_a_run_are_relative_to_its_evaluation_and_its_data_folder(tmp_path, recorded):
    root, run = tmp_path / "Doe^Jane" / "scans", tmp_path / "runs" / "r"
    run.mkdir(parents=True)
    (run / "settings.json").write_text(json.dumps({"data": {"root": str(root), "validation_root": None}}))
    pair = pair_in(root, run / "evaluation" / "predictions")
    found, text = recorded([pair], run / "evaluation")
    assert json.loads(text)["files"]["a"] == {
        "reference": "{data.root}/a/a_seg.nii.gz",
        "prediction": "{evaluation}/predictions/a.nii.gz",
        "reference_labels": "brats2017",
        "prediction_labels": "brats2017",
        "images": {"t1": {"path": "{data.root}/a/a_t1.nii.gz", "channel": 2}},
    }
    assert pairs_of(found) == {"a": pair}
    assert not (run / "evaluation" / "settings.json").exists()


def test_a_moved_run_and_moved_data_are_found_where_they_are_now(tmp_path, recorded):
    run = tmp_path / "before" / "r"
    run.mkdir(parents=True)
    (run / "settings.json").write_text(json.dumps({"data": {"root": str(tmp_path / "before" / "scans")}}))
    recorded([pair_in(tmp_path / "before" / "scans", run / "evaluation" / "predictions")], run / "evaluation")
    run = (tmp_path / "before").rename(tmp_path / "after") / "r"
    (run / "settings.json").write_text(json.dumps({"data": {"root": str(tmp_path / "after" / "scans")}}))
    expected = pair_in(tmp_path / "after" / "scans", run / "evaluation" / "predictions")
    assert pairs_of(open_evaluation(run)) == {"a": expected}


def test_folders_of_loose_masks_stand_in_the_settings_of_their_evaluation(tmp_path, recorded):
    pair = pair_in(tmp_path / "scans", tmp_path / "masks")
    found, text = recorded([pair], tmp_path / "scores")
    assert str(tmp_path) not in text
    settings = json.loads((tmp_path / "scores" / "settings.json").read_text())
    assert settings["folders"] == {"references": f"{tmp_path}/scans/a", "predictions": f"{tmp_path}/masks"}
    assert pairs_of(found) == {"a": pair}


def test_without_the_settings_a_path_stays_as_recorded(tmp_path, recorded):
    found, _ = recorded([pair_in(tmp_path / "scans", tmp_path / "masks")], tmp_path / "scores")
    (tmp_path / "scores" / "settings.json").unlink()
    assert str(pairs_of(found)["a"].prediction) == "{predictions}/a.nii.gz"


def test_a_missing_prediction_and_a_case_without_scans_are_read_back(tmp_path, recorded):
    pair = Pair("a", tmp_path / "r", None, None, CONVENTION, CONVENTION)
    assert pairs_of(recorded([pair], tmp_path / "scores")[0]) == {"a": pair}


def test_whole_paths_of_earlier_versions_are_read(tmp_path, recorded):
    _, text = recorded([pair_in(tmp_path / "scans", tmp_path / "masks")], tmp_path / "scores")
    old = json.loads(text)
    old["files"]["a"] |= {"reference": "/old/a_seg.nii.gz", "prediction": "old/a.nii.gz", "images": {}}
    (tmp_path / "scores" / "summary.json").write_text(json.dumps(old))
    expected = Pair(
        "a", type(tmp_path)("/old/a_seg.nii.gz"), type(tmp_path)("old/a.nii.gz"), None, CONVENTION, CONVENTION
    )
    assert pairs_of(open_evaluation(tmp_path / "scores")) == {"a": expected}
