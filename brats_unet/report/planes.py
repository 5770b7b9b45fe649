"""How a volume is cut for a picture: three planes, the slices that show the tumour best, and the window around it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.geometry import Box, bounding_box

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]
LEAST_WINDOW_MM, MARGIN_MM = 56.0, 12.0


@dataclass(frozen=True)
class Plane:
    """A way to cut a volume in L-P-S axes, as radiologists look at it: the patient's left on the right.

    Attributes:
        name: In words.
        across: Axis that the slices are numbered along.
        horizontal: Axis that runs to the right.
        vertical: Axis that runs up or down; it comes after `horizontal`.
        down: Whether `vertical` grows downwards in the picture.
        letters: What lies at the left, right, top and bottom.
    """

    name: str
    across: int
    horizontal: int
    vertical: int
    down: bool
    letters: tuple[str, str, str, str]

    def cut(self, volume: np.ndarray, centre: Triple) -> np.ndarray:
        """The slice through `centre`: rows along `vertical`, columns along `horizontal`."""
        at: list[slice | int] = [slice(None)] * 3
        at[self.across] = centre[self.across]
        return volume[tuple(at)].T

    def edges_mm(self, box: Box, spacing_mm: Spacing) -> tuple[float, float, float, float]:
        """Left, right, low and high edge of a box, in millimetres from the centre of the first voxel."""
        h, v = self.horizontal, self.vertical
        return (
            (box.start[h] - 0.5) * spacing_mm[h],
            (box.stop[h] - 0.5) * spacing_mm[h],
            (box.start[v] - 0.5) * spacing_mm[v],
            (box.stop[v] - 0.5) * spacing_mm[v],
        )

    def extent_mm(self, box: Box, spacing_mm: Spacing) -> tuple[float, float]:
        """Width and height of a box in this plane."""
        left, right, low, high = self.edges_mm(box, spacing_mm)
        return right - left, high - low


PLANES = (
    Plane("axial", across=2, horizontal=0, vertical=1, down=True, letters=("R", "L", "A", "P")),
    Plane("coronal", across=1, horizontal=0, vertical=2, down=False, letters=("R", "L", "S", "I")),
    Plane("sagittal", across=0, horizontal=1, vertical=2, down=False, letters=("A", "P", "S", "I")),
)


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan and the intensities that become black and white.

    Attributes:
        background: Value of the air around the head, which is black whatever it is.
    """

    image: np.ndarray
    black: float
    white: float
    background: float

    def greys(self, plane: Plane, centre: Triple) -> np.ndarray:
        """One slice, from 0 to 1; the head's darkest is a little above the background."""
        flat = plane.cut(self.image, centre).astype(np.float32)
        greys = 0.04 + 0.96 * np.clip((flat - self.black) / max(self.white - self.black, 1e-6), 0, 1)
        return np.where(flat == self.background, 0, greys)


def windowed(image: np.ndarray) -> Scan:
    """A scan whose brightest 0.5 % are white; every third voxel along each axis is asked."""
    background = float(image[0, 0, 0])
    few = image[::3, ::3, ::3]
    head = few[few != background]
    black, white = np.percentile(head, (0.5, 99.5)) if head.size else (0.0, 1.0)
    return Scan(image, float(black), float(white), background)


def slices_through(masks: Sequence[np.ndarray], whole: Box) -> Triple:
    """Where to cut so that every region is seen well: along each axis the slice with the largest shares of them.

    Args:
        masks: One bool array per region, some perhaps empty.
        whole: The head; its middle is taken where all are empty.
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
    """The box of a mask, or the whole array where it is empty."""
    return bounding_box(mask) if mask.any() else Box((0,) * mask.ndim, mask.shape)


def with_margin(box: Box, voxels: int, shape: tuple[int, ...]) -> Box:
    """`box` grown on all sides as far as the array goes."""
    return Box(
        tuple(max(0, start - voxels) for start in box.start),
        tuple(min(n, stop + voxels) for stop, n in zip(box.stop, shape, strict=True)),
    )


def around(tumour: Box, centre: Triple, spacing_mm: Spacing, shape: tuple[int, ...]) -> Box:
    """A cube that holds the tumour with a margin, no smaller than a few centimetres, moved into the array.

    Args:
        tumour: Box of both masks; the whole array where both are empty, and the cube then lies around `centre`.
        centre: The slices that are shown.
        spacing_mm: Edge lengths of a voxel.
        shape: Of the array; the cube is cut where it is longer.
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
