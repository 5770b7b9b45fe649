"""Means, medians and quartiles, and their n."""

import json
import math
from dataclasses import replace

import pytest

from brats_unet.evaluation.case_statistics import statistics
from brats_unet.evaluation.score import Row, Scored
from brats_unet.evaluation.summary import summarise
from brats_unet.metrics.seed import SeedRow
from brats_unet.schemes.scheme_file import builtin


def scored(case, et_dice, et_volume, seed=()) -> Scored:
    rows = []
    for region, dice, volume in (("WT", 0.9, 100.0), ("TC", 0.8, 50.0), ("ET", et_dice, et_volume)):
        rows += [
            Row(case, region, "dice", dice, "1"),
            Row(case, region, "volume_reference", volume, "mm3"),
            Row(case, region, "volume_prediction", 0.0, "mm3"),
        ]
    return Scored(case, rows, [SeedRow(case, *row) for row in seed], "" if seed else "too few slices")


def test_four_numbers_by_hand():
    found = statistics([1.0, 2.0, 3.0, 6.0])
    assert (found.n, found.mean, found.median, found.q1, found.q3) == (4, 3.0, 2.5, 1.75, 3.75)
    assert (found.minimum, found.maximum) == (1.0, 6.0)
    assert found.sd == pytest.approx(math.sqrt(14 / 3))


def test_an_undefined_score_is_counted_and_left_out_of_the_mean():
    found = statistics([0.5, math.nan, 0.7])
    assert (found.n, found.undefined) == (2, 1)
    assert found.mean == pytest.approx(0.6)


def test_one_value_has_no_standard_deviation_and_no_value_has_no_mean():
    assert statistics([0.5]).sd is None
    assert statistics([math.nan]).mean is None


def test_the_order_of_the_cases_does_not_matter():
    cases = [scored("a", 0.2, 5.0), scored("b", 1.0, 0.0), scored("c", 0.7, 9.0)]
    assert (
        summarise(cases, scheme=builtin(), protocol="brats2020").regions
        == summarise(cases[::-1], scheme=builtin(), protocol="brats2020").regions
    )


def test_cases_without_the_region_are_counted_and_left_out_of_where_present():
    summary = summarise([scored("a", 0.2, 5.0), scored("b", 1.0, 0.0)], scheme=builtin(), protocol="brats2020")
    assert summary.empty_references == {"WT": 0, "TC": 0, "ET": 1}
    assert summary.empty_predictions == {"WT": 2, "TC": 2, "ET": 2}
    assert summary.regions["ET"]["dice"].mean == pytest.approx(0.6)
    assert summary.where_present["ET"]["dice"].mean == 0.2
    assert summary.where_present["ET"]["dice"].n == 1


def test_without_a_spacing_empty_masks_are_counted_by_their_voxels():
    case = scored("a", 1.0, 0.0)
    names = {"volume_reference": "voxels_reference", "volume_prediction": "voxels_prediction"}
    rows = [replace(row, metric=names.get(row.metric, row.metric), unit="voxels") for row in case.rows]
    in_voxels = summarise([replace(case, rows=rows)], scheme=builtin(), protocol="brats2020")
    in_mm = summarise([case], scheme=builtin(), protocol="brats2020")
    assert in_voxels.empty_references == in_mm.empty_references == {"WT": 0, "TC": 0, "ET": 1}
    assert in_voxels.empty_predictions == in_mm.empty_predictions
    assert in_voxels.where_present["ET"]["dice"] == in_mm.where_present["ET"]["dice"]


def test_seed_scores_are_averaged_over_cases_and_cases_without_them_are_named():
    one = scored("a", 0.2, 5.0, [("prediction", "hard", "accuracy", 0.9), ("all_background", "hard", "accuracy", 0.8)])
    two = scored("b", 0.2, 5.0, [("prediction", "hard", "accuracy", 0.7), ("all_background", "hard", "accuracy", 0.6)])
    summary = summarise([one, two, scored("c", 0.2, 5.0)], scheme=builtin(), protocol="brats2020")
    assert summary.seed["prediction"]["hard"]["accuracy"] == pytest.approx(0.8)
    assert summary.seed["all_background"]["hard"]["accuracy"] == pytest.approx(0.7)
    assert summary.seed_n == 2
    assert summary.seed_left_out == {"c": "too few slices"}


def test_the_summary_can_be_written_as_json_with_units_and_rules():
    summary = summarise(
        [scored("a", 0.2, 5.0)], scheme=builtin(), protocol="brats2020", title="t", missing=["a"], not_scored=["z"]
    )
    document = json.loads(json.dumps(summary.as_json(), allow_nan=False))
    assert document["missing_predictions_counted_as_empty"] == ["a"]
    assert document["predictions_without_a_reference"] == ["z"]
    assert document["protocol"]["hd95_definition"] == "per_direction_max"
    assert document["protocol"]["hd95_mm"]["reference"] == 373.12866
    assert document["regions"]["WT"]["all_cases"]["dice"] == {
        "unit": "1",
        "n": 1,
        "undefined": 0,
        "mean": 0.9,
        "sd": None,
        "median": 0.9,
        "q1": 0.9,
        "q3": 0.9,
        "minimum": 0.9,
        "maximum": 0.9,
        "interval": None,
    }
    assert document["versions"]["numpy"]


def test_summarising_no_case_is_refused():
    with pytest.raises(ValueError, match="No case was scored"):
        summarise([], scheme=builtin(), protocol="brats2020")
