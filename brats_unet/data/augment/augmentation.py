"""Augmentation, drawing apart from applying: uniform numbers become parameters, parameters change images and labels.

Only `keras.ops`, so it runs on the device, in the graph, on every backend. An `Augmentation` says how many uniform
numbers a sample takes; whoever trains draws them from (seed, step, sample), so that a batch can be drawn again. A
sample passes its transforms one after another, each only if it was drawn for it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from keras import ops

from brats_unet.binding import value_of
from brats_unet.data.augment import intensity, options
from brats_unet.data.augment.spatial import Margin, reversals, spatial
from brats_unet.data.augment.transform import Parameters, Sample, Tensor, Transform
from brats_unet.errors import SettingsError

# (transform, image, labels, its parameters for this sample) -> the two changed, or as they are where it is not drawn.
Run = Callable[[Transform, Tensor, Tensor, Parameters], Sample]


@dataclass(frozen=True)
class Augmentation:
    """A way to vary the samples of a batch.

    Attributes:
        rest: What comes after the spatial transform, in this order.
        spatial: That of a margin, or None if there is none.
        reach: (patch) -> voxels that the spatial transform may read beyond it on each side; see `margin_of`.
        modality_dropout: Probability that a modality is blanked; a network trained with more than 0 can do without one.
        margin: Voxels by which images are read wider than the patch on each side, along x, y, z.
    """

    rest: tuple[Transform, ...] = ()
    spatial: Callable[[Margin], Transform] | None = None
    reach: Callable[[Sequence[int]], Margin] = lambda patch: (0, 0, 0)
    modality_dropout: float = 0.0
    margin: Margin = (0, 0, 0)

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        """All of them, in the order in which a sample passes them."""
        return ((self.spatial(self.margin),) if self.spatial else ()) + self.rest

    @cached_property
    def uniforms(self) -> int:
        """How many uniform numbers in [0, 1) a sample takes."""
        return sum(transform.uniforms for transform in self.transforms)

    def draw(self, uniforms: Tensor) -> list[Parameters]:
        """Parameters of each transform, each of first axis B, from uniforms (B, n)."""
        found, first = [], 0
        for transform in self.transforms:
            found.append(transform.draw(uniforms[:, first : first + transform.uniforms]))
            first += transform.uniforms
        return [self._mirrored_once(index, drawn, found) for index, drawn in enumerate(found)]

    def _mirrored_once(self, index: int, drawn: Parameters, found: list[Parameters]) -> Parameters:
        """Where a sample is interpolated it is mirrored along with it; else afterwards, by the same draw."""
        if self.spatial is None or self.transforms[index].name != "mirror":
            return drawn
        left = found[0]["reverse"] & ~found[0]["drawn"][:, None]
        return {"drawn": ops.any(left, axis=1), "reverse": left}

    def apply(self, image: Tensor, labels: Tensor, parameters: Sequence[Parameters], run: Run) -> Sample:
        """One sample through all transforms.

        Args:
            image: (X, Y, Z, M), `margin` wider than the patch on each side.
            labels: (X, Y, Z).
            parameters: Of this sample: those of `draw` without their first axis.
            run: How a transform that may not have been drawn is applied.

        Returns:
            Image and labels of the patch, of the types given.
        """
        for transform, drawn in zip(self.transforms, parameters, strict=True):
            image, labels = run(transform, image, labels, drawn)
        return image, labels

    def for_patches(self, patch: Sequence[int], largest: Sequence[int]) -> "Augmentation":
        """This one for images read wider than the patch, so that a turned patch is not empty where the brain goes on.

        Args:
            patch: Voxels along x, y, z that the network is given.
            largest: Of all volumes, along each axis; nothing is gained by reading more than it has beyond the patch.
        """
        spare = [max(0, n - p) for n, p in zip(largest, patch, strict=True)]
        x, y, z = (min(wanted, most) for wanted, most in zip(self.reach(patch), spare, strict=True))
        return replace(self, margin=(x, y, z))


def plain_run(normals: Callable[[Transform, tuple[int, ...]], Tensor]) -> Run:
    """`run` of any backend: a conditional.

    Args:
        normals: (transform, shape) -> the standard normal numbers it takes for this sample.
    """

    def run(transform: Transform, image: Tensor, labels: Tensor, parameters: Parameters) -> Sample:
        def applied() -> Sample:
            shape = transform.normals(tuple(image.shape)) if transform.normals else None
            return transform.whole(image, labels, parameters, None if shape is None else normals(transform, shape))

        return ops.cond(parameters["drawn"], applied, lambda: transform.otherwise(image, labels))

    return run


def of_sample(parameters: Sequence[Parameters], index: Any) -> list[Parameters]:
    """The parameters of sample `index` of the batch."""
    return [{name: value[index] for name, value in drawn.items()} for drawn in parameters]


def none(*, modality_dropout: float = 0.0) -> Augmentation:
    """Leave every batch as it is."""
    return _with_dropout(Augmentation(), modality_dropout)


def mirror(*, axes: Sequence[int] = (0, 1, 2), probability: float = 0.5, modality_dropout: float = 0.0) -> Augmentation:
    """Reverse each of `axes` (0 left-right, 1 front-back, 2 up-down) with `probability`, independently a sample.

    Source:
        nnU-Net's MirrorTransform: all axes, 0.5.
    """
    axes = value_of(list[int], list(axes), "augmentation.axes")
    probability = value_of(float, probability, "augmentation.probability")
    options.refuse_invalid_axes("augmentation.axes", axes)
    options.refuse_improbable("augmentation.probability", probability)
    return _with_dropout(Augmentation((mirroring(options.Mirror(list(axes), probability)),)), modality_dropout)


def full(
    *,
    rotation: Mapping[str, Any],
    scaling: Mapping[str, Any],
    elastic: Mapping[str, Any],
    mirror: Mapping[str, Any],
    noise: Mapping[str, Any],
    blur: Mapping[str, Any],
    brightness: Mapping[str, Any],
    contrast: Mapping[str, Any],
    low_resolution: Mapping[str, Any],
    gamma_inverted: Mapping[str, Any],
    shift: Mapping[str, Any],
    gamma: Mapping[str, Any],
    modality_dropout: float = 0.0,
) -> Augmentation:
    """All there is, in nnU-Net's order: space, noise, values, mirroring, missing modalities.

    Each part is a section of its own dataclass in `augment_options`; the values of the published recipes are those of
    conf/augmentation. A part of probability 0 costs nothing.
    """
    turned = options.section(options.Rotation, "rotation", rotation)
    scaled = options.section(options.Scaling, "scaling", scaling)
    deformed = options.section(options.Elastic, "elastic", elastic)
    mirrored = options.section(options.Mirror, "mirror", mirror)
    values: tuple[tuple[Any, Callable[[Any], Transform]], ...] = (
        (options.section(options.Noise, "noise", noise), intensity.gaussian_noise),
        (options.section(options.Blur, "blur", blur), intensity.gaussian_blur),
        (options.section(options.Factors, "brightness", brightness), intensity.brightness),
        (options.section(options.Factors, "contrast", contrast), intensity.contrast),
        (options.section(options.LowResolution, "low_resolution", low_resolution), intensity.low_resolution),
        (options.section(options.Gamma, "gamma_inverted", gamma_inverted), intensity.inverted_gamma),
        (options.section(options.Shift, "shift", shift), intensity.shift),
        (options.section(options.Gamma, "gamma", gamma), intensity.gamma),
    )
    moves = max(turned.probability, scaled.probability, deformed.probability) > 0
    augmentation = Augmentation(
        rest=(*(transform(part) for part, transform in values if part.probability > 0), mirroring(mirrored)),
        spatial=(lambda margin: spatial(turned, scaled, deformed, mirrored, margin)) if moves else None,
        reach=lambda patch: reach(patch, turned, scaled, deformed),
    )
    return _with_dropout(augmentation, modality_dropout)


def mirroring(mirror: options.Mirror) -> Transform:
    """Reversal of axes, for samples that are not interpolated."""

    def draw(u: Tensor) -> Parameters:
        reverse = reversals(u, mirror)
        return {"drawn": ops.any(reverse, axis=1), "reverse": reverse}

    def apply(image: Tensor, labels: Tensor, parameters: Parameters, normals: Tensor) -> Sample:
        for axis in range(3):
            reverse = parameters["reverse"][axis]
            image, labels = (ops.where(reverse, ops.flip(array, axis=axis), array) for array in (image, labels))
        return image, labels

    return Transform("mirror", 3, draw, apply)


def reach(
    patch: Sequence[int], rotation: options.Rotation, scaling: options.Scaling, elastic: options.Elastic
) -> Margin:
    """Voxels beyond the patch that are read on each side: its extent turned about one axis, times the root of the
    largest factor, as nnU-Net reads it (205 voxels for 128).

    Not the most that all three angles and the factor could reach together: that would be twice as many voxels, for
    corners of one sample in a hundred. 0 along an axis of one voxel.
    """
    most = min(45.0, max(abs(d) for d in rotation.degrees)) if rotation.probability else 0.0
    angle = math.radians(most)
    factor = math.sqrt(max(1.0, scaling.factors[1])) if scaling.probability else 1.0
    pushed = elastic.smoothness[1] * elastic.magnitude[1] / 2 if elastic.probability else 0.0
    found = []
    for axis, n in enumerate(patch):
        other = max((m for i, m in enumerate(patch) if i != axis and m > 1), default=0)
        extent = (n * math.cos(angle) + other * math.sin(angle)) * factor + 2 * pushed * n
        found.append(0 if n == 1 else max(0, math.ceil((extent - n) / 2)))
    return found[0], found[1], found[2]


def refuse_blank_samples(augmentation: Augmentation, modalities: int) -> None:
    """SettingsError if dropout could leave nothing, because there is but one modality."""
    if augmentation.modality_dropout and modalities == 1:
        raise SettingsError(
            f"augmentation.modality_dropout={augmentation.modality_dropout:g} with one modality would leave nothing to "
            f"see. Set it to 0, or name more in data.modalities."
        )


def _with_dropout(augmentation: Augmentation, probability: float) -> Augmentation:
    probability = value_of(float, probability, "augmentation.modality_dropout")
    if not 0 <= probability < 1:
        raise SettingsError(
            f"augmentation.modality_dropout={probability:g}: expected 0 up to but not including 1, at which all "
            f"modalities would be dropped."
        )
    if not probability:
        return augmentation
    dropout = intensity.modality_dropout(probability)
    return replace(augmentation, rest=(*augmentation.rest, dropout), modality_dropout=probability)


AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    "none": none,
    "mirror": mirror,
    "nnunet": full,
    "da": full,
    "da_star": full,
}
