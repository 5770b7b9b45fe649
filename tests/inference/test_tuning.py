"""Thresholds are scored on other cases than those they were chosen on, and adopted only if they gain there."""

import json
from dataclasses import replace

import numpy as np
import pytest

from brats_unet.errors import DataError, SettingsError
from brats_unet.inference import tuning
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.rule_losses import HeldOut
from brats_unet.inference.tuning import CANDIDATES, Step, folds_of, too_few_patients, tune, with_value
from tests.inference.scheme_examples import FIVE, GLIOMA, SCHEMES

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
    probabilities = np.clip(np.where(GLIOMA.predicted_masks(predicted), sure, 0.1) + noise, 0, 1).astype(np.float16)
    return HeldOut(f"case{number}", f"patient{number}", probabilities, GLIOMA.predicted_masks(labels), (1.0, 1.0, 1.0))


@pytest.mark.parametrize("metric", ["dice", "hd95", "rank"])
def test_a_few_voxels_of_false_enhancing_tumour_lead_to_a_least_et_volume(metric):
    cases = [case(i, false_et=4) for i in range(12)]
    tuned = tune(cases, scheme=GLIOMA, metric=metric, folds=4, rules=["least_total_mm3"], seed=0)
    assert 4 < tuned.rules.least_total_mm3["ET"] <= 32
    assert tuned.n == 12 and tuned.folds == 4 and [step.adopted for step in tuned.steps] == [True]
    assert tuned.gain == pytest.approx(tuned.flattering_gain) and tuned.gain > 0
    if metric == "dice":  # the Dice of ET rises from 0 to 1 in six of twelve cases
        assert tuned.gain_by_region == pytest.approx({"WT": 0, "TC": 0, "ET": 0.5}, abs=1e-9)
        assert tuned.gain == pytest.approx(0.5 / 3)


def test_two_folds_are_enough_to_adopt_a_rule():
    """The search without one of two folds divides the patients of the other once more."""
    cases = [case(i, sure=0.45) for i in range(8)]
    tuned = tune(cases, scheme=GLIOMA, metric="dice", folds=2, rules=["threshold"], seed=0)
    assert all(tuned.rules.of("threshold", region) < 0.45 for region in GLIOMA.predicted) and tuned.gain > 0.3
    assert tuned.folds == 2
    three = tune(cases[:3], scheme=GLIOMA, metric="dice", folds=2, rules=["threshold"], seed=0)
    assert three.gain > 0  # the fold of two patients gains, that of one cannot


def test_of_two_patients_no_rule_can_be_adopted():
    tuned = tune([case(i, sure=0.45) for i in range(2)], scheme=GLIOMA, metric="dice", folds=2, rules=ALL, seed=0)
    assert tuned.rules == Postprocessing() and tuned.gain == 0
    assert "three" in too_few_patients(["a", "b", "a"]) and too_few_patients(["a", "b", "c"]) == ""


def test_with_perfect_predictions_no_rule_is_adopted():
    tuned = tune([case(i) for i in range(4)], scheme=GLIOMA, metric="dice", folds=2, rules=ALL, seed=0)
    assert tuned.rules == Postprocessing() and tuned.gain == 0
    assert len(tuned.steps) == 16 and not any(step.adopted for step in tuned.steps)


def test_rules_of_a_search_that_does_not_gain_on_other_cases_are_rejected_with_it(monkeypatch):
    found = with_value(Postprocessing(), "threshold", "WT", 0.7)
    step = Step("threshold", "WT", 0.7, 0.1, adopted=True)
    monkeypatch.setattr(tuning, "search", lambda *given: (found, [step]))
    tuned = tune([case(i) for i in range(4)], scheme=GLIOMA, metric="dice", folds=2, rules=["threshold"], seed=0)
    assert tuned.gain <= 0 and tuned.rules == Postprocessing() and not tuned.steps[0].adopted


def test_a_network_of_low_probabilities_gets_lower_thresholds():
    cases = [case(i, sure=0.45) for i in range(8)]
    tuned = tune(cases, scheme=GLIOMA, metric="dice", folds=4, rules=["threshold"], seed=0)
    assert all(tuned.rules.of("threshold", region) < 0.45 for region in GLIOMA.predicted) and tuned.gain > 0.3


def test_a_rule_that_helps_one_case_and_harms_the_others_is_not_adopted():
    """In one of four cases false ET has as many voxels as true ET in the others."""
    cases = [case(1), case(3), case(5), case(0, false_et=2)]
    for one in cases[:3]:  # true ET of two voxels
        one.probabilities[..., 2] = 0.1
        one.probabilities[4, 4, 3:5, 2] = 0.9
        one.reference[..., 2] = False
        one.reference[4, 4, 3:5, 2] = True
    tuned = tune(cases, scheme=GLIOMA, metric="dice", folds=4, rules=["least_total_mm3"], seed=0)
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
        ({"rules": ["least_et_mm3"]}, "no rule named least_et_mm3. It is called least_total_mm3 now."),
        ({"rules": []}, "expected one or more different rules"),
        ({"rules": ["threshold", "threshold"]}, "expected one or more different rules"),
    ],
)
def test_invalid_settings_are_refused(change, message):
    with pytest.raises(SettingsError, match=message):
        tune([], **{"scheme": GLIOMA, "metric": "dice", "folds": 2, "rules": ["threshold"], "seed": 0, **change})


def test_one_patient_is_too_few():
    with pytest.raises(DataError, match="at least two patients"):
        tune([case(0)], scheme=GLIOMA, metric="dice", folds=2, rules=["threshold"], seed=0)


def case_of(scheme, number, sure):
    """A case with a box of every label; the network gives its regions the probability `sure`."""
    labels = np.zeros((3 + 6 * len(scheme.classes), 8, 8), np.uint8)
    for index, value in enumerate(scheme.class_values[1:]):
        labels[2 + 6 * index : 6 + 6 * index, 2:6, 2 + number % 2 : 6] = value
    masks = scheme.predicted_masks(labels)
    noise = np.random.default_rng(number).uniform(-0.02, 0.02, masks.shape)
    probabilities = (np.where(masks, sure, 0.1) + noise).astype(np.float32)
    return HeldOut(f"case{number}", f"patient{number}", probabilities, masks, (1.0, 1.0, 1.0))


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_gets_the_thresholds_that_its_network_needs(name):
    scheme = SCHEMES[name]
    cases = [case_of(scheme, number, 0.42) for number in range(4)]
    rules = ["threshold", "largest_only", "least_total_mm3"]
    tuned = tune(cases, scheme=scheme, metric="dice", folds=4, rules=rules, seed=0)
    assert {tuned.rules.of("threshold", region) for region in scheme.predicted} <= {0.3, 0.35, 0.4}
    assert tuned.gain > 0.5 and list(tuned.gain_by_region) == list(scheme.predicted)
    tried = [(rule, region) for rule in rules[:2] for region in scheme.predicted]
    tried += [("least_total_mm3", region) for region in scheme.small_total]
    assert [(step.rule, step.region) for step in tuned.steps] == tried
    plain = json.loads(json.dumps(tuned.as_dict()))
    assert plain["postprocessing"] == tuned.rules.as_dict(scheme) and plain["metric"] == "dice"
    assert list(plain)[-1] == "steps" and len(plain["steps"]) == len(tried) and "scheme" not in plain


def test_a_small_total_is_tuned_only_where_the_scheme_has_such_a_region():
    scheme = replace(FIVE, small_total=())
    with pytest.raises(SettingsError, match="the scheme five names no region under small_total"):
        tune([], scheme=scheme, metric="dice", folds=2, rules=["least_total_mm3"], seed=0)
    with pytest.raises(DataError, match="at least two patients"):
        tune([], scheme=scheme, metric="dice", folds=2, rules=["threshold", "least_total_mm3"], seed=0)
