"""Losses of cases under rules: by hand, and each computed once."""

import numpy as np
import pytest

from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.rule_losses import LEAST_GAIN, HeldOut, Losses
from tests.inference.scheme_examples import FIVE, GLIOMA

DEFAULT = Postprocessing()
LOW = Postprocessing(threshold={"WT": 0.4, "TC": 0.5, "ET": 0.5})


@pytest.fixture
def case():
    """A reference WT of 4 voxels; the prediction has 2 of them at 0.9 and the other 2 at 0.45."""
    reference = np.zeros((6, 1, 1, 3), bool)
    reference[1:5, ..., 0] = True
    probabilities = np.zeros((6, 1, 1, 3), np.float16)
    probabilities[1:3, ..., 0], probabilities[3:5, ..., 0] = 0.9, 0.45
    return HeldOut("case", "patient", probabilities, reference, (1.0, 1.0, 2.0))


def test_losses_by_hand(case):
    first = np.array([0])
    assert Losses([case], "dice", GLIOMA).of(first, [DEFAULT, LOW])[0, :, 0, 0] == pytest.approx([1 / 3, 0])
    assert Losses([case], "dice", GLIOMA).of(first, [DEFAULT, LOW]).shape == (1, 2, 3, 1)
    assert Losses([case], "hd95", GLIOMA).of(first, [LOW])[0, 0].tolist() == [[0], [0], [0]]
    gains = Losses([case], "dice", GLIOMA).gains(np.array([[[0.5]]]), np.array([[[0.25]]]))
    assert gains.tolist() == [[0.25]]


def test_the_first_candidate_wins_a_tie(case):
    losses = Losses([case], "dice", GLIOMA)
    assert losses.best(losses.of(np.array([0]), [DEFAULT, DEFAULT])) == 0
    assert losses.best(losses.of(np.array([0]), [DEFAULT, LOW, LOW])) == 1


def test_a_loss_is_computed_once(case):
    losses = Losses([case], "rank", GLIOMA)
    first = losses.of(np.array([0]), [DEFAULT, LOW])
    assert first.shape == (1, 2, 3, 2) and len(losses.known) == 2
    np.testing.assert_array_equal(losses.of(np.array([0]), [DEFAULT, LOW]), first)


def test_losses_of_overlapping_regions_are_one_per_region():
    """Voxel 1 is b, in R1 and R2; with a high threshold for R2 it becomes a, in R1 and R5."""
    labels = np.array([0, 2, 2], np.uint8).reshape(3, 1, 1)
    reference = FIVE.predicted_masks(labels)
    probabilities = np.where(reference, 0.9, 0.1).astype(np.float32)
    probabilities[1, ..., 1] = 0.6
    held_out = HeldOut("case", "patient", probabilities, reference, (1.0, 1.0, 1.0))
    found = Losses([held_out], "dice", FIVE).of(np.array([0]), [DEFAULT, Postprocessing(threshold={"R2": 0.7})])
    assert found[0, 0, :, 0].tolist() == [0, 0, 0, 0, 0]
    assert found[0, 1, :, 0] == pytest.approx([0, 1 / 3, 0, 0, 1])


def test_a_rule_is_adopted_from_a_ten_thousandth_of_dice_a_hundredth_of_a_mm_or_a_millionth_of_the_scores():
    assert LEAST_GAIN == {"dice": 0.0001, "hd95": 0.01, "rank": 0.000001}


def test_of_ranks_a_gain_is_the_share_of_scores_that_are_better_and_half_a_billionth_is_none(case):
    before = np.array([[[0.5, 8.0]], [[0.5, 8.0]], [[0.5, 8.0]]])
    after = before - [[[0.25, 3.0]], [[0.25, -1.0]], [[4e-10, 0.0]]]
    assert Losses([case], "rank", GLIOMA).gains(before, after).tolist() == [[1], [0], [0]]
    assert Losses([case], "hd95", GLIOMA).gains(before[..., 1:], after[..., 1:]).tolist() == [[3], [-1], [0]]


def test_the_best_candidate_has_the_lowest_mean_loss_or_the_lowest_mean_rank():
    """Shape (2 cases, 2 candidates, 1 region, 1 metric): the second is better in one case by much, worse in one."""
    losses = np.array([[0.5, 0.1], [0.2, 0.3]]).reshape(2, 2, 1, 1)
    assert Losses([], "dice", GLIOMA).best(losses) == 1
    assert Losses([], "rank", GLIOMA).best(losses) == 0  # one case each: the first of a tie
    assert Losses([], "rank", GLIOMA).best(losses[:1]) == 1
    assert Losses([], "dice", GLIOMA).best(np.array([0.5 + 9e-7, 0.5]).reshape(1, 2, 1, 1)) == 0
    assert Losses([], "dice", GLIOMA).best(np.array([0.5 + 2e-6, 0.5]).reshape(1, 2, 1, 1)) == 1


def test_distances_are_in_millimetres_and_an_empty_prediction_is_as_far_as_in_brats_2020(case):
    losses = Losses([case], "rank", GLIOMA).of(np.array([0]), [DEFAULT, Postprocessing(threshold={"WT": 1.0})])
    assert losses[0, :, 0, 0].tolist() == pytest.approx([1 / 3, 1])
    assert losses[0, :, 0, 1].tolist() == pytest.approx([1.85, 373.12866])
