"""A trained network as a function from prepared patches to region probabilities, from a run folder or a .keras file."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from brats_unet.anatomy import regions_from_classes
from brats_unet.data.preprocess import Preparation
from brats_unet.inference.memory import WholeVolume
from brats_unet.inference.predictor import Forward, refuse_unfit, tiled, whole
from brats_unet.inference.tta import axes_of, mirrored

SLICES_AT_ONCE = 16  # of a two-dimensional network, to bound memory


@dataclass(frozen=True)
class Network:
    """What prediction needs.

    Attributes:
        forward: Prepared patch to region probabilities.
        recipe: Of the run; see `recipe`.
        stride: Total stride of the network along x, y, z.
        say: Told, in a sentence, what a person should know of what happened on the way.
    """

    forward: Forward
    recipe: Mapping[str, Any]
    stride: tuple[int, int, int]
    say: Callable[[str], None] = lambda sentence: None
    memory: WholeVolume = field(init=False, repr=False, compare=False)
    said: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", WholeVolume(self.forward, self.stride))

    @cached_property
    def preparation(self) -> Preparation:
        """Of the scans that it takes."""
        return Preparation.from_dict(self.recipe["preparation"])

    @property
    def fills_missing(self) -> bool:
        """Whether it was trained with scans left out, so that zeros can stand for one that a case lacks."""
        return float(self.recipe.get("modality_dropout", 0)) > 0

    def told(self, **inference: Any) -> "Network":
        """The same network with other ways to predict: mode, tile, overlap, tile_batch, mirror.

        Raises:
            SettingsError: See `predictor.refuse_unfit`.
        """
        how = {**self.recipe["inference"], **inference}
        refuse_unfit(stride=self.stride, **how)
        return replace(self, recipe={**self.recipe, "inference": how})

    def members(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """Region probabilities float32 (X, Y, Z, R) of a prepared image, from each mirroring it is told to make."""
        axes = axes_of(self.recipe["inference"].get("mirror", "none"))
        return mirrored(self.on_prepared_grid, image, axes)

    def on_prepared_grid(self, image: np.ndarray) -> np.ndarray:
        """Region probabilities float32 (X, Y, Z, R) of a prepared image as it is, in the mode of the run.

        Where a whole volume does not fit the memory, tiles are taken instead, and that is said.
        """
        how = self.recipe["inference"]
        if how["mode"] == "whole":
            on_host = not tf.config.get_visible_devices("GPU")
            if not on_host or self.memory.fits(image):
                try:
                    return whole(self.forward, image, self.stride)
                except tf.errors.ResourceExhaustedError:
                    pass  # said below
            sentence = (
                f"Not enough memory for a whole volume of {image.shape[:3]} voxels: predicted it in tiles of "
                f"{tuple(how['tile'])} instead. The mask can differ a little from one made in one pass."
            )
            if sentence not in self.said:  # once, not for each mirroring
                self.said.add(sentence)
                self.say(sentence)
        return tiled(self.forward, image, self.stride, how["tile"], how["overlap"], how.get("tile_batch", 1))


def recipe(
    *,
    model: Mapping[str, Any],
    outputs: str,
    logits: int,
    stride: tuple[int, int, int],
    preparation: Preparation,
    inference: Mapping[str, Any],
    convention: str,
    precision: str,
) -> dict[str, Any]:
    """What travels with the weights: all that turns scans into masks, in plain types.

    Args:
        model: Its settings, name and options.
        outputs: "regions" (sigmoid WT, TC, ET) or "labels" (softmax over `anatomy.CLASSES`).
        logits: How many a voxel has.
        stride: Total stride along x, y, z.
        preparation: Of the scans.
        inference: mode, tile, overlap, tile_batch, mirror; recipes of before the last two go without.
        convention: Label convention of the training data; predictions are written in it.
        precision: Of the arithmetic the run was trained in.
    """
    return {
        "format": 1,
        "model": dict(model),
        "outputs": outputs,
        "logits": logits,
        "stride": list(stride),
        "preparation": preparation.as_dict(),
        "inference": dict(inference),
        "convention": convention,
        "precision": precision,
    }


def forward_of(model: keras.Model, outputs: str) -> Forward:
    """`model` as a function from patches (B, X, Y, Z, M) to region probabilities (B, X, Y, Z, 3), traced once.

    Args:
        model: Takes (B, X, Y, Z, M), or (B, X, Y, M) slices if of rank 2; first output: logits at full resolution.
        outputs: "regions" or "labels": what the logits stand for.
    """
    channels = model.inputs[0].shape[-1]
    flat = len(model.inputs[0].shape) == 4

    @tf.function(input_signature=[tf.TensorSpec((None,) * (3 if flat else 4) + (channels,), tf.float16)])
    def probabilities(patches: tf.Tensor) -> tf.Tensor:
        heads = model(patches, training=False)  # a list, full resolution first; the tensor itself where there is one
        logits = tf.cast(heads[0] if isinstance(heads, (list, tuple)) else heads, tf.float32)
        return tf.sigmoid(logits) if outputs == "regions" else tf.nn.softmax(logits)

    def regions(patches: np.ndarray) -> np.ndarray:
        found = probabilities(tf.constant(patches)).numpy()
        return found if outputs == "regions" else regions_from_classes(found)

    def forward(patches: np.ndarray) -> np.ndarray:
        patches = patches.astype(np.float16, copy=False)
        if not flat:
            return regions(patches)
        batch, x, y, z, _ = patches.shape
        slices = np.moveaxis(patches, 3, 1).reshape(batch * z, x, y, channels)
        parts = [regions(slices[i : i + SLICES_AT_ONCE]) for i in range(0, len(slices), SLICES_AT_ONCE)]
        return np.moveaxis(np.concatenate(parts).reshape(batch, z, x, y, -1), 1, 3)

    return forward
