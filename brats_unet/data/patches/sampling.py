"""Position of patch i in batch t as a pure function of (seed, t, i), so that a run can resume at any step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from brats_unet.data.prepare.cache import PreparedCase


@dataclass(frozen=True)
class PatchPlace:
    """Position of one patch.

    Attributes:
        case: Index of the case in `Sampler.cases`.
        start: First voxel along x, y, z; negative along an axis where the volume is smaller than the patch. With
            `Sampler.overhang`, the patch may extend beyond the far border.
    """

    case: int
    start: tuple[int, int, int]


@dataclass(frozen=True)
class Sampler:
    """Random choice of patch positions.

    Attributes:
        cases: Prepared cases with labels.
        patch: Patch size along x, y, z, in voxels.
        batch: Patches per update, over all replicas.
        foreground: Fraction of patches that are centred on a voxel of a region, 0 to 1; the region is drawn from those
            present in the case.
        slices: Half-open range of axial slices to take patches from, counted upwards on the case grid; None for all. A
            range that is shorter than the patch or outside the volume is moved or extended to hold one patch.
        seed: Seed of the run.
        margin: Extra voxels read on each side of the patch along x, y, z, for spatial augmentation; positions are those
            of the patch without the margin.
        weights: Relative frequency of each region among those present in the case; 1 for a region without a weight.
        overhang: Whether a patch that is centred on a region may extend beyond the far border of the volume, where
            images and labels are 0; see `around`. Otherwise it is moved inside.
    """

    cases: Sequence[PreparedCase]
    patch: tuple[int, int, int]
    batch: int
    foreground: float
    slices: tuple[int, int] | None
    seed: int
    margin: tuple[int, int, int] = (0, 0, 0)
    weights: Mapping[str, float] = field(default_factory=dict)
    overhang: bool = False

    @property
    def read_shape(self) -> tuple[int, int, int]:
        """Size along x, y, z that is read for a patch: the patch and its margin, in voxels."""
        x, y, z = (p + 2 * m for p, m in zip(self.patch, self.margin, strict=True))
        return x, y, z

    def place(self, step: int, sample: int) -> PatchPlace:
        """Position of patch `sample` in batch `step`.

        All cases are used once, then again in a new random order. Exactly the fraction `foreground` of the patches is
        centred on a region, evenly spread; in a case without any region, such a patch is placed at random.
        """
        count = step * self.batch + sample
        case_index = int(case_order(self.seed, count // len(self.cases), len(self.cases))[count % len(self.cases)])
        case = self.cases[case_index]
        draw = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, step, sample, 0]))
        low, high = self.bounds(case)
        start = [int(draw.integers(a, b + 1)) for a, b in zip(low, high, strict=True)]
        present = self.foreground_within(case, low[2], high[2] + self.patch[2]) if self.forced(count) else {}
        if present:
            positions = present[self.region_drawn(draw, list(present))]
            start = self.around(positions[int(draw.integers(len(positions)))], case)
        return PatchPlace(case_index, (start[0], start[1], start[2]))

    def around(self, voxel: Sequence[int], case: PreparedCase) -> list[int]:
        """Start of the patch that is centred on `voxel`, moved as far as the borders of the volume require.

        Without `overhang`, the patch is moved inside at every border, see `bounds`. With it, the patch is moved at the
        near border (voxel 0) only, as in nnU-Net: a voxel close to the far border stays in the centre. A patch of one
        slice never lies outside, because its centre is its only voxel, and a range of `slices` is never left.

        nnU-Net places the region that it reads (`initial_patch_size`: 205 voxels for a patch of 128) and takes the
        patch (`final_patch_size`) from its middle, rotated or not. The region starts at max(-ceil(d / 2), voxel -
        read // 2), with d = read - patch, or read - n in a volume of n < patch voxels. Here the same region is the
        patch with `margin` on each side, so read = patch + 2 margin, and the patch starts `margin` later. The margin
        cancels: max(0, voxel - patch // 2), or max(-ceil((patch - n) / 2), voxel - patch // 2) if n < patch. This
        equals nnU-Net where its d is even; where it is odd (77 for 205), its patches at the near border start one
        voxel earlier.

        Args:
            voxel: Position along x, y, z in the prepared volume.
            case: Case that the voxel lies in.

        Returns:
            First voxel of the patch along x, y, z; the margin is not part of the patch.

        Source:
            nnunetv2 2.8.1, training/dataloading/data_loader.py, nnUNetDataLoader.get_bbox.
        """
        low, high = self.bounds(case)
        start = [int(v) - p // 2 for v, p in zip(voxel, self.patch, strict=True)]
        inside = [min(max(a, first), b) for first, a, b in zip(start, low, high, strict=True)]
        if not self.overhang:
            return inside
        missing = [max(0, p - n) for n, p in zip(case.grid.shape, self.patch, strict=True)]
        start = [max(-((m + 1) // 2), first) for first, m in zip(start, missing, strict=True)]
        return start if self.slices is None else [*start[:2], inside[2]]

    def forced(self, count: int) -> bool:
        """Whether patch `count` of the run, counted from 0, is centred on a region if its case has one.

        A share that is a whole number of patches of each batch, such as 1/2 of 2 or 2/5 of 5, gives each batch exactly
        that number, as nnU-Net does.
        """
        return int((count + 1) * self.foreground) > int(count * self.foreground)

    def region_drawn(self, draw: np.random.Generator, present: list[str]) -> str:
        """Draw one of the regions that are present, with probabilities proportional to their weights."""
        shares = np.array([self.weights.get(str(region), 1.0) for region in present])
        if (shares == shares[0]).all():
            return present[int(draw.integers(len(present)))]
        return present[int(np.searchsorted(np.cumsum(shares / shares.sum()), draw.random(), side="right"))]

    def foreground_within(self, case: PreparedCase, first: int, end: int) -> dict[str, np.ndarray]:
        """Voxel positions per region in slices `first` to `end` - 1; without absent regions and those of weight 0."""
        present = {}
        for region, positions in case.foreground.items():
            if self.weights.get(region, 1.0) == 0:
                continue
            if self.slices is not None:
                positions = positions[(positions[:, 2] >= first) & (positions[:, 2] < end)]
            if len(positions):
                present[region] = positions
        return present

    def bounds(self, case: PreparedCase) -> tuple[list[int], list[int]]:
        """Smallest and largest start of a patch inside per axis; equal, with a smaller volume in its middle."""
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
    """Random order of the cases in an epoch (counted from 0), as a permutation of 0 to `cases` - 1."""
    # The last counter is 1 here and 0 for the draws of patches, so the two random streams never overlap.
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, epoch, 0, 1])).permutation(cases)


def cut(array: np.ndarray, start: tuple[int, int, int], out: np.ndarray) -> None:
    """Copy the patch that starts at `start` from `array` into `out` (X, Y, Z, …); 0 where it extends beyond `array`."""
    source, target = [], []
    for first, length, n in zip(start, out.shape[:3], array.shape[:3], strict=True):
        a = min(max(0, first), n)
        b = max(a, min(n, first + length))
        source.append(slice(a, b))
        target.append(slice(a - first, b - first))
    if any(s.stop - s.start < n for s, n in zip(target, out.shape[:3], strict=True)):
        out[...] = 0
    out[tuple(target)] = array[tuple(source)]
