"""Whether probabilities mean what they say: Brier score and expected calibration error of one region."""

import numpy as np

from brats_unet.geometry import Box, bounding_box

BINS = 15
MARGIN_VOXELS = 10


def brier(reference: np.ndarray, probabilities: np.ndarray) -> float:
    """Brier score: the mean squared difference between a probability and what the voxel is.

    Args:
        reference: Expert mask of a region, bool, any shape, not empty of voxels.
        probabilities: Of the region, float, same shape, 0 to 1.

    Returns:
        0 to 1, lower is better; an empty reference needs no rule.

    Source:
        Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2; one region against the rest, hence 1 at most.
    """
    _require(reference, probabilities)
    return float(np.mean((probabilities.astype(float) - reference) ** 2))


def expected_calibration_error(reference: np.ndarray, probabilities: np.ndarray, *, bins: int = BINS) -> float:
    """How far the share of voxels in the region lies from their mean probability, averaged over voxels.

    Voxels are sorted by probability into `bins` intervals of one width over 0 to 1 (the last includes 1). It is the
    probability of the region that is binned, not the confidence in the likelier answer.

    Args:
        reference: Expert mask of a region, bool, any shape, not empty of voxels.
        probabilities: Of the region, float, same shape, 0 to 1.
        bins: Number of intervals.

    Returns:
        0 to 1, lower is better; an empty reference needs no rule. 0 does not say that a region is found: a constant
        probability of the region's share of the voxels has it too.

    Source:
        Naeini et al. 2015, AAAI 29; Guo et al. 2017, arXiv:1706.04599, for a binary event.
    """
    _require(reference, probabilities)
    if bins < 1:
        raise ValueError(f"At least one bin is needed, not {bins}.")
    flat = probabilities.ravel().astype(float)
    which = np.minimum((flat * bins).astype(np.intp), bins - 1)
    expected = np.bincount(which, weights=flat, minlength=bins)
    observed = np.bincount(which[reference.ravel()], minlength=bins)
    return float(np.abs(expected - observed).sum() / flat.size)


def calibration_box(tumour: np.ndarray) -> Box:
    """Where calibration is judged: the box of the reference's whole tumour and 10 voxels around it, within the grid.

    Over the whole grid the air, of which everyone is certain, would hide everything. Without a tumour: the whole grid.

    Args:
        tumour: bool, shape (X, Y, Z).

    Source:
        Mehrtash et al. 2020, doi:10.1109/TMI.2020.3006437, who judge it in a box around the foreground.
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
            f"A bool mask and probabilities of one shape are expected, not {reference.dtype} {reference.shape} "
            f"and {probabilities.dtype} {probabilities.shape}."
        )
    if not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise ValueError(f"Probabilities lie from 0 to 1, not {probabilities.min():g} to {probabilities.max():g}.")
