"""The README's table of seed-notebook scores and region scores, made by scripts/seed_protocol.py."""

import importlib.util
from pathlib import Path

import pytest

from brats_unet.errors import DataError
from brats_unet.evaluation.record import open_evaluation

PATH = Path(__file__).resolve().parents[2] / "scripts" / "seed_protocol.py"
spec = importlib.util.spec_from_file_location("seed_protocol", PATH)
seed_protocol = importlib.util.module_from_spec(spec)
spec.loader.exec_module(seed_protocol)


@pytest.fixture
def summary():
    """Summary of ten cases and a softmax network, with simple numbers."""
    seed = dict.fromkeys(seed_protocol.SEED_ROWS, 0.5)
    means = {"prediction": {"hard": seed, "soft": {**seed, "accuracy": 0.25}}, "all_background": {"hard": seed}}
    scores = {"dice": {"mean": 0.75}, "hd95": {"mean": None}}
    regions = {region: {"all_cases": scores} for region in ("WT", "TC", "ET")}
    trivial = {"all_background": dict.fromkeys(regions, scores), "left_out": {}}
    return {"cases": 10, "regions": regions, "trivial_predictors": trivial, "seed": {"n": 10, "means": means}}


def test_the_table_has_columns_for_notebook_no_tumour_and_network(summary):
    lines = seed_protocol.table(summary).splitlines()
    assert lines[0] == "| mean over cases | the notebook | no tumour found | network | network, its probabilities |"
    assert "| accuracy | 0.9864 | 0.5000 | 0.5000 | 0.2500 |" in lines
    assert "| **Dice ET** | – | 0.750 | 0.750 | – |" in lines
    assert "| **HD95 WT, mm** | – | – | – | – |" in lines  # undefined in every case
    assert lines[-1] == "| n | – | 10 | 10 | 10 |"


def test_without_a_network_its_columns_are_left_out(summary):
    assert seed_protocol.table(summary, network=False).splitlines()[-1] == "| n | – | 10 |"


def test_the_mean_shape_has_region_scores_only_and_cases_without_seed_scores_are_counted(summary):
    summary["trivial_predictors"]["mean_shape"] = summary["trivial_predictors"]["all_background"]
    summary["seed"]["n"] = 9
    lines = seed_protocol.table(summary).splitlines()
    assert "| accuracy | 0.9864 | 0.5000 | – | 0.5000 | 0.2500 |" in lines
    assert lines[-1].startswith("| n | – | 10, the notebook's numbers 9 |")


def test_an_evaluation_without_seed_scores_is_refused(summary):
    del summary["seed"]
    with pytest.raises(DataError, match="seed_scores=true"):
        seed_protocol.table(summary)


def test_an_existing_evaluation_is_read(evaluated_run, capsys):
    assert seed_protocol.main([str(evaluated_run.folder)]) == 0
    found = open_evaluation(evaluated_run.folder).summary["seed"]["means"]["prediction"]["hard"]["accuracy"]
    assert f"| {found:.4f} |" in capsys.readouterr().out


def test_a_folder_without_an_evaluation_is_refused(tmp_path, capsys):
    assert seed_protocol.main([str(tmp_path)]) == 2
    assert "no scores found" in capsys.readouterr().err
