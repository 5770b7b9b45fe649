"""Where patch i of batch t is cut: a pure function of (seed, t, i), so that a run resumes from any step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from brats_unet.anatomy import Region
from brats_unet.data.prepare.cache import PreparedCase


@dataclass(frozen=True)
class PatchPlace:
    """One patch: which case, and its first voxel (negative where the volume is smaller than the patch)."""

    case: int
    start: tuple[int, int, int]


@dataclass(frozen=True)
class Sampler:
    """How patches are drawn.

    Attributes:
        cases: With labels.
        patch: Voxels along x, y, z.
        batch: Patches of one update, over all replicas.
        foreground: Share of patches centred on a voxel of a region, 0 to 1; the region is drawn among those present.
        slices: Half-open range of axial slices, counted upwards on the case's own grid, that patches are cut from as
            far as it holds one; None for all.
        seed: Of the run.
        margin: Voxels by which a patch is read wider on each side, for augmentation to turn it in; places are those
            of the patch itself.
        weights: How often each region is drawn, relative to the others that are present; 1 where none is given.
    """

    cases: Sequence[PreparedCase]
    patch: tuple[int, int, int]
    batch: int
    foreground: float
    slices: tuple[int, int] | None
    seed: int
    margin: tuple[int, int, int] = (0, 0, 0)
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def read_shape(self) -> tuple[int, int, int]:
        """Voxels that are read for a patch."""
        x, y, z = (p + 2 * m for p, m in zip(self.patch, self.margin, strict=True))
        return x, y, z

    def place(self, step: int, sample: int) -> PatchPlace:
        """Where patch `sample` of batch `step` is cut.

        Cases come in a new order each time all have been seen; exactly the share `foreground` of patches is centred on
        a region, evenly spread.
        """
        count = step * self.batch + sample
        case_index = int(case_order(self.seed, count // len(self.cases), len(self.cases))[count % len(self.cases)])
        case = self.cases[case_index]
        draw = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, step, sample, 0]))
        low, high = self.bounds(case)
        start = [int(draw.integers(a, b + 1)) for a, b in zip(low, high, strict=True)]
        forced = int((count + 1) * self.foreground) > int(count * self.foreground)
        present = self.foreground_within(case, low[2], high[2] + self.patch[2]) if forced else {}
        if present:
            positions = present[self.region_drawn(draw, list(present))]
            centre = positions[int(draw.integers(len(positions)))]
            start = [int(np.clip(c - p // 2, a, b)) for c, p, a, b in zip(centre, self.patch, low, high, strict=True)]
        return PatchPlace(case_index, (start[0], start[1], start[2]))

    def region_drawn(self, draw: np.random.Generator, present: list[Region]) -> Region:
        """One of the regions that are present, by their weights."""
        shares = np.array([self.weights.get(str(region), 1.0) for region in present])
        if (shares == shares[0]).all():
            return present[int(draw.integers(len(present)))]
        return present[int(np.searchsorted(np.cumsum(shares / shares.sum()), draw.random(), side="right"))]

    def foreground_within(self, case: PreparedCase, first: int, end: int) -> dict[Region, np.ndarray]:
        """Voxel positions of each region of some weight that has any in the slices `first` … `end` - 1."""
        found = {}
        for region in Region:
            positions = case.foreground.get(region)
            if positions is None or self.weights.get(str(region), 1.0) == 0:
                continue
            if self.slices is not None:
                positions = positions[(positions[:, 2] >= first) & (positions[:, 2] < end)]
            if len(positions):
                found[region] = positions
        return found

    def bounds(self, case: PreparedCase) -> tuple[list[int], list[int]]:
        """Least and greatest start on each axis; equal, and centred, where the volume is smaller than the patch."""
        low, high = [], []
        for n, p in zip(case.grid.shape, self.patch, strict=True):
            low.append(0 if n >= p else -((p - n) // 2))
            high.append(n - p if n >= p else -((p - n) // 2))
        if self.slices is not None:
            first, last = (case.grid.edge(2, before) for before in self.slices)
            low[2] = int(np.clip(first, low[2], high[2]))
            high[2] = max(low[2], int(np.clip(last - self.patch[2], low[2], high[2])))
        return low, high


@lru_cache(maxsize=4)
def case_order(seed: int, epoch: int, cases: int) -> np.ndarray:
    """The order in which the cases are seen for the `epoch`-th time."""
    # The last counter keeps it apart from the draws of patches, whose streams open with (0, step, sample, 0).
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, epoch, 0, 1])).permutation(cases)


def cut(array: np.ndarray, start: tuple[int, int, int], out: np.ndarray) -> None:
    """Copy the patch that begins at `start` into `out` (X, Y, Z, …), 0 where it sticks out of `array`."""
    here, there = [], []
    for first, length, n in zip(start, out.shape[:3], array.shape[:3], strict=True):
        a, b = max(0, first), min(n, first + length)
        here.append(slice(a, b))
        there.append(slice(a - first, b - first))
    if any(s.stop - s.start < n for s, n in zip(there, out.shape[:3], strict=True)):
        out[...] = 0
    out[tuple(there)] = array[tuple(here)]
