"""Tilted scans, whose axes do not run along the patient's axes: interpolation onto a straight grid and back."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from brats_unet.volume import spacing_mm, turn_to_lps

# Scans with a smaller tilt are used as they are: interpolation would blur them without need.
MAX_TILT_DEGREES = 2.0


@dataclass(frozen=True)
class Straight:
    """Grid along the L, P and S axes that covers a tilted grid and has the same voxel spacing.

    Attributes:
        shape: Number of voxels along L, P, S.
        affine: Affine, voxel to R-A-S+ millimetres, as nested tuples.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]


def tilt_degrees(affine: np.ndarray) -> float:
    """Largest angle between a voxel axis and its nearest patient axis, in degrees.

    Raises:
        ValueError: The affine is singular or not finite.
    """
    axes = turn_to_lps(affine).axes
    directions = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    cosines = [abs(directions[world, axes[world]]) for world in range(3)]
    return float(np.degrees(np.arccos(min(1.0, *cosines))))


def straight_around(shape: tuple[int, ...], affine: np.ndarray) -> Straight | None:
    """Straight grid that covers a tilted one.

    Args:
        shape: Shape of the tilted grid, in voxels; only the first three axes count.
        affine: Affine of the tilted grid, voxel to R-A-S+ millimetres.

    Returns:
        The straight grid; None if the tilt is at most 2 degrees.

    Raises:
        ValueError: The affine is singular or not finite.
    """
    if tilt_degrees(affine) <= MAX_TILT_DEGREES:
        return None
    axes = turn_to_lps(affine).axes
    lengths = spacing_mm(affine)
    spacing = np.array([lengths[axis] for axis in axes])
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]], indexing="ij")).reshape(3, -1)
    world = affine[:3, :3] @ corners + affine[:3, 3:]
    lps = world * np.array([[-1.0], [-1.0], [1.0]])
    low = lps.min(axis=1)
    count = np.ceil((lps.max(axis=1) - low) / spacing - 1e-6).astype(int) + 1
    matrix = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    matrix[:3, 3] = low * (-1, -1, 1)
    return Straight(
        (int(count[0]), int(count[1]), int(count[2])), tuple(tuple(float(v) for v in row) for row in matrix)
    )


def resliced(
    array: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], target: np.ndarray, outside: float = 0.0
) -> np.ndarray:
    """Interpolate an array linearly at the voxels of another grid; float32.

    Args:
        array: Numbers or bool, shape (X, Y, Z, …); bool gives fractions from 0 to 1.
        affine: Affine of `array`, voxel to millimetres.
        shape: Shape (X, Y, Z) of the other grid.
        target: Affine of the other grid, voxel to millimetres.
        outside: Value beyond the array.

    Returns:
        Array of shape (*shape, …).
    """
    matrix = np.linalg.inv(affine) @ target
    channels = np.asarray(array, np.float32).reshape(*array.shape[:3], -1)
    result = np.empty((*shape, channels.shape[-1]), np.float32)
    for channel in range(channels.shape[-1]):
        ndimage.affine_transform(
            channels[..., channel],
            matrix[:3, :3],
            matrix[:3, 3],
            output_shape=tuple(shape),
            output=result[..., channel],
            order=1,
            mode="constant",
            cval=outside,
        )
    return result.reshape(*shape, *array.shape[3:])


def resliced_brain(
    scan: np.ndarray, scan_mask: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate a skull-stripped scan on another grid from brain voxels only, so that its edge stays sharp.

    Args:
        scan: Scan, shape (X, Y, Z).
        scan_mask: Brain voxels of the scan, bool, same shape.
        affine: Affine of the scan, voxel to millimetres.
        shape: Shape (X, Y, Z) of the other grid.
        target: Affine of the other grid, voxel to millimetres.

    Returns:
        The scan on the other grid, float32, 0 outside the brain; and its brain mask, bool: voxels that are at least
        half brain.
    """
    masked = np.stack([np.where(scan_mask, scan, 0), scan_mask], axis=-1, dtype=np.float32)
    total, weight = np.moveaxis(resliced(masked, affine, shape, target), -1, 0)
    new_mask = weight >= 0.5
    return np.divide(total, weight, out=np.zeros_like(total), where=new_mask), new_mask
