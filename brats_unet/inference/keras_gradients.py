"""Grad-CAM of a Keras model: where the features of a layer raise a region, by the gradient of its log-odds."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy.ndimage import zoom

from brats_unet.errors import SettingsError
from brats_unet.inference.predictor import SLICES_AT_ONCE
from brats_unet.schemes.scheme import Scheme
from brats_unet.spelling import suggestion

DEEPEST = "encoder_"  # how the names of the encoder's layers start; see `models.encoder_decoder`


class KerasGradients:
    """Grad-CAM of a network of patches (B, X, Y, Z, M), or of slices (B, X, Y, M).

    Args:
        model: Network whose first output holds logits at full resolution.
        outputs: Meaning of the logits: "regions" or "labels".
        scheme: What the regions and classes are.

    Attributes:
        slices: Whether it is a network of slices; the weights of its features then differ from slice to slice.
    """

    def __init__(self, model: keras.Model, outputs: str, scheme: Scheme) -> None:
        self.model, self.outputs, self.scheme = model, outputs, scheme
        self.slices = len(model.inputs[0].shape) == 4

    def layer(self, name: str | None) -> str:
        """A layer by its name; None is the last one of the encoder, which sees most of the scan.

        Raises:
            SettingsError: There is no such layer, it gives no features in space, or the network names no encoder.
        """
        rank = len(self.model.inputs[0].shape)
        spatial = [one.name for one in self.model.layers if len(getattr(one.output, "shape", ())) == rank]
        encoder = [one for one in spatial if one.startswith(DEEPEST)]
        if name is None and encoder:
            return encoder[-1]
        if name is None or name not in spatial:
            found = "Give layer=…" if name is None else f"layer={name}: the network has no such layer of features"
            raise SettingsError(f"{found}. {suggestion(name or '', spatial)}")
        return name

    def heat(self, image: np.ndarray, mask: np.ndarray, region: str, layer: str) -> np.ndarray:
        """Sum of a layer's features, weighted by their mean gradient, where it is positive; float32 (X, Y, Z).

        The gradient is that of log(p / (1 - p)), summed over a mask, where p is the probability of the region: the
        logit itself if the network predicts regions.

        Args:
            image: Prepared scans, shape (X, Y, Z, M), with lengths that are multiples of the network's stride.
            mask: Voxels to explain, bool (X, Y, Z).
            region: One of `scheme.predicted`.
            layer: Name of a layer; see `layer`.

        Source:
            Selvaraju et al. 2017, arXiv:1610.02391; for segmentation Vinogradova et al. 2020, arXiv:2002.11434.
        """
        probe = keras.Model(self.model.inputs, [self.model.get_layer(layer).output, self.model.outputs[0]])
        log_odds = self._log_odds(region)
        if not self.slices:
            return _heat(probe, log_odds, image[None], mask[None])[0]
        heat = np.zeros(mask.shape, np.float32)
        shown = np.flatnonzero(mask.any((0, 1)))
        for first in range(0, len(shown), SLICES_AT_ONCE):
            these = shown[first : first + SLICES_AT_ONCE]
            found = _heat(probe, log_odds, np.moveaxis(image[:, :, these], 2, 0), np.moveaxis(mask[..., these], 2, 0))
            heat[:, :, these] = np.moveaxis(found, 0, 2)
        return heat

    def _log_odds(self, region: str) -> Callable[[tf.Tensor], tf.Tensor]:
        """Logits (…, C) to the log-odds of a region."""
        if self.outputs == "regions":
            index = self.scheme.predicted.index(region)
            return lambda logits: logits[..., index]
        inside = np.isin(self.scheme.class_values, self.scheme.values(region))
        within, without = np.flatnonzero(inside).tolist(), np.flatnonzero(~inside).tolist()
        return lambda logits: (
            tf.reduce_logsumexp(tf.gather(logits, within, axis=-1), -1)
            - tf.reduce_logsumexp(tf.gather(logits, without, axis=-1), -1)
        )


def _heat(
    probe: keras.Model, log_odds: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray, masks: np.ndarray
) -> np.ndarray:
    with tf.GradientTape() as tape:
        images = tf.constant(images, tf.float32)
        tape.watch(images)  # so that the features are recorded, also if no weight is trained
        features, logits = probe(images, training=False)
        score = tf.reduce_sum(log_odds(tf.cast(logits, tf.float32)) * tf.constant(masks, tf.float32))
    slopes = tf.cast(tape.gradient(score, features), tf.float32)
    space = list(range(1, len(slopes.shape) - 1))
    weights = tf.reduce_mean(slopes, space, keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * tf.cast(features, tf.float32), -1)).numpy()
    factors = [wanted / given for wanted, given in zip(masks.shape[1:], heat.shape[1:], strict=True)]
    return np.stack([zoom(one, factors, order=1, mode="nearest", grid_mode=True) for one in heat])
