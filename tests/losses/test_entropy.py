import math

import keras
import numpy as np
import pytest
from keras import ops

from brats_unet.losses.entropy import binary_cross_entropy, cross_entropy


def tensors(*arrays):
    return [ops.convert_to_tensor(np.asarray(array, "float32")) for array in arrays]


def random_logits(*shape):
    return 4 * np.random.default_rng(3).normal(size=shape).astype("float32")


def test_an_undecided_mask_costs_ln_2():
    logits, masks = tensors(np.zeros((2, 3, 2, 1)), np.ones((2, 3, 2, 1)))
    assert ops.convert_to_numpy(binary_cross_entropy(logits, masks)) == pytest.approx([math.log(2)] * 2)


def test_a_logit_of_ln_3_inside_costs_ln_four_thirds_and_outside_ln_4():
    logits, masks = tensors(np.full((2, 1, 1, 1), math.log(3)), np.reshape([1, 0], (2, 1, 1, 1)))
    assert ops.convert_to_numpy(binary_cross_entropy(logits, masks)) == pytest.approx([math.log(4 / 3), math.log(4)])


def test_of_independent_masks_it_is_keras_binary_cross_entropy():
    logits, masks = random_logits(2, 3, 4, 5, 3), np.random.default_rng(0).integers(0, 2, (2, 3, 4, 5, 3))
    expected = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)(
        masks.reshape(2, -1), logits.reshape(2, -1)
    )
    found = binary_cross_entropy(*tensors(logits, masks))
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(expected), rtol=1e-5)


def test_equal_logits_of_four_classes_cost_ln_4():
    logits, one_hot = tensors(np.full((1, 2, 2, 4), 7.0), np.eye(4)[[[[0, 1], [2, 3]]]])
    assert ops.convert_to_numpy(cross_entropy(logits, one_hot)) == pytest.approx([math.log(4)])


def test_of_exclusive_classes_it_is_keras_categorical_cross_entropy():
    logits, classes = random_logits(2, 3, 4, 5, 4), np.random.default_rng(0).integers(0, 4, (2, 3, 4, 5))
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)(classes, logits)
    found = cross_entropy(*tensors(logits, np.eye(4)[classes]))
    np.testing.assert_allclose(
        ops.convert_to_numpy(found), ops.convert_to_numpy(expected).mean(axis=(1, 2, 3)), rtol=1e-5
    )


def test_two_classes_are_one_mask():
    logits, mask = random_logits(2, 3, 3, 3, 1), np.random.default_rng(0).integers(0, 2, (2, 3, 3, 3, 1))
    both = np.concatenate([np.zeros_like(logits), logits], axis=-1)
    softmax = cross_entropy(*tensors(both, np.concatenate([1 - mask, mask], axis=-1)))
    sigmoid = binary_cross_entropy(*tensors(logits, mask))
    np.testing.assert_allclose(ops.convert_to_numpy(softmax), ops.convert_to_numpy(sigmoid), rtol=1e-5)


# Focal loss


def test_focal_loss_of_a_sure_three_quarters_by_hand():
    # p = 3/4 of the truth: (1/4)² · ln 4/3.
    logits, masks = tensors(np.full((1, 1, 1, 1), math.log(3)), np.ones((1, 1, 1, 1)))
    found = ops.convert_to_numpy(binary_cross_entropy(logits, masks, focus=2.0))
    assert found == pytest.approx([math.log(4 / 3) / 16])


def test_focal_loss_of_equal_classes_by_hand():
    logits, one_hot = tensors(np.zeros((1, 2, 2, 4)), np.eye(4)[[[[0, 1], [2, 3]]]])
    assert ops.convert_to_numpy(cross_entropy(logits, one_hot, focus=1.0)) == pytest.approx([math.log(4) * 3 / 4])


@pytest.mark.parametrize("focus", [0.5, 2.0])
def test_of_independent_masks_it_is_keras_binary_focal_loss(focus):
    logits, masks = random_logits(2, 3, 4, 5, 3) / 2, np.random.default_rng(0).integers(0, 2, (2, 3, 4, 5, 3))
    loss = keras.losses.BinaryFocalCrossentropy(gamma=focus, from_logits=True, reduction=None)
    expected = loss(masks.reshape(2, -1), logits.reshape(2, -1))
    found = binary_cross_entropy(*tensors(logits, masks), focus=focus)
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(expected), rtol=1e-4)


@pytest.mark.parametrize("focus", [0.5, 2.0])
def test_of_exclusive_classes_it_is_keras_categorical_focal_loss(focus):
    logits, classes = random_logits(2, 3, 4, 5, 4) / 2, np.random.default_rng(0).integers(0, 4, (2, 3, 4, 5))
    one_hot = np.eye(4, dtype="float32")[classes]
    loss = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=focus, from_logits=True, reduction=None)
    expected = ops.convert_to_numpy(loss(one_hot, logits)).mean(axis=(1, 2, 3))
    found = cross_entropy(*tensors(logits, one_hot), focus=focus)
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, rtol=1e-4)


@pytest.mark.parametrize("entropy", [binary_cross_entropy, cross_entropy])
def test_focal_loss_comes_to_cross_entropy_as_its_focus_comes_to_0(entropy):
    logits, classes = tensors(
        random_logits(2, 3, 4, 5, 4), np.eye(4)[np.random.default_rng(0).integers(0, 4, (2, 3, 4, 5))]
    )
    limit = ops.convert_to_numpy(entropy(logits, classes, focus=1e-7))
    np.testing.assert_allclose(limit, ops.convert_to_numpy(entropy(logits, classes)), rtol=1e-5)
