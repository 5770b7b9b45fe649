"""A ranking of several runs in the manner of BraTS: ranks within each case are averaged, then exchanged at random.

Source: Bakas et al. 2018, arXiv:1811.02629, section "Ranking".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

DRAWS, SEED = 9999, 0  # of the permutation test
EXACT_UP_TO = 13  # cases whose 2^n exchanges are all made


@dataclass(frozen=True)
class Ranked:
    """One evaluation's place among all.

    Attributes:
        mean_rank: Mean over cases of the mean rank over regions and metrics; 1 is the best there is.
        first_in: Cases in which its mean rank is the lowest, alone or with others.
    """

    name: str
    place: int
    mean_rank: float
    first_in: int


def case_ranks(table: np.ndarray, falling: Sequence[bool]) -> np.ndarray:
    """Mean rank of each run in each case, over regions and metrics: 1 is best, equals share the mean of their ranks.

    Args:
        table: Scores, shape (runs, cases, regions, metrics); an undefined one ranks last.
        falling: By metric, whether lower is better.

    Returns:
        Shape (runs, cases). Scores that no run has are left out of a case's mean; a case without any is a tie.
    """
    sign = np.where(falling, 1.0, -1.0)
    undefined = np.isnan(table)
    ordered = np.where(undefined, np.inf, np.round(table * sign, 9))
    ranks = rankdata(ordered, method="average", axis=0)
    ranks[:, undefined.all(axis=0)] = np.nan
    counted = ~np.isnan(ranks)
    n = counted.sum(axis=(2, 3))
    tie = (table.shape[0] + 1) / 2
    return np.where(n > 0, np.where(counted, ranks, 0).sum(axis=(2, 3)) / np.maximum(n, 1), tie)


def exchange_p(first: np.ndarray, second: np.ndarray) -> float:
    """How often exchanging two runs within cases at random sets their means at least as far apart as they are.

    Args:
        first: Mean ranks of one run, shape (cases,).
        second: Of the other.

    Returns:
        Two-sided p: of all 2^n exchanges for few cases, else of seeded draws with the observed one counted.
    """
    away = first - second
    n = away.size
    observed = abs(away.sum()) - 1e-9
    if n <= EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(signs @ away) >= observed))
    signs = np.random.default_rng(SEED).choice([-1.0, 1.0], size=(DRAWS, n))
    return float((1 + np.count_nonzero(np.abs(signs @ away) >= observed)) / (1 + DRAWS))


def ranking(names: Sequence[str], ranks: np.ndarray) -> list[Ranked]:
    """Places by mean rank, best first; equals share the better place; `ranks` as `case_ranks` gives them."""
    means = np.round(ranks.mean(axis=1), 9)
    places = rankdata(means, method="min").astype(int)
    leads = (ranks <= ranks.min(axis=0) + 1e-9).sum(axis=1)
    found = [Ranked(*one) for one in zip(names, places.tolist(), means.tolist(), leads.tolist(), strict=True)]
    return sorted(found, key=lambda one: one.place)


def exchanges(names: Sequence[str], ranks: np.ndarray) -> list[tuple[str, str, float]]:
    """(better, worse, p of `exchange_p`) of every two runs; `ranks` as `case_ranks` gives them."""
    order = np.argsort(ranks.mean(axis=1), kind="stable")
    return [(names[a], names[b], exchange_p(ranks[a], ranks[b])) for i, a in enumerate(order) for b in order[i + 1 :]]
