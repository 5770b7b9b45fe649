"""Confidence interval of a mean over cases: bias-corrected and accelerated (BCa) bootstrap with a fixed seed.

Source: Efron 1987, doi:10.1080/01621459.1987.10478410.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

LEVEL = 0.95
DRAWS = 9999
LEAST_CASES = 5  # with fewer cases, an interval would be misleading
SEED = 0
METHOD = {
    "level": LEVEL,
    "method": "BCa bootstrap of the mean over cases",
    "draws": DRAWS,
    "seed": SEED,
    "least_cases": LEAST_CASES,
}

Interval = tuple[float, float]


def mean_interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    """BCa confidence interval of the mean at level `LEVEL`.

    Args:
        values: One finite value per case, in any order.

    Returns:
        Lower and upper end, within the range of the values; None for fewer than `LEAST_CASES` values. If all values
        are equal, both ends are that value.

    Raises:
        ValueError: A value is NaN or infinite.
    """
    x = np.sort(np.asarray(values, float))
    if not np.isfinite(x).all():
        raise ValueError("A confidence interval needs finite values: leave out NaN and infinite ones.")
    n = x.size
    if n < LEAST_CASES:
        return None
    if x[0] == x[-1]:
        return float(x[0]), float(x[0])
    means = _resamples(n) @ x / n
    mean = x.mean()
    rounding = 1e-12 * max(1.0, float(np.abs(x).max()))  # means within this distance count as equal
    below = np.count_nonzero(means < mean - rounding) + 0.5 * np.count_nonzero(np.abs(means - mean) <= rounding)
    bias = ndtri(below / DRAWS)
    deviation = x - mean
    acceleration = (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5)
    tails = ndtri(np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    quantiles = ndtr(bias + (bias + tails) / (1 - acceleration * (bias + tails)))
    low, high = np.quantile(means, quantiles)
    return float(max(low, x[0])), float(min(high, x[-1]))


@lru_cache(maxsize=8)
def _resamples(n: int) -> np.ndarray:
    """How often each of n cases occurs in each resample, shape (DRAWS, n); the same for every score of n cases."""
    counts = np.random.default_rng([SEED, n]).multinomial(n, np.full(n, 1 / n), size=DRAWS)
    return counts.astype(np.float64 if n <= 400 else np.float32)
