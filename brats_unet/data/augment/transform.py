"""One transform of a sample, apart from how it is drawn and where it runs; and how numbers are drawn from a range."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras import ops

from brats_unet.modality import Modality

Tensor = Any
Parameters = Mapping[str, Tensor]
Sample = tuple[Tensor, Tensor]  # image (X, Y, Z, M), labels (X, Y, Z)


def unchanged(image: Tensor, labels: Tensor) -> Sample:
    """Return both unchanged."""
    return image, labels


@dataclass(frozen=True, eq=False)
class Transform:
    """One transform of a sample.

    Attributes:
        name: Name of the transform.
        uniforms: Number of uniform numbers in [0, 1) that a sample takes.
        draw: Function of uniform numbers (B, n) that returns parameters with B as first axis; "drawn" (B,) says which
            samples are transformed.
        apply: Function of the image, the labels, the parameters of the sample and the normal numbers that returns image
            and labels. Types do not change, arithmetic is float32, and voxels where all modalities are exactly 0
            (outside the brain) stay 0.
        normals: Function from the image's shape to the shape of the standard normal numbers that `apply` takes; None if
            it takes none.
        finish: Function applied to the result of `apply`; None if there is none. It is separate because a compiler
            would repeat it for every value that is read.
        otherwise: Function applied to the samples that are not drawn.
        per_channel: Uniform numbers that each channel takes; `draw` divides those that it is given.
    """

    name: str
    uniforms: int
    draw: Callable[[Tensor], Parameters]
    apply: Callable[[Tensor, Tensor, Parameters, Tensor], Sample]
    normals: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None
    finish: Callable[[Tensor, Tensor], Sample] | None = None
    otherwise: Callable[[Tensor, Tensor], Sample] = unchanged
    per_channel: int = 0

    def for_channels(self, channels: int) -> "Transform":
        """The same transform for images of more channels than the four of BraTS; fewer leave numbers over."""
        return replace(self, uniforms=self.uniforms + self.per_channel * max(0, channels - len(Modality)))

    def whole(self, image: Tensor, labels: Tensor, parameters: Parameters, normals: Tensor) -> Sample:
        """`apply`, then `finish`."""
        image, labels = self.apply(image, labels, parameters, normals)
        return self.finish(image, labels) if self.finish else (image, labels)


def between(uniforms: Tensor, ends: Sequence[float]) -> Tensor:
    """Scale uniform numbers in [0, 1), any shape, to the range from the first of `ends` to the second."""
    low, high = ends
    return low + (high - low) * uniforms


def around_1(sides: Tensor, uniforms: Tensor, ends: Sequence[float]) -> Tensor:
    """Numbers as often below 1 as above, uniform within each half; if 1 is not inside `ends`, uniform between them.

    Args:
        sides: Uniform numbers that choose the half: below 0.5 gives a number below 1.
        uniforms: Uniform numbers that choose the position in the half, same shape.
        ends: Smallest and largest value.

    Source:
        batchgeneratorsv2's BGContrast.
    """
    low, high = ends
    if not low < 1 < high:
        return between(uniforms, ends)
    return ops.where(sides < 0.5, between(uniforms, (low, 1.0)), between(uniforms, (1.0, high)))
