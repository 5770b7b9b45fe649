"""How a figure cuts a volume: three planes, the slices that show the tumour best, and the close-up around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.geometry import Box, bounding_box

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]
LEAST_WINDOW_MM, MARGIN_MM = 56.0, 12.0
LETTERS = 0.07  # of the longest edge of the head: the margin around a whole scan, for the letters of directions
LEAST_HEIGHT = 0.5  # of a volume whose spacing is unknown, as a share of its longest edge in an axial slice


@dataclass(frozen=True)
class Plane:
    """A plane through a volume with L-P-S axes, in radiological convention: the patient's left is on the right.

    Attributes:
        name: "axial", "coronal" or "sagittal".
        across: Axis along which the slices are numbered.
        horizontal: Axis that runs to the right in the figure.
        vertical: Axis that runs up or down in the figure; it comes after `horizontal`.
        down: Whether `vertical` increases downwards.
        letters: Anatomical directions at the left, right, top and bottom.
    """

    name: str
    across: int
    horizontal: int
    vertical: int
    down: bool
    letters: tuple[str, str, str, str]

    def cut(self, volume: np.ndarray, centre: Triple) -> np.ndarray:
        """Slice through `centre`: rows along `vertical`, columns along `horizontal`."""
        at: list[slice | int] = [slice(None)] * 3
        at[self.across] = centre[self.across]
        return volume[tuple(at)].T

    def edges_mm(self, box: Box, spacing_mm: Spacing) -> tuple[float, float, float, float]:
        """Left, right, lower and upper edge of a box, in millimetres from the centre of the first voxel."""
        h, v = self.horizontal, self.vertical
        return (
            (box.start[h] - 0.5) * spacing_mm[h],
            (box.stop[h] - 0.5) * spacing_mm[h],
            (box.start[v] - 0.5) * spacing_mm[v],
            (box.stop[v] - 0.5) * spacing_mm[v],
        )

    def extent_mm(self, box: Box, spacing_mm: Spacing) -> tuple[float, float]:
        """Width and height of a box in this plane, in millimetres."""
        left, right, low, high = self.edges_mm(box, spacing_mm)
        return right - left, high - low


PLANES = (
    Plane("axial", across=2, horizontal=0, vertical=1, down=True, letters=("R", "L", "A", "P")),
    Plane("coronal", across=1, horizontal=0, vertical=2, down=False, letters=("R", "L", "S", "I")),
    Plane("sagittal", across=0, horizontal=1, vertical=2, down=False, letters=("A", "P", "S", "I")),
)


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan and its intensity window.

    Attributes:
        image: Intensities, shape (X, Y, Z).
        black: Intensity drawn as the darkest grey.
        white: Intensity drawn as white.
        background: Intensity of the air around the head; it is always black.
    """

    image: np.ndarray
    black: float
    white: float
    background: float

    def greys(self, plane: Plane, centre: Triple) -> np.ndarray:
        """Grey levels of one slice, 0 to 1; the darkest grey of the head is a little above the background."""
        flat = plane.cut(self.image, centre).astype(np.float32)
        greys = 0.04 + 0.96 * np.clip((flat - self.black) / max(self.white - self.black, 1e-6), 0, 1)
        return np.where(flat == self.background, 0, greys)


def drawn_spacing(shape: tuple[int, ...], spacing_mm: Spacing, *, known: bool) -> Spacing:
    """Voxel edge lengths to draw with: the given ones if they are millimetres.

    If they are unknown, slices are stretched so that the volume is at least half as high as an axial slice is long:
    20 slices of 256 pixels would else be a strip in coronal and sagittal planes.
    """
    x, y, z = spacing_mm
    return spacing_mm if known else (x, y, max(z, LEAST_HEIGHT * max(shape[0] * x, shape[1] * y) / shape[2]))


def windowed(image: np.ndarray) -> Scan:
    """A scan with a window from the 0.5th to the 99.5th percentile of every third voxel of the head along each axis."""
    background = float(image[0, 0, 0])
    few = image[::3, ::3, ::3]
    head = few[few != background]
    black, white = np.percentile(head, (0.5, 99.5)) if head.size else (0.0, 1.0)
    return Scan(image, float(black), float(white), background)


def slices_through(masks: Sequence[np.ndarray], whole: Box) -> Triple:
    """Slice along each axis that shows the regions best: it has the largest sum of relative areas.

    Args:
        masks: One bool array per region; each can be empty.
        whole: Bounding box of the head; its middle is used if all masks are empty.
    """
    centre = []
    for axis in range(3):
        shares = np.zeros(masks[0].shape[axis])
        for mask in masks:
            areas = mask.sum(axis=tuple(i for i in range(3) if i != axis))
            if areas.any():
                shares += areas / areas.max()
        middle = (whole.start[axis] + whole.stop[axis]) // 2
        centre.append(int(shares.argmax()) if shares.any() else middle)
    return (centre[0], centre[1], centre[2])


def box_of(mask: np.ndarray) -> Box:
    """Bounding box of a mask; the whole array if the mask is empty."""
    return bounding_box(mask) if mask.any() else Box((0,) * mask.ndim, mask.shape)


def with_margin(box: Box, voxels: int, shape: tuple[int, ...]) -> Box:
    """`box` extended on all sides, but not beyond an array of this shape."""
    return Box(
        tuple(max(0, start - voxels) for start in box.start),
        tuple(min(n, stop + voxels) for stop, n in zip(box.stop, shape, strict=True)),
    )


def with_room(box: Box, spacing_mm: Spacing) -> Box:
    """`box` extended on all sides, also beyond the volume, by room for letters outside the head."""
    room_mm = LETTERS * max(n * s for n, s in zip(box.shape, spacing_mm, strict=True))
    voxels = [round(room_mm / s) for s in spacing_mm]
    return Box(
        tuple(start - n for start, n in zip(box.start, voxels, strict=True)),
        tuple(stop + n for stop, n in zip(box.stop, voxels, strict=True)),
    )


def around(tumour: Box, centre: Triple, spacing_mm: Spacing, shape: tuple[int, ...]) -> Box:
    """Box of the close-up: a cube of at least `LEAST_WINDOW_MM` around the tumour and a margin, shifted into the array.

    Args:
        tumour: Bounding box of both masks; the whole array if both are empty: the cube is then centred on `centre`.
        centre: Slices that are shown.
        spacing_mm: Voxel edge lengths, in millimetres.
        shape: Shape of the array; the cube is cut along an axis that is shorter than it.
    """
    absent = tumour.shape == tuple(shape)
    edge_mm = LEAST_WINDOW_MM
    if not absent:
        longest = max(n * s for n, s in zip(tumour.shape, spacing_mm, strict=True))
        edge_mm = max(LEAST_WINDOW_MM, longest + 2 * MARGIN_MM)
    starts, stops = [], []
    for axis, n in enumerate(shape):
        length = min(n, max(1, round(edge_mm / spacing_mm[axis])))
        middle = centre[axis] if absent else (tumour.start[axis] + tumour.stop[axis]) // 2
        start = min(max(0, middle - length // 2), n - length)
        starts.append(start)
        stops.append(start + length)
    return Box(tuple(starts), tuple(stops))
