"""Brightness of the whole patch: all modalities times one factor."""

from typing import Annotated

from brats_unet.binding import Range
from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.data.augment.intensity import within_brain
from brats_unet.data.augment.transform import Transform, between
from brats_unet.parts import contract_options


@contract_options({}, {"probability": 0.9, "factors": [0.5, 2.0]})
def brighten(
    *,
    probability: Annotated[float, Range(0, 1)] = 0.2,
    factors: list[Annotated[float, Range(0, above_least=True)]] = (0.7, 1.4),
) -> Augmentation:
    """With `probability`, multiply the modalities of a sample by one number drawn from `factors`."""

    def draw(uniforms):  # (B, 2), from 0 to 1
        return {"drawn": uniforms[:, 0] < probability, "factor": between(uniforms[:, 1], factors)}

    def change(image, parameters, normals):  # (X, Y, Z, M) float32
        return image * parameters["factor"]

    return Augmentation((Transform("brighten", 2, draw, within_brain(change)),))
