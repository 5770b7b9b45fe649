"""Which voxels of a skull-stripped scan are brain, and what interpolation has done to the outermost of them.

Whoever rotates or resamples a skull-stripped scan blends the edge of the brain with the background: a seam of dark
voxels that count as brain, since they are not background. BRATS 2013 came like that (a third of the seam lies below a
quarter of the brain beside it); BraTS 2021 did not (less than 1 %). To a network that has seen sharp edges the seam is
something: half a voxel of blur changed a mask of 93 ml to a WT of 0.90 with the seam, to one of 0.98 without.
"""

from collections.abc import Sequence
from functools import reduce
from itertools import product

import cc3d
import numpy as np

from brats_unet.geometry import bounding_box, crop, faces

FAINT = 0.25  # of the brain beside it: so dark are few voxels of a sharp edge
MOST_FAINT = 0.08  # by so much their share is larger in the seam than in the next layer where scans were interpolated
BRIGHTER = 0.95  # share of the brain that must be brighter than the background, else there is no telling
SAMPLE = 2000  # voxels of a layer that are looked at
NEIGHBOURS = [step for step in product((-1, 0, 1), repeat=3) if any(step)]


def border_value(scan: np.ndarray) -> float:
    """The background: the commonest value on the six faces of a volume, which need not be 0."""
    values, counts = np.unique(np.concatenate([face.ravel() for face in faces(scan)]), return_counts=True)
    return values[np.argmax(counts)]


def filled(mask: np.ndarray) -> np.ndarray:
    """`mask` with its holes closed: what cannot be reached from outside through faces belongs to it."""
    outside = cc3d.connected_components(np.pad(~mask, 1, constant_values=True), connectivity=6)
    return (outside != outside[0, 0, 0])[1:-1, 1:-1, 1:-1]


def union(masks: Sequence[np.ndarray]) -> np.ndarray:
    """The voxels that any of these masks holds, bool."""
    return reduce(np.logical_or, masks)


def eroded(mask: np.ndarray) -> np.ndarray:
    """The voxels of a mask (X, Y, Z) whose 26 neighbours belong to it too; those at the border have not that many."""
    inner = np.pad(mask, 1)
    for axis in range(3):
        inner = np.moveaxis(inner, axis, 0)
        inner = np.moveaxis(inner[:-2] & inner[1:-1] & inner[2:], 0, axis)
    return inner


def without_seam(
    scans: Sequence[np.ndarray], insides: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Scans with the edge of the brain as it was before they were interpolated, as far as it can be told.

    A voxel of the outermost layer holds as much brain as its intensity is a share of that of the brain beside it, by
    the median over the scans. Below one half it becomes background; the others take the mean of the brain beside them.

    Args:
        scans: Of one case, (X, Y, Z) each, on one grid.
        insides: Of each, which voxels are not background, bool; one at least in all.

    Returns:
        New scans in float32 and their insides; those given, where no seam is found.
    """
    box = bounding_box(union(insides))
    own = [crop(inside, box) for inside in insides]
    brain = filled(union(own))
    core = eroded(brain)
    within = eroded(core)
    seam, next_to_it = np.argwhere(brain & ~core), np.argwhere(core & ~within)
    backgrounds = [border_value(scan) for scan in scans]
    above = [crop(scan, box).astype(np.float32) - np.float32(b) for scan, b in zip(scans, backgrounds, strict=True)]
    brighter = [np.count_nonzero(a > 0) / np.count_nonzero(inside) for a, inside in zip(above, own, strict=True)]
    telling = [i for i, share in enumerate(brighter) if share > BRIGHTER]
    if not telling or not within.any():
        return list(scans), list(insides)
    told = [above[i] for i in telling]
    if _faint(told, core, seam) - _faint(told, within, next_to_it) <= MOST_FAINT:
        return list(scans), list(insides)

    beside = _beside(above, core, seam)
    at = tuple(seam.T)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.stack([above[i][at] / beside[i] for i in telling])
    shares[~np.isfinite(shares)] = 1  # nothing beside it to be compared with: it stays
    lost = tuple(seam[np.median(shares, axis=0) < 0.5].T)
    sharp, now_inside = [], []
    for scan, background, inside, mean in zip(scans, backgrounds, insides, beside, strict=True):
        scan, inside = scan.astype(np.float32), inside.copy()
        part, part_inside = crop(scan, box), crop(inside, box)
        replaced = part_inside[at] & np.isfinite(mean)
        part[at] = np.where(replaced, background + mean, part[at])
        part[lost] = background
        part_inside[lost] = False
        sharp.append(scan)
        now_inside.append(inside)
    return sharp, now_inside


def _faint(above: Sequence[np.ndarray], core: np.ndarray, voxels: np.ndarray) -> float:
    """Which share of these voxels is faint: in each scan, of those that are not its background; the median of that."""
    voxels = voxels[:: len(voxels) // SAMPLE + 1]
    at = tuple(voxels.T)
    shares = []
    for scan, beside in zip(above, _beside(above, core, voxels), strict=True):
        told = (scan[at] != 0) & (beside > 0)
        shares.append(np.mean(scan[at][told] < FAINT * beside[told]) if told.any() else 0.0)
    return float(np.median(shares))


def _beside(above: Sequence[np.ndarray], core: np.ndarray, voxels: np.ndarray) -> list[np.ndarray]:
    """In each scan, the mean of the core among the 26 neighbours of voxels (n, 3); NaN where there is none."""
    last = np.array(core.shape) - 1
    count = np.zeros(len(voxels), np.float32)
    sums = [np.zeros(len(voxels), np.float32) for _ in above]
    for step in NEIGHBOURS:
        at = tuple(np.clip(voxels + step, 0, last).T)
        there = core[at]
        count += there
        for total, scan in zip(sums, above, strict=True):
            total += np.where(there, scan[at], 0)
    with np.errstate(invalid="ignore"):
        return [total / count for total in sums]
