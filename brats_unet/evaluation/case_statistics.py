"""Statistics of one score over cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.evaluation.bootstrap import Interval, mean_interval
from brats_unet.metrics.empty import is_undefined


@dataclass(frozen=True)
class Statistics:
    """Statistics of one score over cases. All are None if no case has a value.

    Attributes:
        n: Number of cases with a value.
        undefined: Number of cases in which the protocol leaves the score undefined; no other statistic includes them.
        mean: Arithmetic mean.
        sd: Sample standard deviation (n - 1); None for n < 2.
        median: Median; median and quartiles are interpolated linearly.
        q1: First quartile.
        q3: Third quartile.
        minimum: Smallest value.
        maximum: Largest value.
        interval: 95 % confidence interval of the mean (`bootstrap.mean_interval`); None for n < 5 or infinite values.
    """

    n: int
    undefined: int
    mean: float | None
    sd: float | None
    median: float | None
    q1: float | None
    q3: float | None
    minimum: float | None
    maximum: float | None
    interval: Interval | None


def statistics(values: Sequence[float]) -> Statistics:
    """Statistics of one score over cases; NaN counts as undefined."""
    defined = np.sort([value for value in values if not is_undefined(value)]).astype(float)
    undefined = len(values) - defined.size
    if defined.size == 0:
        return Statistics(0, undefined, None, None, None, None, None, None, None, None)
    q1, median, q3 = (float(q) for q in np.percentile(defined, (25, 50, 75)))
    return Statistics(
        n=int(defined.size),
        undefined=undefined,
        mean=float(defined.mean()),
        sd=float(defined.std(ddof=1)) if defined.size > 1 else None,
        median=median,
        q1=q1,
        q3=q3,
        minimum=float(defined.min()),
        maximum=float(defined.max()),
        interval=mean_interval(defined) if np.isfinite(defined).all() else None,
    )
