import numpy as np
import pytest
from keras import ops

from brats_unet.losses.overlap import generalised_dice_loss, tversky_loss


def volumes(voxels):
    """Voxels (B, n) or (B, n, K) as float32 (B, n, 1, 1, K)."""
    voxels = np.array(voxels, "float32")
    return ops.convert_to_tensor(voxels.reshape(*voxels.shape[:2], 1, 1, -1))


def dice(probabilities, masks, smooth=1e-5, batch_dice=False, **weights):
    found = tversky_loss(volumes(probabilities), volumes(masks), smooth=smooth, batch_dice=batch_dice, **weights)
    return ops.convert_to_numpy(found)[:, 0].tolist()


def generalised(probabilities, masks, smooth=0.0, batch_dice=False):
    found = generalised_dice_loss(volumes(probabilities), volumes(masks), smooth=smooth, batch_dice=batch_dice)
    return ops.convert_to_numpy(found)[:, 0].tolist()


def random_masks(*shape):
    rng = np.random.default_rng(0)
    return rng.random(shape), rng.integers(0, 2, shape)


def test_a_perfect_mask_loses_nothing():
    assert dice([[1, 1, 0, 0]], [[1, 1, 0, 0]]) == [0.0]


def test_two_empty_masks_lose_nothing():
    assert dice([[0, 0]], [[0, 0]]) == [0.0]


def test_masks_apart_lose_all():
    assert dice([[1, 0]], [[0, 1]]) == pytest.approx([1.0], abs=1e-5)


def test_half_a_voxel_of_one_loses_a_third():
    assert dice([[0.5, 0]], [[1, 0]], smooth=0.0) == pytest.approx([1 / 3])  # 1 - 2 · 0.5 / (0.5 + 1)


def test_smoothing_stands_above_and_below_the_bar():
    assert dice([[1, 0]], [[0, 0]], smooth=1.0) == pytest.approx([0.5])  # 1 - (0 + 1) / (1 + 1)


def test_without_smoothing_an_empty_reference_loses_all_whatever_is_predicted():
    assert dice([[0, 0], [0.5, 0], [1, 1]], [[0, 0]] * 3, smooth=0.0) == [1.0, 1.0, 1.0]


def test_each_sample_is_counted_alone():
    assert dice([[1, 1], [1, 0]], [[1, 1], [0, 1]]) == pytest.approx([0.0, 1.0], abs=1e-5)


def test_batch_dice_counts_the_voxels_of_all_samples_and_gives_each_the_same():
    found = dice([[1, 1], [1, 0]], [[1, 1], [0, 1]], smooth=0.0, batch_dice=True)
    assert found == pytest.approx([1 / 3, 1 / 3])  # 1 - 2 · 2 / (3 + 3)


def test_batch_dice_of_one_sample_is_its_dice():
    probabilities, masks = [[0.9, 0.2, 0.4]], [[1, 0, 1]]
    assert dice(probabilities, masks, batch_dice=True) == dice(probabilities, masks)


def test_masks_of_one_batch_are_kept_apart_by_kind():
    probabilities = ops.convert_to_tensor(np.array([[[[1.0, 0.0]]]], "float32"))  # 4-D: slices
    masks = ops.convert_to_tensor(np.array([[[[1.0, 1.0]]]], "float32"))
    found = ops.convert_to_numpy(tversky_loss(probabilities, masks, smooth=0.0, batch_dice=False))
    assert found.tolist() == [[0.0, 1.0]]


# Tversky


def test_a_missed_voxel_and_one_too_many_cost_what_was_asked():
    # One voxel shared, one missed, one too many: 1 - 1 / (1 + cost).
    costs = {"smooth": 0.0, "false_positives": 0.25, "false_negatives": 1.0}
    assert dice([[1, 0]], [[1, 1]], **costs) == pytest.approx([1 - 1 / 2])
    assert dice([[1, 1]], [[1, 0]], **costs) == pytest.approx([1 - 1 / 1.25])


def test_with_whole_costs_it_is_one_minus_the_jaccard_index():
    probabilities, masks = np.eye(3)[:2].sum(axis=0)[None], np.eye(3)[1:].sum(axis=0)[None]
    assert dice(probabilities, masks, smooth=0.0, false_positives=1.0, false_negatives=1.0) == pytest.approx(
        [1 - 1 / 3]
    )


def test_with_halves_it_is_one_minus_dice():
    probabilities, masks = random_masks(3, 50)
    expected = 1 - 2 * (probabilities * masks).sum(axis=1) / (probabilities.sum(axis=1) + masks.sum(axis=1))
    assert dice(probabilities, masks, smooth=0.0) == pytest.approx(expected, rel=1e-5)


def test_exchanging_the_costs_is_exchanging_the_masks():
    one, other = np.random.default_rng(1).integers(0, 2, (2, 4, 50))
    forwards = dice(one, other, false_positives=0.2, false_negatives=0.9)
    assert forwards == pytest.approx(dice(other, one, false_positives=0.9, false_negatives=0.2), rel=1e-5)


def test_focal_tversky_is_a_power_of_tversky_and_with_power_1_tversky_itself():
    probabilities, masks = random_masks(3, 50)
    weights = {"false_positives": 0.3, "false_negatives": 0.7}
    plain = np.array(dice(probabilities, masks, **weights))
    assert dice(probabilities, masks, power=0.75, **weights) == pytest.approx(plain**0.75, rel=1e-5)
    assert dice(probabilities, masks, power=1.0, **weights) == plain.tolist()


# Generalised Dice


def test_equal_volumes_make_generalised_dice_the_dice_of_the_pooled_voxels():
    probabilities = np.random.default_rng(0).random((2, 12, 3))
    masks = np.stack([np.roll(np.arange(12) < 5, shift) for shift in (0, 3, 6)], axis=-1)[None].repeat(2, axis=0)
    pooled = dice(probabilities.reshape(2, 36), masks.reshape(2, 36))
    assert generalised(probabilities, masks, smooth=1e-5) == pytest.approx(pooled, rel=1e-4)


def test_a_mask_of_four_voxels_weighs_a_sixteenth_of_one_of_one():
    # Four voxels found, the one missed: 1 - 2 (4/16 + 0) / ((4 + 4)/16 + (0 + 1)).
    masks = [[[1, 0], [1, 0], [1, 0], [1, 0], [0, 1]]]
    probabilities = [[[1, 0], [1, 0], [1, 0], [1, 0], [0, 0]]]
    assert generalised(probabilities, masks) == pytest.approx([1 - 0.5 / 1.5])


def test_an_absent_mask_weighs_as_the_smallest_present_one():
    # Two voxels found, one claimed for the absent mask: 1 - 2 · 2 / (4 + 1).
    assert generalised([[[1, 0], [1, 1]]], [[[1, 0], [1, 0]]]) == pytest.approx([1 - 4 / 5])


def test_generalised_dice_of_masks_all_empty_and_all_right_is_0():
    assert generalised([[[0, 0], [0, 0]]], [[[0, 0], [0, 0]]], smooth=1e-5) == [0.0]
    assert generalised([[[1, 0], [0, 1]]], [[[1, 0], [0, 1]]]) == [0.0]


def test_generalised_dice_over_the_batch_counts_its_voxels_together():
    masks, probabilities = [[[1, 0], [0, 0]], [[0, 1], [0, 0]]], [[[1, 0], [0, 0]], [[0, 0], [0, 0]]]
    assert generalised(probabilities, masks, batch_dice=True) == pytest.approx([1 - 2 / 3] * 2)
