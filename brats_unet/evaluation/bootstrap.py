"""Confidence intervals of a mean over cases: the bias-corrected and accelerated (BCa) bootstrap, seeded.

Source: Efron 1987, doi:10.1080/01621459.1987.10478410.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

LEVEL = 0.95
DRAWS = 9999
LEAST = 5  # cases; an interval of fewer would say more than they do
SEED = 0
METHOD = {
    "level": LEVEL,
    "method": "BCa bootstrap of the mean over cases",
    "draws": DRAWS,
    "seed": SEED,
    "least_cases": LEAST,
}

Interval = tuple[float, float]


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    """BCa interval of the mean at `LEVEL`.

    Args:
        values: One per case, all finite, in any order.

    Returns:
        Low and high end, never outside the values' own range; None for fewer than `LEAST` cases. Values that are all
        one give that value twice.
    """
    x = np.sort(np.asarray(values, float))
    if not np.isfinite(x).all():
        raise ValueError("An interval needs finite values: leave the undefined ones out.")
    n = x.size
    if n < LEAST:
        return None
    if x[0] == x[-1]:
        return float(x[0]), float(x[0])
    means = _resamples(n) @ x / n
    mean = x.mean()
    tie = 1e-12 * max(1.0, float(np.abs(x).max()))  # sums in another order are the same mean
    below = np.count_nonzero(means < mean - tie) + 0.5 * np.count_nonzero(np.abs(means - mean) <= tie)
    bias = ndtri(below / DRAWS)
    away = x - mean
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    tails = ndtri(np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    shares = ndtr(bias + (bias + tails) / (1 - acceleration * (bias + tails)))
    low, high = np.quantile(means, shares)
    return float(max(low, x[0])), float(min(high, x[-1]))


@lru_cache(maxsize=8)
def _resamples(n: int) -> np.ndarray:
    """How often each of n cases is drawn, shape (DRAWS, n); the same draws for every score of n cases."""
    counts = np.random.default_rng([SEED, n]).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    return counts.astype(np.float64 if n <= 400 else np.float32)
