"""What holds for every metric in the table, by its record; `test_metamorphic` moves, mirrors and turns the masks."""

from dataclasses import replace

import numpy as np
import pytest

from brats_unet.metrics import CALIBRATION, IN_PLANE, METRICS, metrics_of
from brats_unet.metrics.metric import BY_PROTOCOL, COUNT, POSITIVE, SHARE, Metric
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import PROTOCOLS

RULES = replace(PROTOCOLS["brats2023"], instances=PROTOCOLS["brats2026"].instances)  # rules for every metric
EVERY = {one.name: one for metric in (*METRICS.values(), *IN_PLANE.values()) for one in metric.at((1.0, 2.0))}
every_metric = pytest.mark.parametrize("metric", EVERY.values(), ids=EVERY)


def pair_of(reference, prediction):
    return MaskPair(reference, prediction, (1.0, 1.5, 2.0), RULES)


def with_voxels(*voxels):
    mask = np.zeros((9, 8, 7), bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


PAIRS = {
    "overlap": pair_of(with_voxels((1, 1, 1), (1, 1, 2)), with_voxels((1, 1, 2), (4, 4, 4))),
    "apart": pair_of(with_voxels((0, 0, 0)), with_voxels((8, 7, 6))),
    "no reference": pair_of(with_voxels(), with_voxels((3, 3, 3))),
    "no prediction": pair_of(with_voxels((3, 3, 3)), with_voxels()),
    "both empty": pair_of(with_voxels(), with_voxels()),
}
every_pair = pytest.mark.parametrize("masks", PAIRS.values(), ids=PAIRS)


@pytest.mark.parametrize("name", [*METRICS, *CALIBRATION, *IN_PLANE])
def test_every_metric_is_a_whole_record_under_its_own_name_and_fits_into_a_table(name):
    metric = {**METRICS, **CALIBRATION, **IN_PLANE}[name]
    assert metric.name == name
    assert all((metric.unit, metric.range, metric.definition, metric.source, metric.when_empty))
    assert metric.definition.endswith(".") and "|" not in metric.definition + metric.source + metric.when_empty


@every_metric
@every_pair
def test_every_metric_is_a_number_in_its_range(metric, masks):
    value = metric.function(masks)
    assert isinstance(value, float | int) and not isinstance(value, bool)
    if np.isnan(value):  # only where a mask is empty, and only if the record says so
        assert masks.counts.reference_empty or masks.counts.prediction_empty
        assert metric.when_empty == BY_PROTOCOL or "undefined" in metric.when_empty
        return
    assert np.isfinite(value) and not metric.out_of_range(value)
    if metric.range in (SHARE, POSITIVE, COUNT):
        assert value >= 0
    if metric.range == SHARE:
        assert value <= 1
    if metric.range == COUNT:
        assert value == int(value)


@pytest.mark.parametrize("metric", [one for one in EVERY.values() if one.rule], ids=lambda one: one.name)
def test_a_metric_with_a_rule_follows_it_if_a_mask_is_empty(metric):
    rule = getattr(RULES, metric.rule)
    found = [metric.function(PAIRS[name]) for name in ("both empty", "no prediction", "no reference")]
    assert found == pytest.approx([rule.both, rule.prediction, rule.reference], nan_ok=True)


@every_metric
@every_pair
def test_cropping_changes_no_score(metric, masks):
    assert metric.function(masks.cropped()) == pytest.approx(metric.function(masks), abs=0, nan_ok=True)


def record(**changed):
    told = {"name": "mine", "function": len, "unit": "1", "range": SHARE, "better": "high", "definition": "It is."}
    return Metric(**{**told, "source": "me", "when_empty": "1", **changed})


def test_a_record_without_a_direction_or_with_half_a_rule_is_refused():
    with pytest.raises(ValueError, match="mine is better 'more'. Expected one of high, low, near 0, –"):
        record(better="more")
    with pytest.raises(ValueError, match="Expected a rule exactly if when_empty is 'by protocol'"):
        record(rule="dice")
    with pytest.raises(ValueError, match="Expected a rule exactly if"):
        record(when_empty=BY_PROTOCOL)


def test_a_metric_per_tolerance_becomes_one_metric_for_each():
    both = record(function=lambda pair, *, tolerance_mm: tolerance_mm, per_tolerance=True).at([0.5, 2])
    assert [(one.name, one.function(None)) for one in both] == [("mine_0.5mm", 0.5), ("mine_2mm", 2)]


@every_metric
def test_a_metric_depends_on_the_size_of_a_voxel_exactly_if_its_record_says_so(metric):
    """Scored on four lesions: two found and one missed, of which two have 27 voxels, and two false ones."""
    reference, prediction = np.zeros((2, 40, 24, 8), bool)
    reference[1:4, 1:4, 1:4] = prediction[2:5, 1:4, 1:4] = True
    reference[14:18, 3:9, 2:6] = prediction[15:20, 3:9, 2:7] = True
    reference[30:33, 1:4, 1:4] = True
    prediction[30:35:4, 20, 0] = True
    values = {metric.function(MaskPair(reference, prediction, spacing, RULES)) for spacing in ((1, 1, 1), (2, 3, 4.0))}
    assert (len(values) == 2) == metric.needs_spacing


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_without_a_spacing_the_metrics_that_need_one_give_way_to_those_in_pixels(protocol):
    known, unknown = metrics_of(protocol), metrics_of(protocol, spacing_known=False)
    assert set(unknown) == {name for name, metric in known.items() if not EVERY[name].needs_spacing} | set(IN_PLANE)
    assert {"dice", "precision", "sensitivity", "iou", "volume_difference_relative"} <= set(unknown)
    assert not {metric.unit for metric in unknown.values()} & {"mm", "mm3"}


@pytest.mark.parametrize(
    ("score_range", "impossible"), [(SHARE, [-0.1, 1.1]), (POSITIVE, [-0.1]), (COUNT, [])], ids=["share", "mm", "count"]
)
def test_a_score_outside_the_range_of_its_metric_is_impossible_and_an_undefined_one_is_not(score_range, impossible):
    metric = replace(EVERY["dice"], range=score_range)
    assert [value for value in (-0.1, 0.0, 1.0, 1.1, float("nan")) if metric.out_of_range(value)] == impossible
