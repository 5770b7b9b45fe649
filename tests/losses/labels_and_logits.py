"""Random labels and logits, for the tests of losses."""

import numpy as np
from keras import ops

from brats_unet.losses.compound import masks_of
from brats_unet.schemes.scheme_file import builtin


def labels_of(*shape, seed=0, values=(0, 1, 2, 4)):
    """Label maps of `shape`, uint8."""
    return np.random.default_rng(seed).choice(values, size=shape).astype("uint8")


def logits_of(loss, labels, seed=1):
    """Normal logits of standard deviation 3, float32."""
    shape = (*labels.shape, len(builtin().of_channels(loss.outputs)))
    return 3 * np.random.default_rng(seed).normal(size=shape).astype("float32")


def certain(loss, labels, by=50.0):
    """Logits of a network that is certain of `labels`."""
    masks = ops.convert_to_numpy(masks_for(loss, labels))
    return np.where(masks > 0, by, -by).astype("float32")


def masks_for(loss, labels):
    """The masks that the logits of a loss stand for."""
    return masks_of(ops.convert_to_tensor(labels), loss.outputs, builtin())


def value(loss, logits, labels):
    """The loss of each sample, as NumPy."""
    return ops.convert_to_numpy(loss.per_sample(ops.convert_to_tensor(logits), masks_for(loss, labels)))
