"""Scores by instance as in BraTS 2026: components of both masks are matched one to one."""

from dataclasses import dataclass
from functools import cached_property

import cc3d
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from brats_unet.metrics.components import numbered_components
from brats_unet.metrics.counts import require_masks
from brats_unet.metrics.empty import UNDEFINED
from brats_unet.metrics.protocols import InstanceRules
from brats_unet.metrics.surface import Surfaces
from brats_unet.metrics.surface_points import Spacing


@dataclass(frozen=True, eq=False)
class InstanceScores:
    """Scores of the instances of one region of one case. All are NaN if neither mask has an instance.

    Attributes:
        found: Matched instances.
        missed: Instances of the reference without a match.
        false: Instances of the prediction without a match.
        matched_dice: Dice of each matched pair, float64.
        pairs: The two masks of each matched pair, bool, cropped to the box of both.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres.
        rules: Rules of the challenge.
    """

    found: int
    missed: int
    false: int
    matched_dice: np.ndarray
    pairs: tuple[tuple[np.ndarray, np.ndarray], ...]
    spacing_mm: Spacing
    rules: InstanceRules

    @property
    def f1(self) -> float:
        """2 found / (2 found + missed + false), 0 to 1."""
        both = 2 * self.found + self.missed + self.false
        return 2 * self.found / both if both else UNDEFINED

    @property
    def dice(self) -> float:
        """Mean Dice of the matched pairs, 0 to 1; 0 without a pair."""
        return self._mean(self.matched_dice, without=0.0)

    def hausdorff95_mm(self, definition: str) -> float:
        """Mean HD95 of the matched pairs, in millimetres; `rules.penalty_mm` without a pair. See `surface.Surfaces`."""
        return self._mean([one.hausdorff95_mm(definition) for one in self._surfaces], without=self.rules.penalty_mm)

    def surface_dice(self, tolerance_mm: float, definition: str) -> float:
        """Mean surface Dice of the matched pairs, 0 to 1; 0 without a pair. See `surface.Surfaces`."""
        return self._mean([one.dice(tolerance_mm, definition) for one in self._surfaces], without=0.0)

    @cached_property
    def _surfaces(self) -> list[Surfaces]:
        return [Surfaces(reference, prediction, self.spacing_mm) for reference, prediction in self.pairs]

    def _mean(self, scores: list[float] | np.ndarray, *, without: float) -> float:
        if not self.found + self.missed + self.false:
            return UNDEFINED
        return float(np.mean(scores)) if self.found else without


def instance_scores(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing, *, rules: InstanceRules
) -> InstanceScores:
    """Match the 26-connected components of two masks one to one, so that the sum of their Dice is largest.

    The volume is read a fixed number of times, however many components there are; the rest is done on the pairs that
    share a voxel, and in their boxes.

    Args:
        reference: Expert mask, bool, shape (X, Y, Z).
        prediction: Model mask, same shape and grid.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres.
        rules: Rules of the challenge.

    Raises:
        ValueError: The masks do not share one grid.

    Source:
        BraTS-evaluation 0.0.10, maximum bipartite matching by Dice.
    """
    require_masks(reference, prediction)
    ours, own = numbered_components(reference)
    theirs, others = numbered_components(prediction)
    if not own or not others:
        return InstanceScores(0, own, others, np.zeros(0), (), spacing_mm, rules)
    both = reference & prediction
    codes, overlap = np.unique(ours[both].astype(np.int64) * (others + 1) + theirs[both], return_counts=True)
    one, other = codes // (others + 1) - 1, codes % (others + 1) - 1
    known, found = cc3d.statistics(ours), cc3d.statistics(theirs)  # index 0 is the background
    dice = 2 * overlap / (known["voxel_counts"][1:].astype(np.int64)[one] + found["voxel_counts"][1:][other])
    allowed = np.flatnonzero(dice > rules.least_dice)
    matched = allowed[_best_matching(one[allowed], other[allowed], dice[allowed], own, others)]
    pairs = []
    for i, j in zip(one[matched] + 1, other[matched] + 1, strict=True):
        box = _around(known["bounding_boxes"][i], found["bounding_boxes"][j])
        pairs.append((ours[box] == i, theirs[box] == j))
    n = len(matched)
    return InstanceScores(n, own - n, others - n, dice[matched], tuple(pairs), spacing_mm, rules)


def _around(one: tuple[slice, ...], other: tuple[slice, ...]) -> tuple[slice, ...]:
    """The smallest box around two."""
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other, strict=True))


def _best_matching(one: np.ndarray, other: np.ndarray, dice: np.ndarray, own: int, others: int) -> np.ndarray:
    """Which pairs the matching with the largest sum of Dice holds; each group that touches is matched by itself.

    Args:
        one: Component of the reference in each pair that may be matched, from 0.
        other: Component of the prediction in each pair, from 0.
        dice: Dice of each pair, above 0.
        own: Number of components of the reference.
        others: Number of components of the prediction.

    Returns:
        Indices of the pairs, rising.
    """
    graph = coo_array((np.ones(len(one)), (one, own + other)), shape=(own + others, own + others))
    _, group_of = connected_components(graph, directed=False)
    groups = group_of[one]
    order = np.argsort(groups, kind="stable")
    chosen = []
    for edges in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        rows, row = np.unique(one[edges], return_inverse=True)
        columns, column = np.unique(other[edges], return_inverse=True)
        table, pair_at = np.zeros((len(rows), len(columns))), np.full((len(rows), len(columns)), -1)
        table[row, column], pair_at[row, column] = dice[edges], edges
        found = pair_at[linear_sum_assignment(table, maximize=True)]
        chosen.append(found[found >= 0])
    return np.sort(np.concatenate(chosen))
