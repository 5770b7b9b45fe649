"""Resampling along axes with two matrices, one there and one back; both grids start at the same edge."""

import math

import numpy as np


def resampled_length(length: int, ratio: float) -> int:
    """Voxels needed to cover `length` voxels with voxels `ratio` times as long; the last may stick out."""
    return max(1, math.ceil(length / ratio - 1e-6))


def area_matrix(length: int, ratio: float) -> np.ndarray:
    """Weights, float32, shape (resampled_length, length): each output voxel is the mean of what it covers.

    For `ratio` below 1 (finer voxels) it interpolates linearly between voxel centres instead, edges held.
    """
    count = resampled_length(length, ratio)
    if ratio < 1:
        return linear_matrix(count, length, 1 / ratio)
    edges = np.arange(count + 1) * ratio
    low, high = edges[:-1, None], edges[1:, None]
    voxel = np.arange(length)[None, :]
    weights = np.clip(np.minimum(high, voxel + 1) - np.maximum(low, voxel), 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def linear_matrix(length: int, source_length: int, ratio: float) -> np.ndarray:
    """Weights, float32, shape (length, source_length), to interpolate linearly at the centres of `length` voxels.

    Args:
        length: Voxels wanted.
        source_length: Voxels at hand, each `ratio` times as long as those wanted; both start at the same edge.
        ratio: Length of a source voxel in wanted voxels.
    """
    centres = np.clip((np.arange(length) + 0.5) / ratio - 0.5, 0, source_length - 1)
    low = np.minimum(centres.astype(int), max(0, source_length - 2))
    share = (centres - low).astype(np.float32)
    weights = np.zeros((length, source_length), np.float32)
    rows = np.arange(length)
    weights[rows, low] = 1 - share
    if source_length > 1:
        weights[rows, low + 1] += share
    return weights


def area_resampled(array: np.ndarray, ratio: tuple[float, float, float]) -> np.ndarray:
    """`array` (X, Y, Z, …) on voxels `ratio` times as long, by area means; untouched where every ratio is 1."""
    if ratio == (1.0, 1.0, 1.0):
        return array
    matrices = tuple(None if r == 1 else area_matrix(n, r) for n, r in zip(array.shape[:3], ratio, strict=True))
    return along_axes(array, matrices)


def along_axes(array: np.ndarray, matrices: tuple[np.ndarray | None, ...]) -> np.ndarray:
    """`array` (X, Y, Z, …) with matrix i applied along axis i; None leaves an axis as it is. float32."""
    result = np.asarray(array, np.float32)
    for axis, matrix in enumerate(matrices):
        if matrix is not None:
            result = np.moveaxis(np.tensordot(matrix, result, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(result)
