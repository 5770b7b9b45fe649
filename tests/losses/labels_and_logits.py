"""Random labels and logits, for the tests of losses."""

import numpy as np
from keras import ops

from brats_unet import anatomy


def labels_of(*shape, seed=0, values=(0, 1, 2, 4)):
    """Label maps of `shape`, uint8."""
    return np.random.default_rng(seed).choice(values, size=shape).astype("uint8")


def logits_of(loss, labels, seed=1):
    """Normal logits of standard deviation 3, float32."""
    shape = (*labels.shape, loss.logits)
    return 3 * np.random.default_rng(seed).normal(size=shape).astype("float32")


def certain(loss, labels, by=50.0):
    """Logits of a network that is certain of `labels`."""
    if loss.outputs == "regions":
        masks = anatomy.region_masks(labels)
    else:
        masks = np.stack([labels == label for label in anatomy.CLASSES], axis=-1)
    return np.where(masks, by, -by).astype("float32")


def value(loss, logits, labels):
    """The loss of each sample, as NumPy."""
    return ops.convert_to_numpy(loss.per_sample(ops.convert_to_tensor(logits), ops.convert_to_tensor(labels)))
