"""The worst cases of a cohort beside the rest."""

import math

import pytest

from brats_unet.evaluation.case_facts import CaseFacts
from brats_unet.evaluation.cohort import cohort_of, contrasts
from brats_unet.evaluation.score import Row


def rows_of(case, region, dice, reference_mm3, prediction_mm3):
    return [
        Row(case, region, "dice", dice, "1"),
        Row(case, region, "volume_reference", reference_mm3, "mm3"),
        Row(case, region, "volume_prediction", prediction_mm3, "mm3"),
    ]


def test_false_positive_and_false_negative_follow_from_dice_and_volumes():
    (case,) = cohort_of(rows_of("a", "WT", 0.5, 6000.0, 2000.0)).cases  # 2 mL are shared
    one = case.regions[0]
    assert (one.reference, one.prediction, one.false_positive, one.false_negative) == (6.0, 2.0, 0.0, 4.0)


def test_of_an_empty_mask_all_of_the_other_is_wrong_whatever_dice_the_protocol_gives():
    rows = (
        rows_of("a", "WT", 1.0, 0.0, 0.0) + rows_of("a", "TC", 0.0, 0.0, 3000.0) + rows_of("a", "ET", 0.0, 5000.0, 0.0)
    )
    sizes = [(one.false_positive, one.false_negative) for one in cohort_of(rows).cases[0].regions]
    assert sizes == [(0.0, 0.0), (3.0, 0.0), (0.0, 5.0)]


def test_cases_without_a_defined_dice_come_first_and_are_in_neither_group():
    rows = [row for i in range(24) for row in rows_of(f"{i:02}", "WT", math.nan if i < 2 else i / 24, 1000.0, 1000.0)]
    cohort = cohort_of(rows)
    assert [one.case for one in cohort.cases[:3]] == ["00", "01", "02"]
    assert [one.case for one in cohort.worst] == ["02", "03", "04", "05", "06"]
    assert len(cohort.rest) == 17


def test_the_mean_dice_leaves_out_undefined_regions():
    rows = rows_of("a", "WT", 0.8, 1000.0, 1000.0) + rows_of("a", "ET", math.nan, 0.0, 0.0)
    assert cohort_of(rows).cases[0].dice == 0.8


def test_voxels_are_the_unit_where_there_are_no_volumes():
    rows = [Row("a", "WT", name, 7.0, "") for name in ("voxels_reference", "voxels_prediction")]
    cohort = cohort_of([Row("a", "WT", "dice", 1.0, "1"), *rows])
    assert (cohort.unit, cohort.cases[0].largest.reference) == ("voxels", 7.0)


def test_nothing_is_compared_in_a_handful():
    rows = [row for i in range(19) for row in rows_of(str(i), "WT", i / 19, 1000.0, 1000.0)]
    assert contrasts(cohort_of(rows)) == []


@pytest.mark.parametrize("known", [0, 3, 20])
def test_only_cases_with_known_facts_are_counted(known):
    rows = [row for i in range(20) for row in rows_of(f"{i:02}", "WT", i / 20, 1000.0, 1000.0)]
    facts = [
        CaseFacts(f"{i:02}", "WT", "", "t1ce" if i < 2 else "none", 155, 9, 1, 1, 0, math.nan, 0.5, 0.5, 0.5)
        for i in range(known)
    ]
    found = {one.what: one for one in contrasts(cohort_of(rows, facts))}
    assert ("lacks a sequence" in found) == bool(known)
    if known:
        one = found["lacks a sequence"]
        assert (sum(one.worst), len(one.worst)) == (2, min(known, 5))
        assert (sum(one.rest), len(one.rest)) == (0, max(0, known - 5))
        assert "touches the edge of the head or brain" not in found  # unknown for all


def test_each_absent_sequence_is_counted_on_its_own_if_there_are_several():
    rows = [row for i in range(20) for row in rows_of(f"{i:02}", "WT", i / 20, 1000.0, 1000.0)]
    lacks = {0: "t1 t1ce", 1: "t1ce", 19: "t1"}
    facts = [
        CaseFacts(f"{i:02}", "WT", "", lacks.get(i, "none"), 155, 9, 1, 1, 0, 0.0, 0.5, 0.5, 0.5) for i in range(20)
    ]
    found = {one.what: (sum(one.worst), sum(one.rest)) for one in contrasts(cohort_of(rows, facts))}
    assert (found["lacks a sequence"], found["lacks T1"], found["lacks T1ce"]) == ((2, 1), (1, 1), (2, 0))
