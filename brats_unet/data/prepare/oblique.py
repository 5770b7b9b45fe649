"""Scans whose axes are tilted against the patient's: a straight grid around them, and interpolation there and back."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from brats_unet.volume import spacing_mm, turn_to_lps

# Scans that are tilted by less are taken as they lie: interpolating would blur them for nothing.
STRAIGHT_ENOUGH_DEGREES = 2.0


@dataclass(frozen=True)
class Straight:
    """A grid along L, P and S that covers a tilted one, with voxels as long.

    Attributes:
        shape: Voxels along L, P, S.
        affine: Voxel to R-A-S+ millimetres, as nested tuples.
    """

    shape: tuple[int, int, int]
    affine: tuple[tuple[float, ...], ...]


def tilt_degrees(affine: np.ndarray) -> float:
    """Largest angle between a voxel axis and the axis of the patient that it runs nearest to.

    Raises:
        ValueError: The affine is singular or not finite.
    """
    axes = turn_to_lps(affine).axes
    directions = affine[:3, :3] / np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    cosines = [abs(directions[world, axes[world]]) for world in range(3)]
    return float(np.degrees(np.arccos(min(1.0, *cosines))))


def straight_around(shape: tuple[int, ...], affine: np.ndarray) -> Straight | None:
    """The straight grid around a tilted one; None where the scan is straight enough as it is."""
    if tilt_degrees(affine) <= STRAIGHT_ENOUGH_DEGREES:
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
    """`array` (X, Y, Z, …) that lies by `affine`, interpolated linearly at the voxels of another grid; float32.

    Args:
        array: Numbers, or bool, which give shares from 0 to 1.
        affine: Voxel to millimetres of `array`.
        shape: Of the other grid.
        target: Its voxel to millimetres.
        outside: Value beyond the array.
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
    scan: np.ndarray, inside: np.ndarray, affine: np.ndarray, shape: tuple[int, ...], target: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A skull-stripped scan on another grid, its edge as sharp as before: only voxels of the brain are averaged.

    Args:
        scan: Shape (X, Y, Z).
        inside: Which of its voxels are brain, bool.
        affine: Voxel to millimetres of both.
        shape: Of the other grid.
        target: Its voxel to millimetres.

    Returns:
        The scan, float32, 0 outside; and which voxels are brain: half of them or more.
    """
    both = np.stack([np.where(inside, scan, 0), inside], axis=-1, dtype=np.float32)
    total, weight = np.moveaxis(resliced(both, affine, shape, target), -1, 0)
    there = weight >= 0.5
    return np.divide(total, weight, out=np.zeros_like(total), where=there), there
