"""A trained network and its prediction settings, independent of the runtime: imports neither TensorFlow nor Keras."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np

from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.readers.file_patterns import Patterns, patterns_of
from brats_unet.errors import SettingsError
from brats_unet.inference.prediction_memory import WholeVolume
from brats_unet.inference.predictor import Forward, MemoryFull, SumOfTiles, refuse_invalid_inference, tiled, whole
from brats_unet.inference.tta import axes_of, mirrored
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in

INFERENCE = ("mode", "tile", "overlap", "tile_batch", "mirror")  # settings in a recipe; older ones lack the last two


class SizeLimit(NamedTuple):
    """Why a network takes only multiples of its stride.

    Attributes:
        reason: A clause that follows "because".
        remedy: What to do so that it takes any size, as a clause that follows "or".
    """

    reason: str
    remedy: str


class Gradients(Protocol):
    """Grad-CAM by a runtime that computes gradients; see `keras_gradients.KerasGradients`."""

    slices: bool

    def layer(self, name: str | None) -> str:
        """A layer by its name, or the usual one."""

    def heat(self, image: np.ndarray, mask: np.ndarray, region: str, layer: str) -> np.ndarray:
        """Where the features of a layer raise a region in the voxels of a mask."""


@dataclass(frozen=True)
class Network:
    """A trained network, ready to predict.

    Attributes:
        forward: Prepared patches to region probabilities.
        recipe: Settings that were saved with the weights; see `recipe`.
        stride: Patch lengths along x, y, z must be multiples of these.
        log: Called with one sentence about anything the user should know.
        on_host: Whether it computes in host memory. Free host memory is checked before a whole volume is predicted; a
            GPU raises an error instead.
        sum_of_tiles: The same network, adding up tiles in the memory it computes in; None adds them up on the host.
        size_limit: Why `stride` is above 1; None where it is 1 or the reason is unknown.
        gradients: What `grad_cam` computes with; None if the runtime has no gradients.
        memory: Decides whether a whole volume fits host memory.
        logged: Keys of the sentences that were logged already.
    """

    forward: Forward
    recipe: Mapping[str, Any]
    stride: tuple[int, int, int]
    log: Callable[[str], None] = lambda sentence: None
    on_host: bool = True
    sum_of_tiles: SumOfTiles | None = None
    size_limit: SizeLimit | None = None
    gradients: Gradients | None = None
    memory: WholeVolume = field(init=False, repr=False, compare=False)
    logged: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "memory", WholeVolume(self.forward, self.stride))

    @cached_property
    def preparation(self) -> Preparation:
        """How its input scans must be prepared."""
        return Preparation.from_dict(self.recipe["preparation"])

    @cached_property
    def scheme(self) -> Scheme:
        """What it segments; the channels of its answers are `scheme.predicted`."""
        return scheme_in(self.recipe)

    @cached_property
    def patterns(self) -> Patterns | None:
        """Patterns of the scans' names in its training data; None if these had the names of a known layout."""
        return patterns_of(self.recipe.get("files"), key="files")

    @property
    def fills_missing(self) -> bool:
        """Whether it was trained with modality dropout, so that zeros can replace a missing scan."""
        return float(self.recipe.get("modality_dropout", 0)) > 0

    def with_options(self, **inference: Any) -> "Network":
        """The same network with other settings for mode, tile, overlap, tile_batch or mirror.

        Raises:
            SettingsError: See `predictor.refuse_invalid_inference`.
        """
        settings = {**self.recipe["inference"], **inference}
        if unknown := sorted(settings.keys() - set(INFERENCE)):
            raise SettingsError(
                f"The recipe of the network holds inference.{unknown[0]}, which this version does not know. Update "
                f"brats-unet, or restore the file."
            )
        refuse_invalid_inference(stride=self.stride, **settings)
        return replace(self, recipe={**self.recipe, "inference": settings})

    def warm_up(self) -> None:
        """Predict a small patch of zeros, so that one-time work such as tracing is done before the first case."""
        stride = self.recipe["stride"]
        image = np.zeros((*stride, len(self.preparation.modalities)), np.float16)
        self.with_options(tile=stride).on_prepared_grid(image)

    def members(self, image: np.ndarray) -> Iterator[np.ndarray]:
        """Region probabilities, float32 (X, Y, Z, R), of a prepared image, one array per mirroring of its settings."""
        axes = axes_of(self.recipe["inference"].get("mirror", "none"))
        return mirrored(self.on_prepared_grid, image, axes)

    def on_prepared_grid(self, image: np.ndarray) -> np.ndarray:
        """Region probabilities, float32 (X, Y, Z, R), of a prepared image, without mirroring.

        If a whole volume does not fit the memory, it is predicted in tiles and this is logged. If a whole volume must
        be padded to multiples of the stride, this is logged once per network.
        """
        settings = self.recipe["inference"]
        if settings["mode"] == "whole":
            if not self.on_host or self.memory.fits(image):
                try:
                    probabilities = whole(self.forward, image, self.stride)
                except MemoryFull:
                    pass  # logged below
                else:
                    self._log_padding(image.shape[:3])
                    return probabilities
            sentence = (
                f"Not enough memory for a whole volume of {image.shape[:3]} voxels: predicted it in tiles of "
                f"{tuple(settings['tile'])} instead. The mask can differ a little from one made in one pass."
            )
            self._log_once(sentence, sentence)
        tile, overlap, tile_batch = settings["tile"], settings["overlap"], settings.get("tile_batch", 1)
        return tiled(self.forward, image, self.stride, tile, overlap, tile_batch, self.sum_of_tiles)

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
        """Log a sentence the first time its key occurs, not again for each mirroring and case."""
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
    scheme: Scheme,
    convention: str,
    precision: str,
) -> dict[str, Any]:
    """Everything that turns scans into masks, in plain types; it is saved with the weights.

    Args:
        model: Model settings: name and options.
        outputs: "regions" (sigmoids, `scheme.predicted`) or "labels" (softmax over `scheme.class_values`).
        logits: Logits per voxel.
        stride: Total stride of the network along x, y, z.
        preparation: How the scans are prepared.
        inference: See `INFERENCE`.
        scheme: What the network segments.
        convention: Label convention of the training data, in which predictions are written.
        precision: Arithmetic that the run was trained in, such as "float32".
    """
    return {
        "format": 1,
        "model": dict(model),
        "outputs": outputs,
        "logits": logits,
        "stride": list(stride),
        "preparation": preparation.as_dict(),
        "inference": dict(inference),
        "scheme": scheme.as_dict(),
        "convention": convention,
        "precision": precision,
    }
