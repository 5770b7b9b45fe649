"""Tuning with trained networks: from the folds of a training to masks made with the tuned thresholds."""

import json

import numpy as np
import pytest

from brats_unet.cli.main import main
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.json_files import read_json
from brats_unet.nifti import read_integers
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from tests.end_to_end.test_pipeline import TINY


@pytest.fixture(scope="module")
def folds(tmp_path_factory, phantom_root):
    """Two runs, each trained on one half of the phantoms; together they hold out all of them."""
    folder = tmp_path_factory.mktemp("folds")
    common = [*TINY, f"data.root={phantom_root}", f"data.cache={folder / 'cache'}", f"runs={folder / 'runs'}"]
    quick = ["validation.every=1", "inference.mode=whole"]
    for fold in (0, 1):
        how = [f"data.fold={fold}", f"name=fold{fold}", "steps=80", "hardware.precision=float32"]
        assert main(["train", *common, *quick, *how]) == 0
    return [Run(folder / "runs" / f"fold{fold}") for fold in (0, 1)]


def of_both(folds):
    return f"run=[{folds[0].folder},{folds[1].folder}]"


def mean_dice(folds, capsys, *more):
    """Mean Dice over all cases and regions; each case is predicted by the network that held it out."""
    output = f"output={folds[0].folder.parent / '-'.join(('scores', *more)).replace('=', '-')}"
    capsys.readouterr()
    assert main(["evaluate", of_both(folds), output, "figures=false", "seed_scores=false", "--json", *more]) == 0
    regions = json.loads(capsys.readouterr().out)["regions"]
    return float(np.mean([regions[name]["all_cases"]["dice"]["mean"] for name in ("WT", "TC", "ET")]))


def test_evaluate_finds_the_gain_that_tune_reports_on_the_same_cases(folds, capsys):
    assert main(["tune", of_both(folds), "folds=4", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert sorted(document["cases"]) == [f"Phantom20_{number:03}" for number in range(1, 5)] and document["n"] == 4
    written = [read_json(run.postprocessing_file, what="rules") for run in folds]
    notes = document.pop("notes")
    assert written == [document, document] and not any("too few" in sentence for sentence in notes)
    assert Postprocessing.from_dict(document["postprocessing"], builtin()) != Postprocessing() and document["gain"] > 0
    gained = mean_dice(folds, capsys) - mean_dice(folds, capsys, "postprocess=none")
    assert (
        gained == pytest.approx(document["flattering_gain"], abs=1e-3) and gained > 0
    )  # tune stores probabilities in float16


def test_a_second_search_reuses_the_probabilities(folds, capsys):
    kept = [file for run in folds for file in (run.folder / "tuning").glob("*.npz")]
    before = [file.stat().st_mtime_ns for file in kept]
    assert main(["tune", of_both(folds), "folds=4", "metric=rank", "rules=[threshold]", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metric"] == "rank"
    assert len(kept) == 4 and [file.stat().st_mtime_ns for file in kept] == before


def test_predict_uses_the_tuned_thresholds_and_says_so(folds, phantom_root, tmp_path, capsys):
    assert main(["tune", of_both(folds), "folds=4"]) == 0
    printed = capsys.readouterr().out
    assert "Cross-fitted gain on 4 cases" in printed and "4 cases are few" in printed
    for name, more in (("tuned", []), ("plain", ["postprocess=none"])):
        assert main(["predict", of_both(folds), f"input={phantom_root}", f"output={tmp_path / name}", *more]) == 0
        assert ("Masks are made by the rules in" in capsys.readouterr().out) == (name == "tuned")
    names = sorted(path.name for path in (tmp_path / "tuned").glob("*.nii.gz"))
    masks = [[read_integers(tmp_path / kind / name).array for name in names] for kind in ("tuned", "plain")]
    assert len(names) == 4 and any(not np.array_equal(*pair) for pair in zip(*masks, strict=True))
