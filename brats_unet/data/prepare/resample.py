"""Resampling along each axis with a matrix, and the matrix for the way back.

The resampled grid starts `lead` source voxels before the source grid; 0 if both grids start at the same edge.
"""

import math
from collections.abc import Sequence

import numpy as np

ROUNDING = 1e-6  # fraction of a resampled voxel; a last voxel that covers less than this is a rounding error


def resampled_length(length: int, ratio: float, lead: float = 0.0) -> int:
    """Number of voxels, each `ratio` times as long, that cover `lead` + `length` voxels; the last may extend beyond."""
    return max(1, math.ceil((lead + length) / ratio - ROUNDING))


def centring_lead(mask: np.ndarray, ratio: Sequence[float]) -> tuple[float, float, float]:
    """Lead of each axis that puts the mask's centre of mass at the centre of a resampled voxel.

    With it, the same brain on different grids is divided into the same voxels, and a stray voxel at the edge of the
    mask hardly moves the grid.

    Args:
        mask: Mask, bool, shape (X, Y, Z); not empty.
        ratio: Edge length of a resampled voxel in voxels of the mask, per axis.

    Returns:
        Leads in voxels of the mask, at least 0 and below the ratio; 0 for an axis with ratio 1.
    """
    leads = []
    for axis, step in enumerate(ratio):
        counts = np.count_nonzero(mask, axis=tuple(i for i in range(3) if i != axis))
        centre = float(counts @ (np.arange(len(counts)) + 0.5) / counts.sum())
        lead = (step / 2 - centre) % step
        leads.append(0.0 if step == 1 or step - lead < ROUNDING * step else lead)
    x, y, z = leads
    return x, y, z


def area_matrix(length: int, ratio: float, lead: float = 0.0) -> np.ndarray:
    """Weights for resampling by area means: each new voxel is the mean of the source voxels that it covers.

    For a `ratio` below 1 (finer voxels), the weights interpolate linearly between voxel centres instead; beyond the
    outermost centres the edge value is repeated.

    Args:
        length: Number of source voxels.
        ratio: Edge length of a new voxel in source voxels.
        lead: Distance in source voxels by which the new grid starts before the source grid.

    Returns:
        Weights, float32, shape (resampled_length(length, ratio, lead), length); each row sums to 1.
    """
    count = resampled_length(length, ratio, lead)
    if ratio < 1:
        return linear_matrix(count, length, 1 / ratio, -lead / ratio)
    edges = np.arange(count + 1) * ratio - lead
    low, high = edges[:-1, None], edges[1:, None]
    voxel = np.arange(length)[None, :]
    weights = np.clip(np.minimum(high, voxel + 1) - np.maximum(low, voxel), 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def linear_matrix(length: int, source_length: int, ratio: float, lead: float = 0.0) -> np.ndarray:
    """Weights for linear interpolation at the centres of `length` new voxels.

    Args:
        length: Number of new voxels.
        source_length: Number of source voxels.
        ratio: Edge length of a source voxel in new voxels.
        lead: Distance in new voxels by which the source grid starts before the new grid.

    Returns:
        Weights, float32, shape (length, source_length); each row sums to 1.
    """
    centres = np.clip((np.arange(length) + 0.5 + lead) / ratio - 0.5, 0, source_length - 1)
    low = np.minimum(centres.astype(int), max(0, source_length - 2))
    share = (centres - low).astype(np.float32)
    weights = np.zeros((length, source_length), np.float32)
    rows = np.arange(length)
    weights[rows, low] = 1 - share
    if source_length > 1:
        weights[rows, low + 1] += share
    return weights


def area_resampled(
    array: np.ndarray, ratio: tuple[float, float, float], lead: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> np.ndarray:
    """Resample `array` (X, Y, Z, …) by area means to voxels `ratio` times as long; unchanged if every ratio is 1."""
    if ratio == (1.0, 1.0, 1.0):
        return array
    axes = zip(array.shape[:3], ratio, lead, strict=True)
    matrices = tuple(None if r == 1 else area_matrix(n, r, axis_lead) for n, r, axis_lead in axes)
    return along_axes(array, matrices)


def along_axes(array: np.ndarray, matrices: tuple[np.ndarray | None, ...]) -> np.ndarray:
    """Apply matrix i along axis i of `array` (X, Y, Z, …), float32; None leaves an axis unchanged."""
    result = np.asarray(array, np.float32)
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            result = np.moveaxis(np.tensordot(matrix, result, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(result)
