"""Whether two masks lie on one grid."""

import numpy as np

from brats_unet.volume import corners_apart_mm, spacing_mm

# Shares of the smallest voxel edge by which corners may differ: what float32 quaternions and rounded headers cost.
TOLERANCE = 0.01


def grid_mismatch(
    shape: tuple[int, ...], affine: np.ndarray, other_shape: tuple[int, ...], other_affine: np.ndarray
) -> str:
    """What tells two grids apart, as the end of a sentence; "" where they are one.

    Args:
        shape: Voxels along each axis of the first.
        affine: Its voxel indices to millimetres, shape (4, 4).
        other_shape: Of the second.
        other_affine: Likewise.
    """
    if tuple(shape) != tuple(other_shape):
        return (
            f"{_times(other_shape)} voxels, not {_times(shape)}. "
            "Resample it onto the reference's grid (nearest neighbour)."
        )
    away_mm = corners_apart_mm(shape, other_affine, affine)
    if away_mm <= TOLERANCE * min(spacing_mm(affine)):
        return ""
    return (
        f"its corners lie up to {away_mm:.2f} mm away in the affine. "
        "Write it with the reference's header, or resample it onto that grid."
    )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape)
