"""What holds for every loss in the table, built with the options that it declares in its own file."""

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from brats_unet.losses import LOSSES
from brats_unet.parts import contract_options_of
from brats_unet.schemes.scheme_file import builtin
from tests.losses.labels_and_logits import certain, labels_of, logits_of, masks_for, value

EVERY = [(name, options) for name, builder in LOSSES.items() for options in contract_options_of(builder)]
every_loss = pytest.mark.parametrize(("name", "options"), EVERY, ids=str)


@every_loss
@pytest.mark.parametrize("shape", [(3, 4, 4, 2), (3, 4, 4)], ids=["volumes", "slices"])
def test_every_loss_is_one_positive_float32_per_sample(name, options, shape):
    loss, labels = LOSSES[name](**options), labels_of(*shape)
    found = value(loss, logits_of(loss, labels), labels)
    assert found.shape == (3,) and found.dtype == np.float32 and (found > 0).all()


@every_loss
def test_a_certain_and_right_prediction_costs_nothing(name, options):
    loss, labels = LOSSES[name](**options), labels_of(2, 4, 4, 2)
    assert value(loss, certain(loss, labels), labels) == pytest.approx([0, 0], abs=1e-6)


@every_loss
def test_labels_may_be_uint8_or_int32_and_logits_bfloat16(name, options):
    loss, labels = LOSSES[name](**options), labels_of(2, 4, 4, 2)
    exact = value(loss, logits_of(loss, labels), labels)
    np.testing.assert_array_equal(value(loss, logits_of(loss, labels), labels.astype("int32")), exact)
    rough = loss.per_sample(ops.cast(logits_of(loss, labels), "bfloat16"), masks_for(loss, labels))
    assert rough.dtype == tf.float32
    np.testing.assert_allclose(ops.convert_to_numpy(rough), exact, rtol=0.01)


@every_loss
def test_other_samples_of_the_batch_change_a_loss_only_under_batch_dice(name, options):
    loss, labels = LOSSES[name](**options), labels_of(2, 4, 4, 2)
    logits = logits_of(loss, labels)
    together, alone = value(loss, logits, labels)[0], value(loss, logits[:1], labels[:1])[0]
    assert (together == pytest.approx(alone, rel=1e-5)) is not options.get("batch_dice", False)


@every_loss
def test_flipping_logits_and_labels_together_changes_nothing(name, options):
    loss, labels = LOSSES[name](**options), labels_of(2, 4, 4, 2)
    logits = logits_of(loss, labels)
    flipped = value(loss, logits[:, ::-1], labels[:, ::-1])
    np.testing.assert_allclose(flipped, value(loss, logits, labels), rtol=1e-5)


def extremes(loss, labels):
    """Logits of every sign at 10 000, logits of 0, and logits that are certain and right, or certain and wrong."""
    full = np.ones((*labels.shape, len(builtin().of_channels(loss.outputs))), "float32")
    return [1e4 * full, -1e4 * full, 0 * full, certain(loss, labels, 1e4), certain(loss, labels, -1e4)]


@every_loss
def test_value_and_gradient_are_finite_for_extreme_logits_and_masks(name, options):
    loss = LOSSES[name](**options)
    masks = [labels_of(2, 4, 4, 2, values=values) for values in ((0,), (4,), (0, 1, 2, 4))]  # empty, full, mixed
    batches = [(labels, logits) for labels in masks for logits in extremes(loss, labels)]
    if not options.get("batch_dice", False):  # samples are independent: all of them fit into one batch
        batches = [tuple(np.concatenate(arrays) for arrays in zip(*batches, strict=True))]
    for labels, extreme in batches:
        for dtype in (tf.float32, tf.bfloat16, tf.float16):
            logits = tf.cast(extreme, dtype)
            with tf.GradientTape() as tape:
                tape.watch(logits)
                found = loss.per_sample(logits, masks_for(loss, labels))
            assert np.isfinite(found.numpy()).all(), dtype
            assert np.isfinite(tf.cast(tape.gradient(found, logits), tf.float32).numpy()).all(), dtype
