"""Mirroring alone, and no augmentation at all."""

from collections.abc import Sequence

from keras import ops

from brats_unet.binding import value_of
from brats_unet.data.augment import options
from brats_unet.data.augment.augmentation import Augmentation, with_dropout
from brats_unet.data.augment.spatial import reversals
from brats_unet.data.augment.transform import Parameters, Sample, Tensor, Transform
from brats_unet.parts import contract_options


@contract_options({}, {"modality_dropout": 0.2})
def none(*, modality_dropout: float = 0.0) -> Augmentation:
    """No augmentation, apart from `modality_dropout`; see `augmentation.with_dropout`."""
    return with_dropout(Augmentation(), modality_dropout)


@contract_options({}, {"axes": [2], "probability": 1.0}, {"modality_dropout": 0.2})
def mirror(*, axes: Sequence[int] = (0, 1, 2), probability: float = 0.5, modality_dropout: float = 0.0) -> Augmentation:
    """Reverse each of `axes` (0 left-right, 1 front-back, 2 up-down) with `probability`, independently per sample.

    Args:
        axes: Axes that may be reversed.
        probability: Probability for each of them, 0 to 1.
        modality_dropout: See `augmentation.with_dropout`.

    Source:
        nnU-Net's MirrorTransform: all axes, 0.5.
    """
    axes = value_of(list[int], list(axes), "augmentation.axes")
    probability = value_of(float, probability, "augmentation.probability")
    options.refuse_invalid_axes("augmentation.axes", axes)
    options.refuse_improbable("augmentation.probability", probability)
    return with_dropout(Augmentation((mirroring(options.Mirror(list(axes), probability)),)), modality_dropout)


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
