"""Scalar fields that phantoms are drawn with: bodies as signed depths, random fields, and the way to the voxels.

Arrays run Z, Y, X here (x fastest, as NIfTI stores voxels). Positions are millimetres in the frame of the BraTS atlas:
at 1 mm they equal the voxel index, except x, which counts from the midline (positive to the patient's left).
Everything is elementwise or an FFT, so that the result does not depend on the number of threads.
"""

from functools import lru_cache

import numpy as np
from scipy import fft, ndimage

PITCH_MM = 2.0
LATTICE = (72, 96, 80)  # cells along z, y, x: FFT-friendly, and large enough for any phantom's head
ORIGIN_MM = (0.0, 38.0, -79.5)  # of the first 1 mm voxel of the lattice, z, y, x
MIDLINE = 119.5  # voxel position of x = 0 on the 240-voxel axis


def lattice_axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions of the lattice's cell centres along z, y, x, shaped to broadcast, float32, mm."""
    lines = [(o + 0.5 + PITCH_MM * np.arange(n)).astype(np.float32) for o, n in zip(ORIGIN_MM, LATTICE, strict=True)]
    return lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :]


def ellipsoid(x, y, z, centre, radii) -> np.ndarray:
    """Depth in mm below an ellipsoid's surface, about right near it; negative outside. Order of `centre`: x, y, z."""
    a, b, c = ((p - m) / np.float32(r) for p, m, r in zip((x, y, z), centre, radii, strict=True))
    aa, bb, cc = a * a, b * b, c * c
    k0 = np.sqrt(aa + bb + cc) + np.float32(1e-4)
    rx, ry, rz = (np.float32(1 / r**2) for r in radii)
    k1 = np.sqrt(aa * rx + bb * ry + cc * rz) + np.float32(1e-5)
    return k0 * (1 - k0) / k1


def capsule(x, y, z, start, stop, radius_start, radius_stop) -> np.ndarray:
    """Depth in mm below the surface of a rod from `start` to `stop` (x, y, z) with a radius that changes evenly."""
    axis = [float(b - a) for a, b in zip(start, stop, strict=True)]
    length2 = sum(a * a for a in axis)
    dx, dy, dz = x - np.float32(start[0]), y - np.float32(start[1]), z - np.float32(start[2])
    t = np.clip((dx * axis[0] + dy * axis[1] + dz * axis[2]) / np.float32(length2), 0, 1)
    dx, dy, dz = dx - t * axis[0], dy - t * axis[1], dz - t * axis[2]
    return radius_start + (radius_stop - radius_start) * t - np.sqrt(dx * dx + dy * dy + dz * dz)


def smooth_max(a, b, width) -> np.ndarray:
    """Union of two depths with the crease between them filled over `width` mm."""
    h = np.maximum(width - np.abs(a - b), 0)
    return np.maximum(a, b) + h * h * np.float32(0.25 / width)


def ramp(a, width) -> np.ndarray:
    """0 below -width/2, 1 above width/2, straight between: the share of a voxel that lies inside a depth of `a` mm."""
    return np.clip(a * np.float32(1 / width) + np.float32(0.5), 0, 1)


def random_field(rng: np.random.Generator, wavelength_mm: float, band: float | None = None) -> np.ndarray:
    """A Gaussian random field on the lattice, mean 0, standard deviation 1, float32; periodic.

    Args:
        rng: Where the numbers come from.
        wavelength_mm: Of the waves in it; with `band` None, all longer waves too.
        band: Relative width of the wave band; narrow bands make labyrinths.
    """
    spectrum = fft.rfftn(rng.standard_normal(LATTICE, dtype=np.float32))
    spectrum *= wave_filter(wavelength_mm, band)
    field = fft.irfftn(spectrum, LATTICE)
    field *= 1 / field.std()
    return field


@lru_cache(maxsize=32)
def wave_filter(wavelength_mm: float, band: float | None) -> np.ndarray:
    """Weight of each wave of the lattice in a random field, float32, shaped for `rfftn`; 0 for the mean."""
    kz, ky = (np.fft.fftfreq(n, PITCH_MM).astype(np.float32) for n in LATTICE[:2])
    kx = np.fft.rfftfreq(LATTICE[2], PITCH_MM).astype(np.float32)
    k = np.sqrt(kz[:, None, None] ** 2 + ky[None, :, None] ** 2 + kx[None, None, :] ** 2) * np.float32(wavelength_mm)
    weight = np.exp(-(k * k)) if band is None else np.exp(-(((k - 1) / np.float32(band)) ** 2))
    weight[0, 0, 0] = 0
    weight.flags.writeable = False
    return weight


def at_positions(field: np.ndarray, x, y, z) -> np.ndarray:
    """A lattice field read at other positions (mm), linear between cells, periodic beyond the edge."""
    cells = np.stack(
        [(p - o - np.float32(0.5)) / np.float32(PITCH_MM) for p, o in zip((z, y, x), ORIGIN_MM, strict=True)]
    )
    return ndimage.map_coordinates(field, cells, order=1, mode="grid-wrap", prefilter=False)


def slopes(field: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives of a lattice field along z, y, x, per mm."""
    return tuple(np.gradient(field, np.float32(PITCH_MM)))


def signed_distance(field: np.ndarray, limit_mm: float) -> np.ndarray:
    """A field divided by its slope: distance to its zero sheet in mm, right near the sheet, clipped at `limit_mm`."""
    gz, gy, gx = slopes(field)
    slope = np.sqrt(gz * gz + gy * gy + gx * gx)
    return np.clip(field / (slope + np.float32(0.25) * slope.mean()), -limit_mm, limit_mm)


class FieldSampler:
    """The way from the lattice to the voxels of a box of the scan: linear along each axis in turn.

    Attributes:
        start: First voxel of the box along z, y, x.
        stop: One past its last.
    """

    def __init__(self, start: tuple[int, int, int], stop: tuple[int, int, int], scale: float) -> None:
        self.start, self.stop = start, stop
        self.positions, self.steps = [], []
        for axis in range(3):
            index = np.arange(start[axis], stop[axis])
            mm = (index + 0.5) / scale - 0.5 - (MIDLINE if axis == 2 else 0)
            cell = np.clip((mm - ORIGIN_MM[axis] - 0.5) / PITCH_MM, 0, LATTICE[axis] - 1.001)
            low = np.floor(cell).astype(int)
            self.positions.append(mm.astype(np.float32))
            self.steps.append((low, (cell - low).astype(np.float32)))

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))  # type: ignore[return-value]

    def __call__(self, field: np.ndarray) -> np.ndarray:
        """Values of a lattice field at the voxels of the box, float32, shape Z, Y, X."""
        for axis in (2, 1, 0):  # the costly last one over whole planes
            low, share = self.steps[axis]
            share = share.reshape([-1 if i == axis else 1 for i in range(3)])
            first = field.take(low, axis)
            second = field.take(low + 1, axis)
            second -= first
            second *= share
            first += second
            field = first
        return field
