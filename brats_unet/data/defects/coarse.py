"""A case on a coarse grid of about 4 mm with L-P-S axes, on which the scans are compared with one another."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brats_unet.data.prepare.brain import border_value, filled, union
from brats_unet.data.prepare.head_mask import head_mask
from brats_unet.modality import Modality
from brats_unet.volume import Spacing, Turn

EDGE_MM = 4.0
VOXELS_ACROSS = 60  # along the longest edge in an axial slice, if the spacing is unknown
FEWEST_SLICES = 8  # of a volume; fewer say nothing about the third axis
FEWEST_INSIDE = 1000  # coarse voxels of brain: with fewer, nothing is compared
MOST_RANGES = 3.0  # interquartile ranges from the median, beyond which intensities count as equal


@dataclass(frozen=True, eq=False)
class Coarse:
    """A case on a coarse grid.

    Attributes:
        scans: Mean intensities by modality, float32, shape (X, Y, Z), axes L-P-S.
        brain: Voxels that are brain (or head, if the scans show the skull) in at least one scan, bool, same shape.
        labels: Share of each block that has a label, by the integer of the label in the file, float32, same shape.
        edges_mm: Edge lengths of a coarse voxel, in millimetres; None if the spacing is unknown.
        with_skull: Whether `brain` is the head.
    """

    scans: Mapping[Modality, np.ndarray]
    brain: np.ndarray
    labels: Mapping[int, np.ndarray]
    edges_mm: Spacing | None
    with_skull: bool = False

    @property
    def tells(self) -> bool:
        """Whether there are enough voxels to compare."""
        return bool(min(self.brain.shape) >= FEWEST_SLICES and np.count_nonzero(self.brain) >= FEWEST_INSIDE)

    @property
    def labelled(self) -> np.ndarray:
        """Share of each block that has any label, float32, shape (X, Y, Z)."""
        return sum(self.labels.values(), np.zeros(self.brain.shape, np.float32))

    def relative(self, modality: Modality) -> np.ndarray:
        """A scan in interquartile ranges from the median of the brain, -3 to 3, and 0 outside; float32."""
        scan = self.scans[modality]
        low, middle, high = np.percentile(scan[self.brain], (25, 50, 75))
        ranges = (scan - middle) / max(float(high - low), 1e-12)
        return np.where(self.brain, np.clip(ranges, -MOST_RANGES, MOST_RANGES), 0).astype(np.float32)


def block_edges(shape: tuple[int, ...], spacing_mm: Spacing | None) -> tuple[int, int, int]:
    """Voxels along each axis that are averaged into one, for arrays with L-P-S axes of this shape."""
    if spacing_mm is None:
        across = max(1, round(max(shape[:2]) / VOXELS_ACROSS))
        edges = [across, across, max(1, round(shape[2] / VOXELS_ACROSS))]
    else:
        edges = [max(1, round(EDGE_MM / edge)) for edge in spacing_mm]
    x, y, z = (min(n, edge) for n, edge in zip(shape, edges, strict=True))
    return x, y, z


def block_means(array: np.ndarray, edges: tuple[int, int, int]) -> np.ndarray:
    """Means of blocks of voxels, float32; voxels beyond the last whole block along an axis are left out."""
    means = array
    for axis, edge in enumerate(edges):
        whole = means.shape[axis] // edge * edge
        lines = np.moveaxis(means, axis, 0)
        total = lines[0:whole:edge].astype(np.float32)
        for offset in range(1, edge):
            total += lines[offset:whole:edge]
        means = np.moveaxis(total / np.float32(edge), 0, axis)
    return means


class CoarseBuilder:
    """Collects the scans and the mask of a case one after another, so that no two full volumes are in memory at once.

    Args:
        turn: Turn of the arrays to L-P-S axes.
        spacing_mm: Voxel edge lengths along the axes as stored, in millimetres; None if they are unknown.
        with_skull: Whether the scans show skull and air.
    """

    def __init__(self, turn: Turn, spacing_mm: Spacing | None, *, with_skull: bool) -> None:
        self.turn = turn
        self.spacing_mm: Spacing | None = None
        if spacing_mm is not None:
            self.spacing_mm = (spacing_mm[turn.axes[0]], spacing_mm[turn.axes[1]], spacing_mm[turn.axes[2]])
        self.with_skull = with_skull
        self.scans: dict[Modality, np.ndarray] = {}
        self.insides: list[np.ndarray] = []
        self.labels: dict[int, np.ndarray] = {}

    def add_scan(self, modality: Modality, array: np.ndarray) -> None:
        """Add a scan, shape (X, Y, Z) as stored."""
        turned = self.turn.apply(array)
        edges = block_edges(turned.shape, self.spacing_mm)
        self.scans[modality] = block_means(turned, edges)
        if not self.with_skull:
            self.insides.append(block_means(turned != border_value(array), edges) >= 0.5)

    def add_mask(self, array: np.ndarray) -> None:
        """Add the mask, integers as in the file."""
        turned = self.turn.apply(array)
        edges = block_edges(turned.shape, self.spacing_mm)
        for value in np.unique(array):
            if value != 0:
                self.labels[int(value)] = block_means(turned == value, edges)

    def coarse(self) -> Coarse | None:
        """The case; None if it has no scan."""
        if not self.scans:
            return None
        if self.with_skull:
            brain = head_mask(list(self.scans.values()), axial=2)
        else:
            brain = filled(union(self.insides))
        edges = None
        if self.spacing_mm is not None:
            blocks = block_edges(brain.shape, self.spacing_mm)
            x, y, z = (n * edge for n, edge in zip(blocks, self.spacing_mm, strict=True))
            edges = (x, y, z)
        return Coarse(self.scans, brain, self.labels, edges, self.with_skull)
