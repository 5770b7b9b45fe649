"""Metrics without millimetres, for scans of unknown spacing: HD95 in the pixels of axial slices, volumes in voxels."""

import math

import numpy as np

from brats_unet.metrics.counts import require_masks
from brats_unet.metrics.empty import WhenEmpty
from brats_unet.metrics.metric import COUNT, POSITIVE, Metric
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.surface_points import surface_distances_mm

# The diagonal of the 256 × 256 slices of the LGG data set: no two pixels of one slice are further apart.
SLICE_DIAGONAL_PX = 256 * math.sqrt(2)
PIXELS = (1.0, 1.0, 1.0)
WHEN_EMPTY = WhenEmpty(both=0.0, reference=SLICE_DIAGONAL_PX, prediction=SLICE_DIAGONAL_PX)


def hausdorff95_px(reference: np.ndarray, prediction: np.ndarray) -> float:
    """Mean over the slices of the reference of the 95th-percentile Hausdorff distance within the slice.

    The outline of a mask is its pixels with at least one of their four edges outside. The distance of a slice is the
    95th percentile of the distances from each outline to the other, and the larger of the two. A slice that holds
    reference but no prediction scores `SLICE_DIAGONAL_PX`; one that holds only prediction has no distance and is left
    out, which precision shows. If a whole mask is empty, `WHEN_EMPTY` applies.

    Args:
        reference: Expert mask, bool, shape (X, Y, Z); slices follow one another along Z.
        prediction: Model mask, same shape and grid.

    Returns:
        Distance in pixels, 0 for identical masks; lower is better.

    Raises:
        ValueError: The masks do not share one grid.

    Source:
        Huttenlocher et al. 1993, doi:10.1109/34.232073, in two dimensions.
    """
    require_masks(reference, prediction)
    ruled = WHEN_EMPTY.value(reference_empty=not reference.any(), prediction_empty=not prediction.any())
    if ruled is not None:
        return ruled
    slices = np.flatnonzero(reference.any(axis=(0, 1)))
    outlines = outline_pixels(reference), outline_pixels(prediction)
    distances = []
    for z in slices:
        one, other = (outline[:, :, z : z + 1] for outline in outlines)
        if not other.any():
            distances.append(SLICE_DIAGONAL_PX)
            continue
        there, back = surface_distances_mm(one, other, PIXELS)
        distances.append(max(float(np.percentile(there, 95)), float(np.percentile(back, 95))))
    return float(np.mean(distances))


def outline_pixels(mask: np.ndarray) -> np.ndarray:
    """Pixels of `mask` (X, Y, Z) with at least one of their four edges in the slice outside; so is beyond the array."""
    padded = np.pad(mask, ((1, 1), (1, 1), (0, 0)))
    inner = padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return mask & ~inner


def hd95_slice_px(pair: MaskPair) -> float:
    """See `hausdorff95_px`."""
    return hausdorff95_px(pair.reference, pair.prediction)


def voxels_reference(pair: MaskPair) -> float:
    """Number of voxels of the reference."""
    return float(pair.counts.reference_voxels)


def voxels_prediction(pair: MaskPair) -> float:
    """Number of voxels of the prediction."""
    return float(pair.counts.prediction_voxels)


HD95_SLICE_PX = Metric(
    name="hd95_slice_px",
    function=hd95_slice_px,
    unit="px",
    range=POSITIVE,
    better="low",
    definition="HD95 within axial slices: for each slice that holds reference, the 95th percentile of the distances "
    "from each outline to the other, the larger of the two, in pixels; and their mean over these slices.",
    source="Huttenlocher et al. 1993, doi:10.1109/34.232073, in two dimensions",
    when_empty="a slice of the reference without prediction: 362.04, the diagonal of 256 × 256 pixels; a slice with "
    "prediction alone: left out; both masks empty: 0; only the reference: 362.04",
)
VOXELS_REFERENCE = Metric(
    name="voxels_reference",
    function=voxels_reference,
    unit="voxels",
    range=COUNT,
    better="–",
    definition="Voxels of the reference: TP + FN.",
    source="by counting",
    when_empty="no rule needed: an empty mask has 0",
)
VOXELS_PREDICTION = Metric(
    name="voxels_prediction",
    function=voxels_prediction,
    unit="voxels",
    range=COUNT,
    better="–",
    definition="Voxels of the prediction: TP + FP.",
    source="by counting",
    when_empty="no rule needed: an empty mask has 0",
)
