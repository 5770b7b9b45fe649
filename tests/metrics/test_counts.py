"""Scores that follow from four counts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brats_unet.metrics.counts import (
    Counts,
    accuracy,
    count,
    dice,
    iou,
    precision,
    sensitivity,
    specificity,
    volume_difference_mm3,
    volume_difference_relative,
    volume_mm3,
)
from brats_unet.metrics.protocols import PROTOCOLS

RULES = PROTOCOLS["brats2020"]
EMPTY = np.zeros((4, 5, 6), bool)


def line(*voxels: int) -> np.ndarray:
    mask = np.zeros((10, 1, 1), bool)
    mask[list(voxels)] = True
    return mask


def test_two_of_three_voxels_found_and_one_claimed_falsely_by_hand():
    counts = count(line(1, 2, 3), line(2, 3, 4))
    assert counts == Counts(true_positive=2, false_positive=1, false_negative=1, true_negative=6)
    assert dice(counts, RULES.dice) == pytest.approx(4 / 6)
    assert sensitivity(counts, RULES.sensitivity) == pytest.approx(2 / 3)
    assert precision(counts, RULES.precision) == pytest.approx(2 / 3)
    assert specificity(counts) == pytest.approx(6 / 7)
    assert accuracy(counts) == pytest.approx(8 / 10)


def test_voxels_outside_a_crop_are_true_negatives():
    assert count(line(1), line(1), outside_voxels=90).true_negative == 99


def test_a_perfect_prediction_scores_1_everywhere():
    counts = count(line(1, 2), line(1, 2))
    scores = (dice(counts, RULES.dice), sensitivity(counts, RULES.sensitivity), precision(counts, RULES.precision))
    assert scores == (1, 1, 1)
    assert (specificity(counts), accuracy(counts)) == (1, 1)


def test_both_empty_scores_1_under_brats2020():
    counts = count(EMPTY, EMPTY)
    scores = (dice(counts, RULES.dice), sensitivity(counts, RULES.sensitivity), precision(counts, RULES.precision))
    assert scores == (1, 1, 1)
    assert (specificity(counts), accuracy(counts)) == (1, 1)


@pytest.mark.parametrize("swapped", [False, True])
def test_one_empty_scores_0_under_brats2020(swapped):
    masks = (line(), line(4))[:: -1 if swapped else 1]
    counts = count(*masks)
    assert (dice(counts, RULES.dice), sensitivity(counts, RULES.sensitivity), precision(counts, RULES.precision)) == (
        0,
        0,
        0,
    )


def test_specificity_of_a_reference_that_fills_the_grid_is_1():
    assert specificity(count(~EMPTY, EMPTY)) == 1


def test_eight_voxels_of_half_a_cubic_millimetre_are_4_mm3():
    assert volume_mm3(8, (0.5, 1.0, 1.0)) == 4.0


masks = st.integers(0, 2**10 - 1).map(lambda bits: line(*[i for i in range(10) if bits >> i & 1]))


@given(masks, masks)
def test_exchanging_the_masks_keeps_dice_and_exchanges_sensitivity_and_precision(one, two):
    there, back = count(one, two), count(two, one)
    assert dice(there, RULES.dice) == dice(back, RULES.dice)
    assert sensitivity(there, RULES.sensitivity) == precision(back, RULES.precision)
    assert accuracy(there) == accuracy(back)


@given(masks, masks)
def test_dice_is_the_harmonic_mean_of_sensitivity_and_precision(one, two):
    counts = count(one, two)
    found, right = sensitivity(counts, RULES.sensitivity), precision(counts, RULES.precision)
    expected = 2 * found * right / (found + right) if found + right else 0.0
    assert dice(counts, RULES.dice) == pytest.approx(expected)


def test_masks_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="do not share one grid"):
        count(EMPTY, EMPTY[:2])


def test_masks_that_are_not_bool_are_refused():
    with pytest.raises(ValueError, match="bool arrays, not uint8"):
        count(EMPTY.astype(np.uint8), EMPTY)


def test_iou_is_dice_over_2_less_dice():
    found = Counts(true_positive=6, false_positive=2, false_negative=4, true_negative=9)
    assert iou(found, RULES.iou) == 0.5
    share = dice(found, RULES.dice)
    assert iou(found, RULES.iou) == pytest.approx(share / (2 - share))


def test_volume_differences_are_prediction_less_reference():
    found = Counts(true_positive=6, false_positive=2, false_negative=4, true_negative=9)
    assert volume_difference_mm3(found, (1.0, 2.0, 3.0)) == -12.0
    assert volume_difference_relative(found) == -0.2


def test_a_difference_relative_to_nothing_is_undefined_unless_nothing_was_claimed():
    assert math.isnan(volume_difference_relative(Counts(0, 3, 0, 1)))
    assert volume_difference_relative(Counts(0, 0, 0, 4)) == 0.0
