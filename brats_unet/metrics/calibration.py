"""Calibration of one region's probabilities: Brier score and expected calibration error."""

import numpy as np

from brats_unet.geometry import Box, bounding_box
from brats_unet.metrics.metric import SHARE, Metric

BINS = 15
MARGIN_VOXELS = 10


def brier(reference: np.ndarray, probabilities: np.ndarray) -> float:
    """Brier score: the mean squared difference between the probability and the reference (0 or 1) of each voxel.

    Args:
        reference: Expert mask of a region, bool, any shape with at least one voxel.
        probabilities: Probabilities of the region, float, same shape, 0 to 1.

    Returns:
        0 to 1, lower is better; an empty reference needs no rule.

    Source:
        Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; for one region against the rest, so at most 1.
    """
    _require(reference, probabilities)
    return float(np.mean((probabilities.astype(float) - reference) ** 2))


def expected_calibration_error(reference: np.ndarray, probabilities: np.ndarray, *, bins: int = BINS) -> float:
    """Mean difference between the share of voxels in the region and their mean probability, weighted by voxels.

    Voxels are sorted by probability into `bins` intervals of equal width from 0 to 1 (the last includes 1). The bins
    are of the region's probability, not of the confidence in the more likely answer.

    Args:
        reference: Expert mask of a region, bool, any shape with at least one voxel.
        probabilities: Probabilities of the region, float, same shape, 0 to 1.
        bins: Number of intervals.

    Returns:
        0 to 1, lower is better; an empty reference needs no rule. A score of 0 does not mean that the region was
        found: a constant probability equal to the region's share of the voxels scores 0 too.

    Source:
        Naeini et al. 2015, AAAI 29; Guo et al. 2017, arXiv:1706.04599, for a binary event.
    """
    _require(reference, probabilities)
    if bins < 1:
        raise ValueError(f"bins is {bins}. Expected at least 1.")
    flat = probabilities.ravel().astype(float)
    which = np.minimum((flat * bins).astype(np.intp), bins - 1)
    expected = np.bincount(which, weights=flat, minlength=bins)
    observed = np.bincount(which[reference.ravel()], minlength=bins)
    return float(np.abs(expected - observed).sum() / flat.size)


def calibration_box(tumour: np.ndarray) -> Box:
    """The box in which calibration is scored: all regions of the reference and 10 voxels around them, within the grid.

    Over the whole grid, the many voxels of air would dominate the score. Without a tumour the box is the whole grid.

    Args:
        tumour: All regions of the reference together, bool, shape (X, Y, Z).

    Source:
        Mehrtash et al. 2020, doi:10.1109/TMI.2020.3006437, who use a box around the foreground.
    """
    if not tumour.any():
        return Box((0,) * tumour.ndim, tumour.shape)
    box = bounding_box(tumour)
    return Box(
        tuple(max(0, start - MARGIN_VOXELS) for start in box.start),
        tuple(min(n, stop + MARGIN_VOXELS) for stop, n in zip(box.stop, tumour.shape, strict=True)),
    )


def _require(reference: np.ndarray, probabilities: np.ndarray) -> None:
    if reference.shape != probabilities.shape or reference.dtype != bool or reference.size == 0:
        raise ValueError(
            f"The mask is {reference.dtype} {reference.shape}, the probabilities {probabilities.dtype} "
            f"{probabilities.shape}. Expected a bool mask and probabilities of the same shape."
        )
    if not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise ValueError(
            f"The probabilities lie from {probabilities.min():g} to {probabilities.max():g}. Expected 0 to 1."
        )


_WHEN_EMPTY = "an empty region needs no rule; without a tumour, the whole grid is scored"
ECE = Metric(
    name="ece",
    function=expected_calibration_error,
    unit="1",
    range=SHARE,
    better="low",
    definition="Expected calibration error: mean difference between the share of voxels in the region and the "
    "predicted probability, over 15 bins of probability, around the tumour.",
    source="Naeini et al. 2015, AAAI 29; Guo et al. 2017, arXiv:1706.04599",
    when_empty=_WHEN_EMPTY,
)
BRIER = Metric(
    name="brier",
    function=brier,
    unit="1",
    range=SHARE,
    better="low",
    definition="Brier score: mean of (p - y)², where y is 1 in the region and 0 outside and p is its probability, "
    "around the tumour.",
    source="Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
    when_empty=_WHEN_EMPTY,
)
