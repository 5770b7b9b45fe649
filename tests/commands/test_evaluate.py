"""The command `brats-unet evaluate predictions=… references=…`."""

import subprocess
import sys

import numpy as np
import pytest

from brats_unet.commands.evaluate import main
from brats_unet.errors import DataError, SettingsError
from brats_unet.nifti import read_integers, write_volume
from brats_unet.run import PROBABILITIES, probability_file
from brats_unet.schemes.scheme_file import builtin
from brats_unet.settings import Evaluate, OtherData
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
        "data": OtherData(None, None, None, None),
        "predictions": str(folders / "predictions"),
        "references": str(folders / "references"),
        "output": str(folders / "out"),
        "scheme": None,
        "labels": "auto",
        "protocol": "brats2020",
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
