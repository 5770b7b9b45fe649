"""Augmentation, drawing apart from applying: uniform numbers become parameters, parameters change images and labels.

Only `keras.ops`, so it runs on the device, in the graph, on every backend. An `Augmentation` says how many uniform
numbers a sample takes; whoever trains draws them from (seed, step, sample), so that a batch can be drawn again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from brats_unet.errors import SettingsError

Tensor = Any
Parameters = Mapping[str, Tensor]


@dataclass(frozen=True)
class Augmentation:
    """A way to vary a batch.

    Attributes:
        uniforms: How many uniform numbers in [0, 1) a sample takes.
        draw: (uniforms (B, n)) -> parameters by name, each of first axis B.
        apply: (images_BXYZM, labels_BXYZ, parameters) -> the same two, changed.
    """

    uniforms: int
    draw: Callable[[Tensor], Parameters]
    apply: Callable[[Tensor, Tensor, Parameters], tuple[Tensor, Tensor]]


def none() -> Augmentation:
    """Leave every batch as it is."""
    return Augmentation(0, lambda uniforms: {}, lambda images, labels, parameters: (images, labels))


def mirror(*, axes: Sequence[int] = (0, 1, 2), probability: float = 0.5) -> Augmentation:
    """Reverse each of `axes` (0 left-right, 1 front-back, 2 up-down) with `probability`, independently a sample.

    Source:
        nnU-Net's MirrorTransform: all axes, 0.5.
    """
    if sorted(set(axes)) != sorted(axes) or not set(axes) <= {0, 1, 2}:
        raise SettingsError(f"augmentation.axes={list(axes)}: choose different axes from 0, 1, 2.")
    if not 0 <= probability <= 1:
        raise SettingsError(f"augmentation.probability={probability}: a probability lies from 0 to 1.")

    def draw(uniforms: Tensor) -> Parameters:
        return {"reverse": uniforms < probability}

    def apply(images: Tensor, labels: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
        for column, axis in enumerate(axes):
            reverse = parameters["reverse"][:, column]
            images = reversed_where(images, reverse, axis)
            labels = reversed_where(labels, reverse, axis)
        return images, labels

    return Augmentation(len(axes), draw, apply)


def reversed_where(array: Tensor, reverse: Tensor, axis: int) -> Tensor:
    """`array` (B, X, Y, Z, …) with spatial `axis` reversed in the samples where `reverse` (B,) is True."""
    wide = ops.reshape(reverse, (-1,) + (1,) * (len(array.shape) - 1))
    return ops.where(wide, ops.flip(array, axis=axis + 1), array)


AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {"none": none, "mirror": mirror}
