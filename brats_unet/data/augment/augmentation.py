"""What an augmentation is: uniform numbers become parameters, and parameters change images and labels.

It uses only `keras.ops`, so it runs on the device, in the graph, on every backend. An `Augmentation` says how many
uniform numbers a sample takes. The training step draws them from (seed, step, sample), so a batch can be reproduced.
Transforms are applied one after another, each only to the samples that it was drawn for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from keras import ops

from brats_unet.binding import value_of
from brats_unet.data.augment import intensity
from brats_unet.data.augment.spatial import Margin
from brats_unet.data.augment.transform import Parameters, Sample, Tensor, Transform
from brats_unet.errors import SettingsError

# (transform, image, labels, its parameters for this sample) -> image and labels, changed if the transform is drawn.
Run = Callable[[Transform, Tensor, Tensor, Parameters], Sample]


@dataclass(frozen=True)
class Augmentation:
    """An augmentation of the samples of a batch.

    Attributes:
        rest: Transforms after the spatial one, in this order.
        spatial: Function from the margin to the spatial transform; None if there is none.
        reach: Function from a patch to the voxels that the spatial transform may read beyond it on each side; see
            `nnunet.reach`.
        modality_dropout: Probability that a modality is set to zero; a network trained with more than 0 can predict
            without a modality.
        margin: Voxels that images are read beyond the patch on each side, along x, y, z.
    """

    rest: tuple[Transform, ...] = ()
    spatial: Callable[[Margin], Transform] | None = None
    reach: Callable[[Sequence[int]], Margin] = lambda patch: (0, 0, 0)
    modality_dropout: float = 0.0
    margin: Margin = (0, 0, 0)

    @cached_property
    def transforms(self) -> tuple[Transform, ...]:
        """All transforms, in the order in which they are applied."""
        return ((self.spatial(self.margin),) if self.spatial else ()) + self.rest

    @cached_property
    def uniforms(self) -> int:
        """Number of uniform numbers in [0, 1) that a sample takes."""
        return sum(transform.uniforms for transform in self.transforms)

    def draw(self, uniforms: Tensor) -> list[Parameters]:
        """Parameters of each transform, with B as first axis, from uniform numbers (B, n)."""
        found, first = [], 0
        for transform in self.transforms:
            found.append(transform.draw(uniforms[:, first : first + transform.uniforms]))
            first += transform.uniforms
        return [self._mirrored_once(index, drawn, found) for index, drawn in enumerate(found)]

    def _mirrored_once(self, index: int, drawn: Parameters, found: list[Parameters]) -> Parameters:
        """Mirror a sample in its interpolation if there is one, else afterwards, by the same draw."""
        if self.spatial is None or self.transforms[index].name != "mirror":
            return drawn
        left = found[0]["reverse"] & ~found[0]["drawn"][:, None]
        return {"drawn": ops.any(left, axis=1), "reverse": left}

    def apply(self, image: Tensor, labels: Tensor, parameters: Sequence[Parameters], run: Run) -> Sample:
        """Apply all transforms to one sample.

        Args:
            image: Shape (X, Y, Z, M), `margin` wider than the patch on each side.
            labels: Shape (X, Y, Z).
            parameters: Parameters of this sample: those of `draw` without their first axis.
            run: Function that applies a transform if it was drawn.

        Returns:
            Image and labels of the patch, with their types unchanged.
        """
        for transform, drawn in zip(self.transforms, parameters, strict=True):
            image, labels = run(transform, image, labels, drawn)
        return image, labels

    def for_channels(self, channels: int) -> "Augmentation":
        """The same augmentation for images of so many channels."""
        return replace(self, rest=tuple(transform.for_channels(channels) for transform in self.rest))

    def for_patches(self, patch: Sequence[int], largest: Sequence[int], overhang: bool = False) -> "Augmentation":
        """The same augmentation with a margin, so that a rotated patch has no empty corners inside the brain.

        Args:
            patch: Voxels along x, y, z that the network is given.
            largest: Largest extent of all volumes along each axis. The margin is at most what a volume can have
                beside a patch.
            overhang: Whether patches may extend beyond the far border (`Sampler.overhang`). Then a patch can start as
                late as its centre in the last voxel, with more of the volume before it.
        """
        spare = [max(0, n - p, n - 1 - p // 2 if overhang else 0) for n, p in zip(largest, patch, strict=True)]
        x, y, z = (min(wanted, most) for wanted, most in zip(self.reach(patch), spare, strict=True))
        return replace(self, margin=(x, y, z))


def plain_run(normals: Callable[[Transform, tuple[int, ...]], Tensor]) -> Run:
    """A `Run` for any backend, with a conditional.

    Args:
        normals: Function of a transform and a shape that returns standard normal numbers for this sample.
    """

    def run(transform: Transform, image: Tensor, labels: Tensor, parameters: Parameters) -> Sample:
        def applied() -> Sample:
            shape = transform.normals(tuple(image.shape)) if transform.normals else None
            return transform.whole(image, labels, parameters, None if shape is None else normals(transform, shape))

        return ops.cond(parameters["drawn"], applied, lambda: transform.otherwise(image, labels))

    return run


def of_sample(parameters: Sequence[Parameters], index: Any) -> list[Parameters]:
    """Parameters of sample `index` of the batch."""
    return [{name: value[index] for name, value in drawn.items()} for drawn in parameters]


def refuse_blank_samples(augmentation: Augmentation, modalities: int) -> None:
    """Raise SettingsError if dropout could leave no modality because there is only one."""
    if augmentation.modality_dropout and modalities == 1:
        raise SettingsError(
            f"augmentation.modality_dropout={augmentation.modality_dropout:g} with one modality would leave nothing. "
            f"Set it to 0, or name more modalities in data.modalities."
        )


def with_dropout(augmentation: Augmentation, probability: float) -> Augmentation:
    """The augmentation with modality dropout as its last transform, unless `probability` is 0.

    Args:
        augmentation: Any without dropout.
        probability: Probability that a modality is set to zero, 0 up to but not including 1; never all of them.

    Raises:
        SettingsError: The probability is out of range.
    """
    probability = value_of(float, probability, "augmentation.modality_dropout")
    if not 0 <= probability < 1:
        raise SettingsError(
            f"augmentation.modality_dropout={probability:g}: expected 0 up to but not including 1, because at 1 all "
            f"modalities would be dropped."
        )
    if not probability:
        return augmentation
    dropout = intensity.modality_dropout(probability)
    return replace(augmentation, rest=(*augmentation.rest, dropout), modality_dropout=probability)
