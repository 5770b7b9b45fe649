"""Compare the grids of two masks: shape and affine."""

import numpy as np

from brats_unet.volume import Volume, corners_apart_mm, spacing_mm, turned_like

# Allowed distance between corners, as a share of the smallest voxel edge: float32 quaternions and headers are rounded.
TOLERANCE = 0.01


def grid_mismatch(
    shape: tuple[int, ...], affine: np.ndarray, other_shape: tuple[int, ...], other_affine: np.ndarray
) -> str:
    """How the second grid differs from the first, as the end of a sentence; "" if they are equal.

    Args:
        shape: Voxels of the first grid along each axis.
        affine: Voxel indices of the first grid to millimetres, shape (4, 4).
        other_shape: Voxels of the second grid along each axis.
        other_affine: Voxel indices of the second grid to millimetres, shape (4, 4).
    """
    if tuple(shape) != tuple(other_shape):
        return (
            f"{_times(other_shape)} voxels, not {_times(shape)}. "
            "Resample it onto the expected grid (nearest neighbour)."
        )
    distance_mm = corners_apart_mm(shape, other_affine, affine)
    if distance_mm <= TOLERANCE * min(spacing_mm(affine)):
        return ""
    return (
        f"the affines place the corners up to {distance_mm:.2f} mm apart. "
        "Write it with the expected header, or resample it onto the expected grid."
    )


def on_axes_of(shape: tuple[int, ...], affine: np.ndarray, volume: Volume) -> Volume:
    """`volume` with its axes turned as those of a grid, if it then lies exactly on that grid; else unchanged.

    Args:
        shape: Voxels of the grid along each axis.
        affine: Voxel indices of the grid to millimetres, shape (4, 4).
        volume: A mask, shape (X, Y, Z).
    """
    if not grid_mismatch(shape, affine, volume.array.shape, volume.affine):
        return volume
    try:
        turned = turned_like(volume, affine)
    except ValueError:  # no orientation
        return volume
    return volume if grid_mismatch(shape, affine, turned.array.shape, turned.affine) else turned


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape)
