"""Thresholds are scored on other cases than those they were chosen on, and adopted only if they gain there."""

import numpy as np
import pytest

from brats_unet.anatomy import region_masks
from brats_unet.errors import DataError, SettingsError
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.rule_losses import HeldOut
from brats_unet.inference.tuning import CANDIDATES, folds_of, tune

ALL = tuple(CANDIDATES)


def case(number, *, false_et=0, sure=0.9, seed=0):
    """A tumour with ET in odd cases; in even cases the prediction has `false_et` voxels of false ET."""
    labels = np.zeros((14, 10, 10), np.uint8)
    labels[1:9, 1:9, 1:9] = 2
    labels[3:7, 3:7, 3:7] = 1
    if number % 2:
        labels[3:7, 3:7, 3:5] = 4
    predicted = labels.copy()
    if not number % 2 and false_et:
        predicted[4, 4, 3 : 3 + false_et] = 4
    noise = np.random.default_rng(seed + number).uniform(-0.05, 0.05, (*labels.shape, 3))
    probabilities = np.clip(np.where(region_masks(predicted), sure, 0.1) + noise, 0, 1).astype(np.float16)
    return HeldOut(f"case{number}", f"patient{number}", probabilities, region_masks(labels), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("metric", ["dice", "hd95", "rank"])
def test_a_few_voxels_of_false_enhancing_tumour_lead_to_a_least_et_volume(metric):
    tuned = tune([case(i, false_et=4) for i in range(12)], metric=metric, folds=4, rules=["least_et_mm3"], seed=0)
    assert 4 < tuned.rules.least_et_mm3 <= 32
    assert tuned.n == 12 and tuned.folds == 4 and [step.adopted for step in tuned.steps] == [True]
    assert tuned.gain == pytest.approx(tuned.flattering_gain) and tuned.gain > 0
    if metric == "dice":  # the Dice of ET rises from 0 to 1 in six of twelve cases
        assert tuned.gain_by_region == pytest.approx({"WT": 0, "TC": 0, "ET": 0.5}, abs=1e-9)
        assert tuned.gain == pytest.approx(0.5 / 3)


def test_with_perfect_predictions_no_rule_is_adopted():
    tuned = tune([case(i) for i in range(4)], metric="dice", folds=2, rules=ALL, seed=0)
    assert tuned.rules == Postprocessing() and tuned.gain == 0
    assert len(tuned.steps) == 16 and not any(step.adopted for step in tuned.steps)


def test_a_network_of_low_probabilities_gets_lower_thresholds():
    tuned = tune([case(i, sure=0.45) for i in range(8)], metric="dice", folds=4, rules=["threshold"], seed=0)
    assert all(value < 0.45 for value in tuned.rules.threshold.values()) and tuned.gain > 0.3


def test_a_rule_that_helps_one_case_and_harms_the_others_is_not_adopted():
    """In one of four cases false ET has as many voxels as true ET in the others."""
    cases = [case(1), case(3), case(5), case(0, false_et=2)]
    for one in cases[:3]:  # true ET of two voxels
        one.probabilities[..., 2] = 0.1
        one.probabilities[4, 4, 3:5, 2] = 0.9
        one.reference[..., 2] = False
        one.reference[4, 4, 3:5, 2] = True
    tuned = tune(cases, metric="dice", folds=4, rules=["least_et_mm3"], seed=0)
    assert tuned.rules == Postprocessing() and not tuned.steps[0].adopted


def test_cases_of_a_patient_share_a_fold_and_folds_have_equal_size():
    found = folds_of(["a", "a", "b", "c", "d", "d"], 3, seed=1)
    assert found[0] == found[1] and found[4] == found[5]
    assert sorted(np.unique(folds_of([str(i) for i in range(10)], 5, 0), return_counts=True)[1]) == [2] * 5
    assert folds_of(["a", "b"], 5, 0).max() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "dise"}, "no metric=dise to tune by. Did you mean dice"),
        ({"folds": 1}, "folds=1"),
        ({"rules": ["treshold"]}, "no rule named treshold. Did you mean threshold"),
        ({"rules": []}, "expected one or more different rules"),
        ({"rules": ["threshold", "threshold"]}, "expected one or more different rules"),
    ],
)
def test_invalid_settings_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        tune([], **{"metric": "dice", "folds": 2, "rules": ["threshold"], "seed": 0, **change})


def test_one_patient_is_too_few():
    with pytest.raises(DataError, match="at least two patients"):
        tune([case(0)], metric="dice", folds=2, rules=["threshold"], seed=0)
