"""Scalar fields that make up a phantom: signed depths of bodies, random fields, and sampling of both at voxels.

Arrays have axes Z, Y, X (x varies fastest, as in NIfTI files). Positions are in millimetres in the BraTS atlas frame:
on the 1 mm grid a position equals the voxel index, except that x is measured from the midline (positive to the
patient's left). All operations are elementwise or FFTs, so results do not depend on the number of threads.

Fields are computed on a coarse grid, the lattice. A depth is the distance in mm below the surface of a body: positive
inside the body, negative outside.
"""

import math
from functools import lru_cache
from typing import TypeVar

import numpy as np
from scipy import fft, ndimage

PITCH_MM = 2.0  # edge length of a lattice cell
LATTICE = (72, 96, 80)  # cells along z, y, x: good sizes for an FFT, and large enough for the head of any phantom
ORIGIN_MM = (0.0, 38.0, -79.5)  # position of the first 1 mm voxel in the lattice: z, y, x
MIDLINE = 119.5  # voxel index of x = 0 on the 240-voxel axis
T = TypeVar("T")
Zyx = tuple[T, T, T]  # one value each along z, y, x


def lattice_axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres of the lattice cells along z, y and x in mm, float32; three arrays that broadcast to the lattice."""
    lines = [(o + 0.5 + PITCH_MM * np.arange(n)).astype(np.float32) for o, n in zip(ORIGIN_MM, LATTICE, strict=True)]
    return lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :]


def ellipsoid(x, y, z, centre, radii) -> np.ndarray:
    """Depth in mm below the surface of an ellipsoid, accurate near the surface; `centre` and `radii` along x, y, z."""
    a, b, c = ((p - m) / np.float32(r) for p, m, r in zip((x, y, z), centre, radii, strict=True))
    aa, bb, cc = a * a, b * b, c * c
    k0 = np.sqrt(aa + bb + cc) + np.float32(1e-4)
    rx, ry, rz = (np.float32(1 / r**2) for r in radii)
    k1 = np.sqrt(aa * rx + bb * ry + cc * rz) + np.float32(1e-5)
    return k0 * (1 - k0) / k1


def capsule(x, y, z, start, stop, radius_start, radius_stop) -> np.ndarray:
    """Depth in mm below the surface of a capsule from `start` to `stop` (x, y, z) whose radius changes linearly."""
    axis = [float(b - a) for a, b in zip(start, stop, strict=True)]
    length2 = sum(a * a for a in axis)
    dx, dy, dz = x - np.float32(start[0]), y - np.float32(start[1]), z - np.float32(start[2])
    t = np.clip((dx * axis[0] + dy * axis[1] + dz * axis[2]) / np.float32(length2), 0, 1)
    dx, dy, dz = dx - t * axis[0], dy - t * axis[1], dz - t * axis[2]
    return radius_start + (radius_stop - radius_start) * t - np.sqrt(dx * dx + dy * dy + dz * dz)


def smooth_max(a, b, width) -> np.ndarray:
    """Depth of the union of two bodies, with the edge where they meet smoothed over `width` mm."""
    h = np.maximum(width - np.abs(a - b), 0)
    return np.maximum(a, b) + h * h * np.float32(0.25 / width)


def ramp(a, width) -> np.ndarray:
    """Share of a voxel that lies inside, for a depth of `a` mm: 0 below -width/2, 1 above width/2, linear between."""
    return np.clip(a * np.float32(1 / width) + np.float32(0.5), 0, 1)


def random_field(rng: np.random.Generator, wavelength_mm: float, band: float | None = None) -> np.ndarray:
    """Periodic Gaussian random field on the lattice, mean 0, standard deviation 1, float32.

    Args:
        rng: Random number generator.
        wavelength_mm: Wavelength in the field. With `band` None, the field also contains all longer waves.
        band: Relative width of a band around the wavelength; narrow bands give labyrinth-like patterns.
    """
    spectrum = fft.rfftn(rng.standard_normal(LATTICE, dtype=np.float32))
    spectrum *= wave_filter(wavelength_mm, band)
    field = fft.irfftn(spectrum, LATTICE)
    field *= 1 / field.std()
    return field


@lru_cache(maxsize=32)
def wave_filter(wavelength_mm: float, band: float | None) -> np.ndarray:
    """Weight of each frequency in a random field, float32, in the shape of `rfftn`; 0 for the mean."""
    kz, ky = (np.fft.fftfreq(n, PITCH_MM).astype(np.float32) for n in LATTICE[:2])
    kx = np.fft.rfftfreq(LATTICE[2], PITCH_MM).astype(np.float32)
    k = np.sqrt(kz[:, None, None] ** 2 + ky[None, :, None] ** 2 + kx[None, None, :] ** 2) * np.float32(wavelength_mm)
    weight = np.exp(-(k * k)) if band is None else np.exp(-(((k - 1) / np.float32(band)) ** 2))
    weight[0, 0, 0] = 0
    weight.flags.writeable = False
    return weight


def at_positions(field: np.ndarray, x, y, z) -> np.ndarray:
    """Lattice field interpolated linearly at other positions (mm), periodic beyond the lattice."""
    cells = np.stack(
        [(p - o - np.float32(0.5)) / np.float32(PITCH_MM) for p, o in zip((z, y, x), ORIGIN_MM, strict=True)]
    )
    return ndimage.map_coordinates(field, cells, order=1, mode="grid-wrap", prefilter=False)


def slopes(field: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of a lattice field along z, y, x, per mm."""
    return tuple(np.gradient(field, np.float32(PITCH_MM)))


def signed_distance(field: np.ndarray, limit_mm: float) -> np.ndarray:
    """Distance in mm to the surface where a field is 0, accurate near that surface, clipped to ±`limit_mm`."""
    gz, gy, gx = slopes(field)
    slope = np.sqrt(gz * gz + gy * gy + gx * gx)
    return np.clip(field / (slope + np.float32(0.25) * slope.mean()), -limit_mm, limit_mm)


class FieldSampler:
    """Linear interpolation of lattice fields at the voxels of a box in the scan.

    Args:
        start: First voxel of the box along z, y, x.
        stop: Index after the last voxel along z, y, x.
        per_mm: Voxels per millimetre along z, y, x.
        offset_mm: Distance from the edge of the scan to the origin of the atlas frame (half a millimetre before its
            first 1 mm voxel; along x, its midline) along z, y, x; see `scan_grid.ScanGrid.offset_mm`.
        finer: Parts that each voxel is split into along z, y, x; odd, so that one part lies in its middle.
    """

    def __init__(
        self, start: Zyx[int], stop: Zyx[int], per_mm: Zyx[float], offset_mm: Zyx[float], finer: Zyx[int] = (1, 1, 1)
    ) -> None:
        self.start, self.stop, self.per_mm, self.finer = start, stop, per_mm, finer
        self.steps = []
        for axis in range(3):
            parts = finer[axis]
            index = np.arange(start[axis] * parts, stop[axis] * parts)
            mm = (index + 0.5) / (per_mm[axis] * parts) - 0.5 - offset_mm[axis]
            cell = np.clip((mm - ORIGIN_MM[axis] - 0.5) / PITCH_MM, 0, LATTICE[axis] - 1.001)
            low = np.floor(cell).astype(int)
            self.steps.append((low, (cell - low).astype(np.float32)))

    @property
    def per_mm3(self) -> float:
        """Parts of voxels per cubic millimetre."""
        return math.prod(n * parts for n, parts in zip(self.per_mm, self.finer, strict=True))

    def middle(self, array: np.ndarray) -> np.ndarray:
        """The value in the middle of each voxel, from one for each part."""
        return array[tuple(slice(parts // 2, None, parts) for parts in self.finer)]

    def mean(self, array: np.ndarray) -> np.ndarray:
        """The mean over the parts of each voxel."""
        for axis, parts in enumerate(self.finer):
            if parts > 1:
                split = (*array.shape[:axis], array.shape[axis] // parts, parts, *array.shape[axis + 1 :])
                array = array.reshape(split).mean(axis=axis + 1)
        return array

    def __call__(self, field: np.ndarray) -> np.ndarray:
        """Values of a lattice field at the parts of all voxels of the box, float32, shape (Z, Y, X)."""
        for axis in (2, 1, 0):  # z last: it has the most work, and then works on whole planes
            low, share = self.steps[axis]
            share = share.reshape([-1 if i == axis else 1 for i in range(3)])
            first = field.take(low, axis)
            second = field.take(low + 1, axis)
            second -= first
            second *= share
            first += second
            field = first
        return field
