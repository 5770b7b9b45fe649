"""Brier score and expected calibration error."""

import numpy as np
import pytest

from brats_unet.metrics.calibration import BRIER, ECE, brier, calibration_box, expected_calibration_error


def mask(share: float = 0.3, shape=(12, 10, 8)) -> np.ndarray:
    return np.random.default_rng(4).random(shape) < share


def test_a_certain_and_right_answer_has_neither_error():
    reference = mask()
    assert brier(reference, reference.astype(np.float32)) == 0.0
    assert expected_calibration_error(reference, reference.astype(np.float32)) == 0.0


def test_a_certain_and_wrong_answer_has_both_at_their_largest():
    reference = mask()
    assert brier(reference, (~reference).astype(np.float32)) == 1.0
    assert expected_calibration_error(reference, (~reference).astype(np.float32)) == 1.0


def test_by_hand_two_bins():
    reference = np.array([False, True, True, True])
    probabilities = np.array([0.2, 0.4, 0.6, 1.0])
    # lower bin: mean 0.3, share 0.5; upper: mean 0.8, share 1
    assert expected_calibration_error(reference, probabilities, bins=2) == pytest.approx(0.5 * 0.2 + 0.5 * 0.2)
    assert brier(reference, probabilities) == pytest.approx((0.04 + 0.36 + 0.16 + 0) / 4)


def test_saying_the_share_everywhere_is_calibrated_and_not_sharp():
    reference = mask()
    stated = np.full(reference.shape, reference.mean())
    assert expected_calibration_error(reference, stated) == pytest.approx(0, abs=1e-12)
    assert brier(reference, stated) == pytest.approx(reference.mean() * (1 - reference.mean()))


def test_one_bin_sees_only_the_means():
    reference, stated = mask(), np.random.default_rng(5).random((12, 10, 8))
    expected = abs(stated.mean() - reference.mean())
    assert expected_calibration_error(reference, stated, bins=1) == pytest.approx(expected)


def test_the_order_of_voxels_does_not_matter():
    reference, stated = mask(), np.random.default_rng(5).random((12, 10, 8)).astype(np.float32)
    turned = expected_calibration_error(reference[::-1], stated[::-1])
    assert turned == pytest.approx(expected_calibration_error(reference, stated), abs=1e-12)


def test_it_is_judged_ten_voxels_around_the_tumour_and_within_the_grid():
    tumour = np.zeros((40, 40, 12), bool)
    tumour[15:20, 2, 5] = True
    box = calibration_box(tumour)
    assert (box.start, box.stop) == ((5, 0, 0), (30, 13, 12))


def test_without_a_tumour_it_is_judged_over_the_whole_grid():
    box = calibration_box(np.zeros((4, 5, 6), bool))
    assert (box.start, box.stop) == ((0, 0, 0), (4, 5, 6))


@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_what_is_no_probability_is_refused(value):
    stated = np.full((2, 2, 2), 0.5)
    stated[0, 0, 0] = value
    with pytest.raises(ValueError, match="The probabilities lie from .* Expected 0 to 1"):
        brier(np.zeros((2, 2, 2), bool), stated)


def test_other_shapes_and_no_bins_are_refused():
    with pytest.raises(ValueError, match="Expected a bool mask and probabilities of the same shape"):
        brier(np.zeros((2, 2), bool), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="bins is 0. Expected at least 1"):
        expected_calibration_error(np.zeros((2, 2), bool), np.zeros((2, 2)), bins=0)


def test_the_records_have_the_names_by_which_scores_are_found():
    assert (BRIER.name, ECE.name) == ("brier", "ece")


def test_one_voxel_is_enough_and_none_is_refused():
    assert brier(np.array([True]), np.array([0.5])) == 0.25
    with pytest.raises(ValueError, match="Expected a bool mask and probabilities of the same shape"):
        brier(np.zeros(0, bool), np.zeros(0))
