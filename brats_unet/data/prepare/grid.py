"""Mapping between the grid of a case on disk and the grid of its prepared volume, in both directions."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brats_unet.data.prepare.oblique import Straight, resliced
from brats_unet.data.prepare.resample import along_axes, area_resampled, linear_matrix, resampled_length
from brats_unet.geometry import Box, crop, uncrop
from brats_unet.volume import Spacing, Turn, spacing_mm


@dataclass(frozen=True)
class Grid:
    """Mapping from the case grid to the prepared grid: reorient to L-P-S, crop to `box`, resample by `ratio`.

    Attributes:
        case_shape: Shape of the case on disk, in voxels.
        case_affine: Affine of the case on disk (voxel to R-A-S+ millimetres), as nested tuples.
        turn: Axis permutation and flips from the axes on disk to L-P-S.
        box: Region that is cropped out, in voxels along the L-P-S axes.
        ratio: Edge length of a prepared voxel in case voxels, per L-P-S axis; exactly 1 for an axis that is not
            resampled.
        lead: Distance in case voxels by which the prepared grid starts before the box, per L-P-S axis; 0 for an axis
            that is not resampled.
        straight: Straight grid onto which a tilted case is interpolated first; None if the case is not tilted.
        spacing_known: False if the unit of the affine is a voxel, see `Volume.spacing_known`.
    """

    case_shape: tuple[int, int, int]
    case_affine: tuple[tuple[float, ...], ...]
    turn: Turn
    box: Box
    ratio: tuple[float, float, float]
    lead: tuple[float, float, float] = (0.0, 0.0, 0.0)
    straight: Straight | None = None
    spacing_known: bool = True

    def __post_init__(self) -> None:
        lengths = (self.case_shape, self.turn.axes, self.turn.reverse, self.box.start, self.box.stop, self.ratio)
        if {len(one) for one in (*lengths, self.lead)} != {3} or np.shape(self.case_affine) != (4, 4):
            raise ValueError("A grid has three axes and an affine of four rows.")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the prepared grid, in voxels along L, P, S."""
        return tuple(resampled_length(*axis) for axis in zip(self.box.shape, self.ratio, self.lead, strict=True))

    @property
    def turned_shape(self) -> tuple[int, ...]:
        """Shape before cropping and resampling, along L, P, S: of the straight grid if the case is tilted."""
        shape = self.case_shape if self.straight is None else self.straight.shape
        return tuple(shape[axis] for axis in self.turn.axes)

    @property
    def case_spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths of the case along its axes on disk, in millimetres; 1, 1, 1 voxels if they are unknown."""
        return spacing_mm(np.array(self.case_affine))

    @property
    def known_spacing_mm(self) -> Spacing | None:
        """`case_spacing_mm`, or None if it is unknown."""
        return self.case_spacing_mm if self.spacing_known else None

    @property
    def prepared_spacing_mm(self) -> Spacing:
        """Edge lengths of a prepared voxel along L, P, S, in millimetres; in case voxels if the unit is unknown."""
        lying = spacing_mm(np.array(self.case_affine if self.straight is None else self.straight.affine))
        x, y, z = (lying[axis] * ratio for axis, ratio in zip(self.turn.axes, self.ratio, strict=True))
        return x, y, z

    def to_prepared(self, array: np.ndarray) -> np.ndarray:
        """Map an array (X, Y, Z, …) from the case grid to the prepared grid, by area means; float32 if resampled."""
        if self.straight is not None:
            array = resliced(array, np.array(self.case_affine), self.straight.shape, np.array(self.straight.affine))
        return self.resampled(crop(self.turn.apply(array), self.box))

    def resampled(self, array: np.ndarray) -> np.ndarray:
        """Resample an array (X, Y, Z, …) on the voxels of the box by area means; unchanged if every ratio is 1."""
        return area_resampled(array, self.ratio, self.lead)

    def edge(self, axis: int, before: int) -> int:
        """Convert a voxel edge from the case grid to the prepared grid, rounded to the nearest prepared edge.

        Args:
            axis: L-P-S axis, 0 to 2.
            before: Number of case voxels before the edge.

        Returns:
            Number of prepared voxels before the edge; negative if the edge lies before the prepared grid.
        """
        return round((before - self.box.start[axis] + self.lead[axis]) / self.ratio[axis])

    def to_case(self, array: np.ndarray) -> np.ndarray:
        """Map an array (X, Y, Z, …) from the prepared grid to the case grid, 0 outside the box; linear if resampled."""
        if self.ratio != (1.0, 1.0, 1.0):
            array = along_axes(
                array,
                tuple(
                    None if r == 1 else linear_matrix(n, m, r, lead)
                    for n, m, r, lead in zip(self.box.shape, self.shape, self.ratio, self.lead, strict=True)
                ),
            )
        whole = self.turn.undo(uncrop(array, self.box, self.turned_shape))
        if self.straight is None:
            return whole
        return resliced(whole, np.array(self.straight.affine), self.case_shape, np.array(self.case_affine))

    def as_dict(self) -> dict[str, Any]:
        """The grid in plain types, for JSON."""
        plain = asdict(self)
        if self.spacing_known:  # as grids were written before there were others
            del plain["spacing_known"]
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Grid":
        """Inverse of `as_dict`; accepts what JSON returns."""
        return cls(
            tuple(plain["case_shape"]),
            tuple(tuple(row) for row in plain["case_affine"]),
            Turn(tuple(plain["turn"]["axes"]), tuple(plain["turn"]["reverse"])),
            Box(tuple(plain["box"]["start"]), tuple(plain["box"]["stop"])),
            tuple(plain["ratio"]),
            tuple(plain["lead"]),
            _straight(plain.get("straight")),
            plain.get("spacing_known", True),
        )


def _straight(plain: Mapping[str, Any] | None) -> Straight | None:
    if plain is None:
        return None
    return Straight(tuple(plain["shape"]), tuple(tuple(row) for row in plain["affine"]))
