"""A trained network and how it is to predict; whatever computes it, so neither TensorFlow nor Keras is reached here."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.inference.prediction_memory import WholeVolume
from brats_unet.inference.predictor import Forward, MemoryFull, SumOfTiles, refuse_invalid_inference, tiled, whole
from brats_unet.inference.tta import axes_of, mirrored


class SizeLimit(NamedTuple):
    """Why a network takes only multiples of its stride.

    Attributes:
        reason: A clause that follows "because".
        remedy: What to do so that it takes any size, as a clause that follows "or".
    """

    reason: str
    remedy: str


@dataclass(frozen=True)
class Network:
    """What prediction needs.

    Attributes:
        forward: Prepared patch to region probabilities.
        recipe: Of the run; see `recipe`.
        stride: Of which lengths along x, y, z the patches that it takes are multiples.
        say: Told, in a sentence, what a person should know of what happened on the way.
        on_host: Whether it computes in the memory of the host, which is asked beforehand; a GPU says that it is full.
        sum_of_tiles: Of the same network, if it can add up tiles in the memory that it computes in.
        size_limit: Why `stride` is above 1, where that is known.
    """

    forward: Forward
    recipe: Mapping[str, Any]
    stride: tuple[int, int, int]
    log: Callable[[str], None] = lambda sentence: None
    on_host: bool = True
    sum_of_tiles: SumOfTiles | None = None
    size_limit: SizeLimit | None = None
    memory: WholeVolume = field(init=False, repr=False, compare=False)
    logged: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

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

    def with_options(self, **inference: Any) -> "Network":
        """The same network with other ways to predict: mode, tile, overlap, tile_batch, mirror.

        Raises:
            SettingsError: See `predictor.refuse_unfit`.
        """
        how = {**self.recipe["inference"], **inference}
        refuse_invalid_inference(stride=self.stride, **how)
        return replace(self, recipe={**self.recipe, "inference": how})

    def warm_up(self) -> None:
        """Compute a small patch of zeros: what is done once, such as tracing, is done then."""
        stride = self.recipe["stride"]
        image = np.zeros((*stride, len(self.preparation.modalities)), np.float16)
        self.with_options(tile=stride).on_prepared_grid(image)

    def members(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """Region probabilities float32 (X, Y, Z, R) of a prepared image, from each mirroring it is told to make."""
        axes = axes_of(self.recipe["inference"].get("mirror", "none"))
        return mirrored(self.on_prepared_grid, image, axes)

    def on_prepared_grid(self, image: np.ndarray) -> np.ndarray:
        """Region probabilities float32 (X, Y, Z, R) of a prepared image as it is, in the mode of the run.

        Where a whole volume does not fit the memory, tiles are taken instead, and that is said. So is, once per
        network, that a whole volume is padded to multiples of the stride.
        """
        how = self.recipe["inference"]
        if how["mode"] == "whole":
            if not self.on_host or self.memory.fits(image):
                try:
                    probabilities = whole(self.forward, image, self.stride)
                except MemoryFull:
                    pass  # said below
                else:
                    self._log_padding(image.shape[:3])
                    return probabilities
            sentence = (
                f"Not enough memory for a whole volume of {image.shape[:3]} voxels: predicted it in tiles of "
                f"{tuple(how['tile'])} instead. The mask can differ a little from one made in one pass."
            )
            self._log_once(sentence, sentence)
        at_once = how.get("tile_batch", 1)
        return tiled(self.forward, image, self.stride, how["tile"], how["overlap"], at_once, self.sum_of_tiles)

    def _log_padding(self, shape: tuple[int, ...]) -> None:
        """Log that a volume of this shape was padded, unless its lengths are multiples of the stride."""
        padded = [-(-length // step) * step for length, step in zip(shape, self.stride, strict=True)]
        if padded == list(shape):
            return
        because = f", because {self.size_limit.reason}" if self.size_limit else ""
        remedy = f", or {self.size_limit.remedy}" if self.size_limit else ""
        self._log_once(
            "padding",
            f"Padded a whole volume of {_times(shape)} voxels with zeros to {_times(padded)}: the network takes only "
            f"multiples of {_times(self.stride)}{because}. Normalisation layers see these zeros too, so scores can be "
            f"lower. Use mode=tiles{remedy}.",
        )

    def _log_once(self, key: str, sentence: str) -> None:
        """Log a sentence the first time its key occurs, not for each mirroring and case."""
        if key not in self.logged:
            self.logged.add(key)
            self.log(sentence)


def _times(lengths: Sequence[int]) -> str:
    return "×".join(map(str, lengths))


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
