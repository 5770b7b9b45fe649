"""Voxel grids of phantoms: sizes, spacing, and where the head lies in them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.data.phantom.fields import MIDLINE, ORIGIN_MM, PITCH_MM, FieldSampler, Zyx
from brats_unet.errors import SettingsError

# Lengths along x, y, z that a grid must span. Of 120 heads, 95 % fit along x and y, three quarters along z; the others
# lose their outermost millimetres, as in scans of patients.
HEAD_MM = (152, 186, 140)
LARGEST = 1024  # voxels along an axis
LARGEST_MM = 10  # edge of a voxel
HEAD_CENTRE_MM = (0.0, 130.5, 70.5)  # mean centre of the heads in the atlas frame, along x, y, z


@dataclass(frozen=True)
class ScanGrid:
    """The grid of a phantom's scans.

    Attributes:
        shape: Voxels along x, y, z (L, P, S).
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres.
    """

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def span_mm(self) -> tuple[float, float, float]:
        """Lengths along x, y, z, in millimetres."""
        x, y, z = (n * length for n, length in zip(self.shape, self.spacing_mm, strict=True))
        return x, y, z

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return math.prod(self.shape)

    @property
    def offset_mm(self) -> Zyx[float]:
        """Distance along z, y, x from the grid's edge to the origin of the atlas frame; see `fields.FieldSampler`.

        In the grid of BraTS the head lies as in the BraTS atlas, in any other grid in the middle.
        """
        if self == BRATS:
            return 0.0, 0.0, MIDLINE
        x, y, z = (span / 2 - 0.5 - centre for span, centre in zip(self.span_mm, HEAD_CENTRE_MM, strict=True))
        return z, y, x

    def affine(self, scale: float) -> np.ndarray:
        """Affine from voxels (x, y, z along L, P, S) to R-A-S+ millimetres, with voxels enlarged by 1 / `scale`."""
        sizes = [length / scale for length in self.spacing_mm]
        affine = np.diag([-sizes[0], -sizes[1], sizes[2], 1.0])
        if self == BRATS:
            affine[1, 3] = 239.0
            return affine
        affine[:3, 3] = [(span - size) / 2 for span, size in zip(self.span_mm, sizes, strict=True)]
        affine[2, 3] *= -1
        return affine

    def sampler(self, depth: np.ndarray, scale: float) -> FieldSampler:
        """Sampler for the smallest box of voxels around all lattice cells of positive depth and one more on each side.

        Args:
            depth: Depth below the edge of the head, a lattice field.
            scale: Enlarges the voxels by 1 / `scale`; see `phantom_case.phantom_case`.
        """
        x, y, z = (scale / length for length in self.spacing_mm)
        per_mm, offset_mm = (z, y, x), self.offset_mm
        start, stop = [], []
        for axis in range(3):
            cells = np.flatnonzero((depth > 0).any(axis=tuple(i for i in range(3) if i != axis)))
            offset = ORIGIN_MM[axis] + offset_mm[axis]
            ends = (offset + PITCH_MM * (c + d) for c, d in ((cells[0], -1), (cells[-1], 2)))
            first, last = ((mm + 0.5) * per_mm[axis] for mm in ends)
            start.append(max(0, int(np.floor(first))))
            stop.append(min(round(self.shape[2 - axis] * scale), int(np.ceil(last))))
        fx, fy, fz = (parts(length) for length in self.spacing_mm)
        return FieldSampler(
            (start[0], start[1], start[2]), (stop[0], stop[1], stop[2]), per_mm, offset_mm, (fz, fy, fx)
        )


BRATS = ScanGrid((240, 240, 155))  # BraTS until 2023
MNI = ScanGrid((182, 218, 182))  # BraTS-GLI since 2024


def parts(length_mm: float) -> int:
    """Parts of about 1 mm whose mean a voxel is, as in a thick slice; odd, and 1 for edges up to 2 mm."""
    return 2 * round((length_mm - 1) / 2) + 1


def grid_of(
    usual: ScanGrid, shape: Sequence[int] | None, spacing_mm: Sequence[float] | None, *, section: str = ""
) -> ScanGrid:
    """The grid that the settings `grid` and `spacing_mm` describe.

    Args:
        usual: The usual grid of the scheme.
        shape: Voxels along x, y, z; None for as many as span the usual grid.
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres; None for those of the usual grid.
        section: Section of both settings with its final dot, for messages.

    Raises:
        SettingsError: One has not three numbers, a number is too large, or a head does not fit into the grid; the
            message names the size needed.
    """
    for name, given in (("grid", shape), ("spacing_mm", spacing_mm)):
        if given is not None and len(given) != 3:
            raise SettingsError(f"{section}{name}={list(given)}: expected three numbers, along x, y and z.")
    spacing = tuple(float(length) for length in spacing_mm or usual.spacing_mm)
    if not all(0 < length <= LARGEST_MM for length in spacing):
        raise SettingsError(f"{section}spacing_mm={list(spacing)}: expected lengths above 0 and up to {LARGEST_MM} mm.")
    sizes = tuple(shape or (round(span / length) for span, length in zip(usual.span_mm, spacing, strict=True)))
    if max(sizes) > LARGEST:
        raise SettingsError(
            f"{section}grid={list(sizes)} with voxels of {times(spacing)} mm: expected {LARGEST} voxels or fewer along "
            f"each axis. Set a smaller {section}grid, or a larger {section}spacing_mm."
        )
    grid = ScanGrid(sizes, spacing)  # type: ignore[arg-type]  # three each, as checked above
    if any(span < head for span, head in zip(grid.span_mm, HEAD_MM, strict=True)):
        needed = [math.ceil(head / length) for head, length in zip(HEAD_MM, spacing, strict=True)]
        raise SettingsError(
            f"{section}grid={list(sizes)} with voxels of {times(spacing)} mm spans {times(grid.span_mm)} mm. A head "
            f"needs {times(HEAD_MM)} mm: at this spacing, {section}grid={needed} or more."
        )
    return grid


def times(numbers: Sequence[float]) -> str:
    """Numbers with × between them: "240×240×155"."""
    return "×".join(f"{number:g}" for number in numbers)
