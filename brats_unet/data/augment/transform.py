"""One way to vary a sample, apart from how it is drawn and where it runs; and how a number is drawn from its range."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

Tensor = Any
Parameters = Mapping[str, Tensor]
Sample = tuple[Tensor, Tensor]  # image (X, Y, Z, M), labels (X, Y, Z)


def unchanged(image: Tensor, labels: Tensor) -> Sample:
    """The two as they are."""
    return image, labels


@dataclass(frozen=True, eq=False)
class Transform:
    """One way to vary a sample.

    Attributes:
        name: Of its parameters.
        uniforms: How many uniform numbers in [0, 1) a sample takes.
        draw: (uniforms (B, n)) -> parameters, each of first axis B; "drawn" (B,) says whether it is to be applied.
        apply: (image, labels, parameters of the sample, normals) -> the same two, changed; types stay, arithmetic is
            float32, and voxels of which all modalities are exactly 0 (outside the brain) stay 0.
        normals: (shape of the image) -> shape of the standard normal numbers that `apply` takes; None if it takes none.
        finish: What is left to do to what `apply` gave back; None if nothing. Apart from it because a compiler would
            do it over for every value that is read.
        otherwise: What happens to a sample that it is not drawn for.
    """

    name: str
    uniforms: int
    draw: Callable[[Tensor], Parameters]
    apply: Callable[[Tensor, Tensor, Parameters, Tensor], Sample]
    normals: Callable[[tuple[int, ...]], tuple[int, ...]] | None = None
    finish: Callable[[Tensor, Tensor], Sample] | None = None
    otherwise: Callable[[Tensor, Tensor], Sample] = unchanged

    def whole(self, image: Tensor, labels: Tensor, parameters: Parameters, normals: Tensor) -> Sample:
        """`apply` and `finish`."""
        image, labels = self.apply(image, labels, parameters, normals)
        return self.finish(image, labels) if self.finish else (image, labels)


def between(uniforms: Tensor, ends: Sequence[float]) -> Tensor:
    """Uniform numbers in [0, 1), any shape, spread evenly from the first of `ends` to the second."""
    low, high = ends
    return low + (high - low) * uniforms


def around_1(sides: Tensor, uniforms: Tensor, ends: Sequence[float]) -> Tensor:
    """As often below 1 as above, evenly within each half; where 1 is not inside `ends`, evenly between them.

    Args:
        sides: Uniform numbers: below 0.5 is below 1.
        uniforms: Where in the half, same shape.
        ends: Least and greatest value.

    Source:
        batchgeneratorsv2's BGContrast.
    """
    low, high = ends
    if not low < 1 < high:
        return between(uniforms, ends)
    return ops.where(sides < 0.5, between(uniforms, (low, 1.0)), between(uniforms, (1.0, high)))
