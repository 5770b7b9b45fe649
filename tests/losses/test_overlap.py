import numpy as np
import pytest
from keras import ops

from brats_unet.losses.overlap import dice_loss


def dice(probabilities, masks, smooth=1e-5, batch_dice=False):
    shape = (len(probabilities), -1, 1, 1, 1)
    found = dice_loss(
        ops.convert_to_tensor(np.reshape(np.array(probabilities, "float32"), shape)),
        ops.convert_to_tensor(np.reshape(np.array(masks, "float32"), shape)),
        smooth=smooth,
        batch_dice=batch_dice,
    )
    return ops.convert_to_numpy(found)[:, 0].tolist()


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
    found = ops.convert_to_numpy(dice_loss(probabilities, masks, smooth=0.0, batch_dice=False))
    assert found.tolist() == [[0.0, 1.0]]
