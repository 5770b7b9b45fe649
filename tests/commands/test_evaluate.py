"""The command `brats-unet evaluate predictions=… references=…`."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from brats_unet.commands.evaluate import main
from brats_unet.commands.report import main as report
from brats_unet.errors import DataError, SettingsError
from brats_unet.nifti import read_integers, write_volume
from brats_unet.run import PROBABILITIES, probability_file
from brats_unet.schemes.scheme_file import builtin, scheme_of
from brats_unet.settings import Evaluate, MovedScans, OtherData, Report
from brats_unet.volume import Volume


@pytest.fixture
def folders(tmp_path):
    array = np.zeros((12, 12, 30), np.uint8)
    array[3:9, 3:9, 3:28], array[5:7, 5:7, 5:20] = 2, 4
    for folder in ("predictions", "references"):
        (tmp_path / folder).mkdir()
        for case in ("BraTS20_Training_001", "BraTS20_Training_002"):
            write_volume(tmp_path / folder / f"{case}.nii.gz", Volume(array))
    return tmp_path


def settings(folders, **changes) -> Evaluate:
    values = {
        "run": None,
        "checkpoint": "last",
        "mode": "auto",
        "mirror": "auto",
        "postprocess": "auto",
        "data": OtherData(*[None] * 6),
        "predictions": str(folders / "predictions"),
        "references": str(folders / "references"),
        "output": str(folders / "out"),
        "scheme": None,
        "labels": "auto",
        "protocol": "brats2020",
        "spacing_mm": None,
        "tolerances_mm": [1, 2],
        "calibration": False,
        "allow_missing": False,
        "figures": False,
        "seed_scores": True,
        "device": "auto",
        "workers": 1,
        "json": False,
    }
    return Evaluate(**{**values, **changes})


def page_of(folders) -> str:
    """The report page of the evaluation, with single spaces."""
    assert report(Report(str(folders / "out"), MovedScans(None), None, 0, None, None, "none", None, "none", False)) == 0
    return " ".join((folders / "out" / "report.html").read_text().split())


def test_a_perfect_predictor_scores_perfectly_through_the_command(folders, capsys):
    assert main(settings(folders)) == 0
    assert "1.000 ± 0.000" in capsys.readouterr().out
    scores = (folders / "out" / "scores.csv").read_text()
    assert "BraTS20_Training_002,TC,dice,1.0,1\n" in scores
    assert "BraTS20_Training_002,ET,hd95,0.0,mm\n" in scores


def test_masks_of_two_folders_are_scored_without_tensorflow_keras_and_matplotlib(folders):
    code = (
        "import sys; from brats_unet.commands.evaluate import main; from brats_unet.settings import Evaluate, OtherData;"
        f"main(Evaluate(**{settings(folders).__dict__!r}));"
        "assert not {'tensorflow', 'keras', 'torch', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_nothing_to_evaluate_is_refused_with_the_possible_settings(folders):
    with pytest.raises(SettingsError, match=r"predictions and references not set\. Give run=runs/<name>"):
        main(settings(folders, predictions=None, references=None))
    with pytest.raises(SettingsError, match="references not set"):
        main(settings(folders, references=None))


def test_a_run_together_with_two_folders_is_refused(folders):
    with pytest.raises(SettingsError, match="not both"):
        main(settings(folders, run="runs/a"))


def test_the_message_names_a_wrong_path(folders):
    with pytest.raises(DataError, match="references=.*nowhere: no such folder"):
        main(settings(folders, references=str(folders / "nowhere")))


def test_the_output_folder_must_not_hold_the_masks(folders):
    with pytest.raises(SettingsError, match="holds other files"):
        main(settings(folders, output=str(folders / "predictions")))


def test_a_misspelt_protocol_is_refused_before_anything_is_read(folders):
    with pytest.raises(SettingsError, match="no protocol named brats2021"):
        main(settings(folders, protocol="brats2021", predictions="nowhere"))


def test_a_refusal_writes_nothing(folders):
    (folders / "predictions" / "BraTS20_Training_001.nii.gz").unlink()
    with pytest.raises(DataError, match="no prediction"):
        main(settings(folders))
    assert not (folders / "out").exists()


def test_tolerances_appear_in_metric_names_and_wrong_ones_are_refused_before_any_work(folders):
    assert main(settings(folders, tolerances_mm=0.5)) == 0
    assert "nsd_0.5mm" in (folders / "out" / "scores.csv").read_text()
    with pytest.raises(SettingsError, match="is not a list of numbers"):
        main(settings(folders, tolerances_mm=[1, "two"], predictions=str(folders / "absent")))
    with pytest.raises(SettingsError, match="names one tolerance twice"):
        main(settings(folders, tolerances_mm=[1, 1.0]))


def test_the_seed_protocol_writes_its_table_without_seed_scores(folders, capsys):
    assert main(settings(folders, protocol="seed", seed_scores=False)) == 0
    assert (folders / "out" / "seed_scores.csv").exists()


def test_calibration_is_scored_from_the_probabilities_beside_the_masks(folders):
    masks = sorted((folders / "predictions").rglob("*.nii.gz"))
    with pytest.raises(DataError, match="probability files are missing"):
        main(settings(folders, calibration=True))
    for path in masks:
        volume = read_integers(path)
        for region in builtin().predicted:
            share = builtin().region_mask(volume.array, region).astype(np.float32)
            case_id = path.name.removesuffix(".nii.gz").removesuffix("_seg")
            target = probability_file(folders / "predictions" / PROBABILITIES, case_id, region)
            write_volume(target, Volume(share, volume.affine))
    wrong, gone = sorted((folders / "predictions" / PROBABILITIES).iterdir())[:2]
    kept = {path: path.read_bytes() for path in (wrong, gone)}
    volume = read_integers(wrong)
    write_volume(wrong, Volume(volume.array * np.float32(1.5) + 1, volume.affine))
    gone.unlink()
    with pytest.raises(DataError, match=rf"1 probability file is missing(.|\n)*{wrong.name} holds values from 1 to"):
        main(settings(folders, calibration=True))
    for path, data in kept.items():
        path.write_bytes(data)
    assert main(settings(folders, calibration=True)) == 0
    assert ",WT,ece,0.0,1\n" in (folders / "out" / "scores.csv").read_text()


def masks(root, case_id, *integers):
    """The same mask, a slab of each integer, as prediction and as reference; returns the settings that name both."""
    array = np.zeros((16, 16, 16), np.uint8)
    for index, integer in enumerate(integers):
        array[2 + 2 * index : 4 + 2 * index, 4:12, 4:12] = integer
    for folder in ("predictions", "references"):
        shutil.rmtree(root / folder, ignore_errors=True)
        write_volume(root / folder / f"{case_id}.nii.gz", Volume(array))
    return settings(root, seed_scores=False)


def spoken(capsys):
    """What was printed, in one line."""
    said = capsys.readouterr()
    return " ".join((said.out + said.err).split())


def summary_of(root):
    return json.loads((root / "out" / "summary.json").read_text())


def test_masks_with_a_cavity_are_scored_by_the_scheme_after_treatment_and_that_is_said(folders, capsys):
    assert main(masks(folders, "BraTS-GLI-00046-101", 1, 2, 3, 4)) == 0
    assert "Scheme: glioma_post (label 4 beside 3 in cases such as BraTS-GLI-00046-101)." in spoken(capsys)
    regions = summary_of(folders)["regions"]
    assert list(regions) == ["WT", "TC", "ET", "RC", "NETC", "SNFH"]
    assert {facts["all_cases"]["dice"]["mean"] for facts in regions.values()} == {1.0}


def test_a_cavity_that_the_scheme_has_no_region_for_is_said_also_in_json(folders, capsys):
    told = replace(masks(folders, "BraTS-GLI-00046-101", 1, 2, 3, 4), scheme=builtin().as_dict())
    cavity = (
        "Label 4 (resection cavity) lies in no region of the scheme glioma and counts as background (in 1 of 1 masks); "
        "scheme=glioma_post scores it."
    )
    assert main(told) == 0
    assert cavity in spoken(capsys)
    assert main(replace(told, json=True)) == 0
    assert cavity in json.loads(capsys.readouterr().out)["notes"]


def test_the_scheme_recorded_beside_predictions_is_taken(folders, capsys):
    told = replace(masks(folders, "BraTS-GLI-00046-101", 1, 2, 3, 4), json=True)
    record = {"networks": [{"recipe": {"scheme": builtin().as_dict()}}], "convention": "brats2024"}
    (folders / "predictions" / "predictions.json").write_text(json.dumps(record))
    assert main(told) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["notes"][0] == "Scheme: glioma (predictions: recorded in predictions.json)."
    assert list(document["regions"]) == ["WT", "TC", "ET"]


def test_no_file_of_seed_scores_is_written_where_the_scheme_has_none(folders):
    told = replace(masks(folders, "x1", 1), scheme=builtin("lesion").as_dict(), seed_scores=True)
    assert main(told) == 0
    assert not (folders / "out" / "seed_scores.csv").exists()


def test_a_label_4_that_may_be_two_things_is_refused_and_each_choice_is_followed(folders):
    told = masks(folders, "BraTS-GLI-00046-000", 1, 2, 4)
    with pytest.raises(SettingsError, match="Set scheme=glioma_post if it is a cavity, or labels=brats2017"):
        main(told)
    assert not (folders / "out").exists()
    for changed, name in (
        (replace(told, labels="brats2017"), "glioma"),
        (replace(told, scheme=builtin("glioma_post").as_dict()), "glioma_post"),
    ):
        assert main(changed) == 0
        assert summary_of(folders)["scheme"]["name"] == name


def test_binary_masks_are_said_to_lack_regions_and_are_whole_in_the_scheme_lesion(folders, capsys):
    told = masks(folders, "BraTS20_Training_001", 1)
    assert main(told) == 0
    assert "No ET (enhancing tumour) in the mask: the only label is 1" in spoken(capsys)
    assert main(replace(told, scheme=builtin("lesion").as_dict())) == 0
    said = spoken(capsys)
    assert list(summary_of(folders)["regions"]) == ["lesion"]
    assert "No lesion" not in said and "Scheme:" not in said


def test_a_mask_with_an_integer_outside_the_scheme_is_refused(folders):
    told = masks(folders, "BraTS20_Training_001", 1, 2, 4)
    two = scheme_of({"name": "two", "labels": {"a": 1, "b": 2}, "regions": {"A": ["a"], "B": ["b"]}})
    with pytest.raises(DataError, match=r"no convention of the scheme two defines \(.*_001: 4\)"):
        main(replace(told, scheme=two.as_dict()))


def test_cases_for_a_run_are_refused_without_a_run(folders):
    with pytest.raises(SettingsError, match=r"data\.root=… holds cases for a run to score\. Give run=… too"):
        main(settings(folders, data=OtherData("/data", *[None] * 5)))


def test_the_scheme_chooses_the_protocol_and_the_command_says_which_and_why(folders, capsys):
    mine = builtin().as_dict() | {"name": "mine", "protocol": "brats2026"}
    for changes, told in (
        ({}, "Protocol: brats2020 (scheme glioma)."),
        ({"scheme": mine}, "Protocol: brats2026 (scheme mine)."),
        ({"scheme": mine, "protocol": "nnunet"}, "Protocol: nnunet (set by protocol)."),
    ):
        assert main(settings(folders, **{"protocol": "auto", **changes})) == 0
        assert told in capsys.readouterr().out
        recorded = json.loads((folders / "out" / "summary.json").read_text())
        assert recorded["protocol"]["name"] == told.split()[1]


def test_a_case_that_cannot_be_scored_is_told_recorded_and_shown_on_the_page(folders, capsys):
    (folders / "predictions" / "BraTS20_Training_001.nii.gz").write_bytes(b"junk")
    assert main(settings(folders, protocol="brats2026")) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "By the rules of brats2026, 1 case that cannot be scored is left out of all means: BraTS20_Training_001."
        in told
    )
    recorded = json.loads((folders / "out" / "summary.json").read_text())
    reason = recorded["cases_that_could_not_be_scored"]["BraTS20_Training_001"]
    assert recorded["cases"] == 1 and "BraTS20_Training_001.nii.gz" in reason and str(folders) not in reason
    assert "_001" not in (folders / "out" / "scores.csv").read_text()
    assert "Left out, because it cannot be scored: BraTS20_Training_001." in page_of(folders)


def test_a_missing_prediction_is_a_miss_of_every_region_by_the_rules_of_2026_and_the_page_says_so(folders, capsys):
    (folders / "predictions" / "BraTS20_Training_001.nii.gz").unlink()
    for protocol, scored_as in (("brats2026", "misses of every region"), ("brats2020", "empty masks")):
        assert main(settings(folders, protocol=protocol, allow_missing=True)) == 0
        assert f"Missing predictions, scored as {scored_as}: BraTS20_Training_001." in " ".join(
            capsys.readouterr().out.split()
        )
        assert f"Missing predictions, scored as {scored_as}: BraTS20_Training_001." in page_of(folders)
