"""Whether two masks lie on one grid."""

import numpy as np

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
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]], indexing="ij")).reshape(3, -1)
    corners = np.vstack([ends, np.ones(ends.shape[1])])
    away_mm = float(np.abs((affine @ corners - other_affine @ corners)[:3]).max())
    edge_mm = float(np.sqrt((affine[:3, :3] ** 2).sum(axis=0)).min())
    if away_mm <= TOLERANCE * edge_mm:
        return ""
    return (
        f"its corners lie up to {away_mm:.2f} mm away in the affine. "
        "Write it with the reference's header, or resample it onto that grid."
    )


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(str(n) for n in shape)
