"""The two masks of each scored region of a case, cropped to their content."""

from collections.abc import Iterator

import numpy as np

from brats_unet.geometry import bounding_box, crop
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import Protocol
from brats_unet.schemes.scheme import BACKGROUND, Scheme


def region_pairs(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing_mm: tuple[float, float, float],
    rules: Protocol,
    scheme: Scheme,
    *,
    missing: bool = False,
) -> Iterator[tuple[str, MaskPair]]:
    """The two masks of each scored region, cropped to their content, as the metrics take them.

    Args:
        reference: Labels as in memory, shape (X, Y, Z).
        prediction: Labels as in memory, same shape and grid.
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres.
        rules: Protocol with the rules for empty masks.
        scheme: What the labels are, and which regions are scored.
        missing: As in `score_case`.
    """
    voxels = reference.size
    tumour = (reference != BACKGROUND) | (prediction != BACKGROUND)
    if tumour.any():  # only this box is scored; `outside_voxels` counts the rest
        box = bounding_box(tumour)
        reference, prediction = crop(reference, box), crop(prediction, box)
    for region in scheme.scored:
        masks = scheme.region_mask(reference, region), scheme.region_mask(prediction, region)
        yield region, MaskPair(*masks, spacing_mm, rules, voxels - reference.size, missing).cropped()
