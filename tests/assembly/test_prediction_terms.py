"""What an evaluation says of how its masks are made, beside how `predict` would make them."""

from types import SimpleNamespace

import pytest

from brats_unet.assembly.prediction_terms import LEFT_ALONE, prediction_sentence
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.json_files import write_json
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from tests.whole_recipe import RECIPE

TUNED = Postprocessing.from_dict({"threshold": {"WT": 0.3}}, builtin())


@pytest.fixture
def runs(tmp_path):
    found = [Run(tmp_path / name) for name in "ab"]
    for run in found:
        write_json(run.recipe_file, RECIPE | {"inference": {**RECIPE["inference"], "mirror": ["x", "y"]}})
    return found


def said(runs, rules, **changes):
    return prediction_sentence(SimpleNamespace(**LEFT_ALONE | changes), runs, rules)


def test_a_run_as_it_is_is_scored_as_predict_would_use_it(runs):
    assert said(runs[:1], [Postprocessing()]) == (
        "Masks are made as `predict` makes them: by one network, averaged over 4 mirrorings, by a threshold of 0.5."
    )


def test_tuned_rules_and_those_of_the_training_are_told_apart(runs):
    assert said(runs[:1], [TUNED]).endswith("by the rules of the training.")
    write_json(runs[0].postprocessing_file, {})
    assert said(runs[:1], [TUNED]).endswith("by the rules of tune.")
    assert said(runs[:1], [TUNED], postprocess="mine.json").endswith("by the rules of mine.json.")


def test_settings_that_predict_would_need_too_are_named(runs):
    assert said(runs[:1], [Postprocessing()], mirror="none", checkpoint="best").startswith(
        "Masks are made as `predict` makes them with checkpoint=best mirror=none: by one network, without mirroring"
    )
    assert "mirror=[x]: by one network, averaged over 2 mirrorings" in said(runs[:1], [TUNED], mirror=["x"])


def test_out_of_fold_masks_are_not_those_of_the_ensemble(runs):
    sentence = said(runs, [TUNED, TUNED])
    assert "each by the one network that held its case out" in sentence and "averages all 2 networks" in sentence
    assert "`predict` would refuse to average them" in said(runs, [TUNED, Postprocessing()])
