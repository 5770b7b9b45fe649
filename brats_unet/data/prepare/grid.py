"""How a prepared volume lies on its case's own grid, and the way back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brats_unet.data.prepare.oblique import Straight, resliced
from brats_unet.data.prepare.resample import along_axes, area_resampled, linear_matrix, resampled_length
from brats_unet.geometry import Box, crop, uncrop
from brats_unet.volume import Turn, spacing_mm


@dataclass(frozen=True)
class Grid:
    """How the prepared grid lies on the case's own: turned to L-P-S, cut to `box`, then voxels `ratio` times as long.

    Attributes:
        case_shape: Voxels of the case on disk.
        case_affine: Its affine, as nested tuples.
        turn: From the axes on disk to L-P-S.
        box: What was cut out, in L-P-S axes.
        ratio: Length of a prepared voxel in voxels of the case, by L-P-S axis; exactly 1 where not resampled.
        lead: How many voxels of the case the prepared grid starts before the box; 0 where not resampled.
        straight: For a case whose axes are tilted: the straight grid that it was laid onto before all that; None for
            the others.
    """

    case_shape: tuple[int, int, int]
    case_affine: tuple[tuple[float, ...], ...]
    turn: Turn
    box: Box
    ratio: tuple[float, float, float]
    lead: tuple[float, float, float] = (0.0, 0.0, 0.0)
    straight: Straight | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels of the prepared grid."""
        return tuple(resampled_length(*axis) for axis in zip(self.box.shape, self.ratio, self.lead, strict=True))

    @property
    def turned_shape(self) -> tuple[int, ...]:
        shape = self.case_shape if self.straight is None else self.straight.shape
        return tuple(shape[axis] for axis in self.turn.axes)

    @property
    def case_spacing_mm(self) -> tuple[float, float, float]:
        return spacing_mm(np.array(self.case_affine))

    def to_prepared(self, array: np.ndarray) -> np.ndarray:
        """An array (X, Y, Z, …) on the case's grid, cut and resampled by area means; float32 where resampled."""
        if self.straight is not None:
            array = resliced(array, np.array(self.case_affine), self.straight.shape, np.array(self.straight.affine))
        return self.resampled(crop(self.turn.apply(array), self.box))

    def resampled(self, array: np.ndarray) -> np.ndarray:
        """An array (X, Y, Z, …) on the voxels of the box, by area means; untouched where not resampled."""
        return area_resampled(array, self.ratio, self.lead)

    def edge(self, axis: int, before: int) -> int:
        """How many prepared voxels lie before the edge that has `before` of the case before it, by L-P-S axis."""
        return round((before - self.box.start[axis] + self.lead[axis]) / self.ratio[axis])

    def to_case(self, array: np.ndarray) -> np.ndarray:
        """An array (X, Y, Z, …) on the prepared grid back on the case's own, 0 outside the box; linear if resampled."""
        if self.ratio != (1.0, 1.0, 1.0):
            array = along_axes(
                array,
                tuple(
                    None if r == 1 else linear_matrix(n, m, r, before)
                    for n, m, r, before in zip(self.box.shape, self.shape, self.ratio, self.lead, strict=True)
                ),
            )
        whole = self.turn.undo(uncrop(array, self.box, self.turned_shape))
        if self.straight is None:
            return whole
        return resliced(whole, np.array(self.straight.affine), self.case_shape, np.array(self.case_affine))

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Grid":
        """The inverse of `as_dict`, from what JSON gives back."""
        return cls(
            tuple(plain["case_shape"]),
            tuple(tuple(row) for row in plain["case_affine"]),
            Turn(tuple(plain["turn"]["axes"]), tuple(plain["turn"]["reverse"])),
            Box(tuple(plain["box"]["start"]), tuple(plain["box"]["stop"])),
            tuple(plain["ratio"]),
            tuple(plain["lead"]),
            _straight(plain.get("straight")),
        )


def _straight(plain: Mapping[str, Any] | None) -> Straight | None:
    if plain is None:
        return None
    return Straight(tuple(plain["shape"]), tuple(tuple(row) for row in plain["affine"]))
