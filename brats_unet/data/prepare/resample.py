"""Resampling along axes with two matrices, one there and one back.

The resampled grid starts `lead` voxels of the other before it, 0 where both start at the same edge.
"""

import math
from collections.abc import Sequence

import numpy as np

SLIVER = 1e-6  # of a resampled voxel: what covers no more of the other grid than rounding makes is left out


def resampled_length(length: int, ratio: float, lead: float = 0.0) -> int:
    """Voxels needed to cover `lead` + `length` voxels with voxels `ratio` times as long; the last may stick out."""
    return max(1, math.ceil((lead + length) / ratio - SLIVER))


def centring_lead(mask: np.ndarray, ratio: Sequence[float]) -> tuple[float, float, float]:
    """The lead, by axis, for which a mask's centre of mass is the middle of a resampled voxel; 0 where the ratio is 1.

    The same brain on another grid is so cut into the same voxels, and a stray one at its edge shifts nothing.

    Args:
        mask: bool, shape (X, Y, Z); True somewhere.
        ratio: Length of a resampled voxel in voxels of the mask, by axis.

    Returns:
        In voxels of the mask, from 0 to below the ratio.
    """
    leads = []
    for axis, step in enumerate(ratio):
        counts = np.count_nonzero(mask, axis=tuple(i for i in range(3) if i != axis))
        centre = float(counts @ (np.arange(len(counts)) + 0.5) / counts.sum())
        lead = (step / 2 - centre) % step
        leads.append(0.0 if step == 1 or step - lead < SLIVER * step else lead)
    x, y, z = leads
    return x, y, z


def area_matrix(length: int, ratio: float, lead: float = 0.0) -> np.ndarray:
    """Weights, float32, shape (resampled_length, length): each output voxel is the mean of what it covers.

    For `ratio` below 1 (finer voxels) it interpolates linearly between voxel centres instead, edges held.
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
    """Weights, float32, shape (length, source_length), to interpolate linearly at the centres of `length` voxels.

    Args:
        length: Voxels wanted.
        source_length: Voxels at hand, each `ratio` times as long as those wanted.
        ratio: Length of a source voxel in wanted voxels.
        lead: How many wanted voxels the voxels at hand start before those wanted.
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
    """`array` (X, Y, Z, …) on voxels `ratio` times as long, by area means; untouched where every ratio is 1."""
    if ratio == (1.0, 1.0, 1.0):
        return array
    axes = zip(array.shape[:3], ratio, lead, strict=True)
    matrices = tuple(None if r == 1 else area_matrix(n, r, before) for n, r, before in axes)
    return along_axes(array, matrices)


def along_axes(array: np.ndarray, matrices: tuple[np.ndarray | None, ...]) -> np.ndarray:
    """`array` (X, Y, Z, …) with matrix i applied along axis i; None leaves an axis as it is. float32."""
    result = np.asarray(array, np.float32)
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            result = np.moveaxis(np.tensordot(matrix, result, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(result)
