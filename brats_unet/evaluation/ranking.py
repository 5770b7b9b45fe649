"""Rank several runs as in BraTS: average the ranks within each case, then test the means by random exchange.

Source: Bakas et al. 2018, arXiv:1811.02629, section "Ranking".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from brats_unet.evaluation.record import Evaluation
from brats_unet.metrics.glossary import PREDICTION_SIZES, REFERENCE_SIZES

DRAWS, SEED = 9999, 0  # random exchanges of the permutation test, and their seed
EXACT_UP_TO = 13  # up to this many cases n, the test makes all 2^n exchanges


@dataclass(frozen=True)
class Ranked:
    """Place of one evaluation in the ranking.

    Attributes:
        name: Name of the evaluation.
        place: 1 for the best; evaluations with equal mean ranks share the better place.
        mean_rank: Mean over cases of the mean rank over regions and metrics; 1 is the best possible.
        first_in: Number of cases in which this evaluation has the lowest mean rank, alone or tied.
    """

    name: str
    place: int
    mean_rank: float
    first_in: int


def absent_from_both(
    evaluations: Sequence[Evaluation], cases: Sequence[str], regions: Sequence[str]
) -> np.ndarray | None:
    """Whether neither mask has a region, bool, shape (runs, cases, regions); None if the protocol does not rank by it.

    Args:
        evaluations: At least one; all follow the protocol of the first.
        cases: Case ids.
        regions: Names of the regions.
    """
    if not evaluations[0].summary.get("protocol", {}).get("absent_ranks_first"):
        return None
    found = []
    for evaluation in evaluations:
        zero = {key for key, value in evaluation.values().items() if value == 0}
        empty = [{key[:2] for key in zero if key[2] in sizes} for sizes in (REFERENCE_SIZES, PREDICTION_SIZES)]
        both = empty[0] & empty[1]
        found.append([[(case, region) in both for region in regions] for case in cases])
    return np.array(found, bool)


def case_ranks(table: np.ndarray, falling: Sequence[bool], absent: np.ndarray | None = None) -> np.ndarray:
    """Mean rank of each run in each case, over regions and metrics. Rank 1 is best; equal scores share a mean rank.

    Args:
        table: Scores, shape (runs, cases, regions, metrics); NaN (undefined) ranks last.
        falling: For each metric, whether lower is better.
        absent: Whether neither mask has the region, shape (runs, cases, regions), or None. An undefined score then says
            that the prediction is right, and ranks first; where a run predicts such a region, its score ranks behind.

    Returns:
        Mean ranks, shape (runs, cases). A score that is undefined for every run is left out of the mean; a case with no
        defined score is a tie.
    """
    sign = np.where(falling, 1.0, -1.0)
    undefined = np.isnan(table)
    ordered = np.where(undefined, np.inf, np.round(table * sign, 9))
    if absent is not None:
        ordered[undefined & absent[..., None]] = -np.inf
    ranks = rankdata(ordered, method="average", axis=0)
    ranks[:, undefined.all(axis=0)] = np.nan
    counted = ~np.isnan(ranks)
    n = counted.sum(axis=(2, 3))
    tie = (table.shape[0] + 1) / 2
    return np.where(n > 0, np.where(counted, ranks, 0).sum(axis=(2, 3)) / np.maximum(n, 1), tie)


def exchange_p(first: np.ndarray, second: np.ndarray) -> float:
    """p of the permutation test: how often a random exchange of the two runs within cases gives a difference as large.

    Args:
        first: Mean ranks of one run, shape (cases,).
        second: Mean ranks of the other run, shape (cases,).

    Returns:
        Two-sided p. Up to `EXACT_UP_TO` cases all 2^n exchanges are made; with more cases, `DRAWS` seeded random ones,
        and the observed difference is counted as one of them.
    """
    difference = first - second
    n = difference.size
    observed = abs(difference.sum()) - 1e-9
    if n <= EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(signs @ difference) >= observed))
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], size=(DRAWS, n))
    return float((1 + np.count_nonzero(np.abs(signs @ difference) >= observed)) / (1 + DRAWS))


def ranking(names: Sequence[str], ranks: np.ndarray) -> list[Ranked]:
    """Rank the runs by mean rank, best first; equal mean ranks share the better place.

    Args:
        names: Names of the runs.
        ranks: Result of `case_ranks`, shape (runs, cases).
    """
    means = np.round(ranks.mean(axis=1), 9)
    places = rankdata(means, method="min").astype(int)
    leads = (ranks <= ranks.min(axis=0) + 1e-9).sum(axis=1)
    found = [Ranked(*one) for one in zip(names, places.tolist(), means.tolist(), leads.tolist(), strict=True)]
    return sorted(found, key=lambda one: one.place)


def exchanges(names: Sequence[str], ranks: np.ndarray) -> list[tuple[str, str, float]]:
    """(better, worse, p of `exchange_p`) for every two runs.

    Args:
        names: Names of the runs.
        ranks: Result of `case_ranks`, shape (runs, cases).
    """
    order = np.argsort(ranks.mean(axis=1), kind="stable")
    return [(names[a], names[b], exchange_p(ranks[a], ranks[b])) for i, a in enumerate(order) for b in order[i + 1 :]]
