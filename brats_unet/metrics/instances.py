"""Scores by instance as in BraTS 2026: components of both masks are matched one to one."""

from dataclasses import dataclass

import cc3d
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from brats_unet.metrics.counts import require_masks
from brats_unet.metrics.empty import UNDEFINED
from brats_unet.metrics.protocols import InstanceRules


@dataclass(frozen=True)
class InstanceScores:
    """Scores of the instances of one region of one case.

    Attributes:
        found: Matched instances.
        missed: Instances of the reference without a match.
        false: Instances of the prediction without a match.
        dice: Mean Dice of the matched pairs; 0 if there are instances but no pair, NaN if there is no instance.
    """

    found: int
    missed: int
    false: int
    dice: float

    @property
    def f1(self) -> float:
        """2 found / (2 found + missed + false), 0 to 1; NaN if there is no instance."""
        both = 2 * self.found + self.missed + self.false
        return 2 * self.found / both if both else UNDEFINED


def instance_scores(reference: np.ndarray, prediction: np.ndarray, *, rules: InstanceRules) -> InstanceScores:
    """Match the 26-connected components of two masks one to one, so that the sum of their Dice is largest.

    Args:
        reference: Expert mask, bool, shape (X, Y, Z).
        prediction: Model mask, same shape and grid.
        rules: Rules of the challenge.

    Raises:
        ValueError: The masks do not share one grid.

    Source:
        BraTS-evaluation 0.0.10, maximum bipartite matching by Dice.
    """
    require_masks(reference, prediction)
    ours, own = cc3d.connected_components(reference, connectivity=26, return_N=True)
    theirs, others = cc3d.connected_components(prediction, connectivity=26, return_N=True)
    if not own and not others:
        return InstanceScores(0, 0, 0, UNDEFINED)
    both = reference & prediction
    codes, overlap = np.unique(ours[both].astype(np.int64) * (others + 1) + theirs[both], return_counts=True)
    one, other = codes // (others + 1) - 1, codes % (others + 1) - 1
    voxels = np.bincount(ours.ravel(), minlength=own + 1)[1:], np.bincount(theirs.ravel(), minlength=others + 1)[1:]
    dice = 2 * overlap / (voxels[0][one] + voxels[1][other]) if len(codes) else np.zeros(0)
    allowed = dice > rules.least_dice
    matched = _best_matching(one[allowed], other[allowed], dice[allowed], own, others)
    mean = float(matched.mean()) if len(matched) else 0.0
    return InstanceScores(len(matched), own - len(matched), others - len(matched), mean)


def _best_matching(one: np.ndarray, other: np.ndarray, dice: np.ndarray, own: int, others: int) -> np.ndarray:
    """Dice of the pairs of the matching with the largest sum of Dice; each group that touches is matched by itself."""
    graph = coo_array((np.ones(len(one)), (one, own + other)), shape=(own + others, own + others))
    _, group = connected_components(graph, directed=False)
    found = []
    for members in np.unique(group[one]):
        edges = np.flatnonzero(group[one] == members)
        rows, row = np.unique(one[edges], return_inverse=True)
        columns, column = np.unique(other[edges], return_inverse=True)
        table = np.zeros((len(rows), len(columns)))
        table[row, column] = dice[edges]
        chosen = table[linear_sum_assignment(table, maximize=True)]
        found.append(chosen[chosen > 0])
    return np.concatenate(found) if found else np.zeros(0)
