"""Compare evaluations, paired by case: differences, tests, wins and losses, and a ranking as in BraTS."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from brats_unet.errors import SettingsError
from brats_unet.evaluation.bootstrap import METHOD, Interval, mean_interval
from brats_unet.evaluation.comparability import refuse_incomparable, regions_in_all
from brats_unet.evaluation.ranking import Ranked, absent_from_both, case_ranks, exchanges, ranking
from brats_unet.evaluation.record import Evaluation
from brats_unet.metrics.glossary import MEANINGS, distance_of
from brats_unet.spelling import suggestion

MOVED = 5  # cases listed per difference
SAME = 1e-9  # scores this close are a tie
# Metrics for which lower is better. A package's metric says so in summary.json; without that, every one in mm is.
FALLING = frozenset(name for name, meaning in MEANINGS.items() if meaning.better == "low")
# Metrics for which neither higher nor lower is better; they cannot be compared.
NEUTRAL = frozenset(name for name, meaning in MEANINGS.items() if meaning.better in ("near 0", "–"))


@dataclass(frozen=True)
class Moved:
    """A case with its score in the first and in the second evaluation."""

    case: str
    first: float
    second: float


@dataclass(frozen=True)
class Difference:
    """Difference of one metric in one region between two evaluations, over the cases that have a value in both.

    Attributes:
        first: Name of the baseline evaluation.
        second: Name of the evaluation that is compared with the baseline.
        region: Name of the region.
        metric: Name of the metric.
        unit: Unit of the metric; "1" for a share.
        falling: Whether lower is better.
        n: Number of cases with a value in both.
        undefined: Number of cases left out because the score is undefined in at least one of the two.
        mean: Mean of second - first over cases; None for n = 0.
        median: Median of second - first over cases; None for n = 0.
        interval: 95 % confidence interval of the mean; None for n < 5.
        wins: Cases in which the second is better.
        ties: Cases in which both are equal.
        losses: Cases in which the second is worse.
        p: p value of the two-sided Wilcoxon signed-rank test without ties; 1 if all cases are ties, None for n = 0.
        p_holm: p after Holm's correction over all tests of this comparison.
        moved: Cases with the largest differences, largest first.
    """

    first: str
    second: str
    region: str
    metric: str
    unit: str
    falling: bool
    n: int
    undefined: int
    mean: float | None
    median: float | None
    interval: Interval | None
    wins: int
    ties: int
    losses: int
    p: float | None
    p_holm: float | None
    moved: tuple[Moved, ...]


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        names: Names of the evaluations; the first is the baseline.
        cases: Case ids.
        regions: Regions that were compared.
        metrics: Metrics that were compared.
        protocol: Name of the scoring protocol, or "" if the summary does not record it.
        notes: Caveats to read with the numbers: what could not be checked.
        differences: Sorted by evaluation, then region, then metric.
        ranking: Ranking of the evaluations, best first.
        exchanges: (better, worse, p) of every two evaluations; p of the two-sided permutation test of their mean ranks.
    """

    names: tuple[str, ...]
    cases: tuple[str, ...]
    regions: tuple[str, ...]
    metrics: tuple[str, ...]
    protocol: str
    notes: tuple[str, ...]
    differences: tuple[Difference, ...]
    ranking: tuple[Ranked, ...]
    exchanges: tuple[tuple[str, str, float], ...]

    def as_json(self) -> dict[str, Any]:
        """The comparison in plain types, for JSON."""
        return {
            **asdict(self),
            "exchanges": [{"better": a, "worse": b, "p": p} for a, b, p in self.exchanges],
            "test": "Wilcoxon signed-rank, two-sided, Holm over all differences",
            "interval": METHOD,
        }


def compare(evaluations: Sequence[Evaluation], *, metrics: Sequence[str] | None = None) -> Comparison:
    """Compare every evaluation with the first, and rank all of them.

    Args:
        evaluations: Two or more evaluations of the same cases.
        metrics: Metrics that every evaluation has; None: Dice and HD95, in pixels if the size of a voxel is unknown.

    Raises:
        SettingsError: Fewer than two evaluations, the same one twice, or a metric that an evaluation lacks.
        DataError: Cases, references or protocols differ, or scores are missing. All problems are listed.
    """
    if len(evaluations) < 2:
        raise SettingsError(f"runs= has {len(evaluations)} evaluation. Give two or more: brats-unet compare A B.")
    files = [evaluation.file.resolve() for evaluation in evaluations]
    if len(set(files)) < len(files):
        twice = next(str(e.file) for e, file in zip(evaluations, files, strict=True) if files.count(file) > 1)
        raise SettingsError(f"{twice} is given twice. Expected evaluations of different runs.")
    names = _names(evaluations)
    if metrics is None:
        metrics = ("dice", distance_of({row.metric for row in evaluations[0].rows}))
    _refuse_unknown(evaluations, names, metrics)
    regions, notes = regions_in_all(evaluations, names)
    notes += refuse_incomparable(evaluations, names, metrics, regions)
    units = {row.metric: row.unit for row in evaluations[0].rows}
    cases = tuple(evaluations[0].cases)
    values = [evaluation.values() for evaluation in evaluations]
    table = np.array(  # run x case x region x metric
        [[[[v[c, r, m] for m in metrics] for r in regions] for c in cases] for v in values]
    )
    falling = [is_falling(metric, units[metric], _better(evaluations[0], metric)) for metric in metrics]
    differences = [
        _difference(
            names[0], name, region, metric, units[metric], falling[m], cases, table[0, :, r, m], table[run, :, r, m]
        )
        for run, name in enumerate(names[1:], 1)
        for r, region in enumerate(regions)
        for m, metric in enumerate(metrics)
    ]
    ranks = case_ranks(table, falling, absent_from_both(evaluations, cases, regions))
    return Comparison(
        names=names,
        cases=cases,
        regions=tuple(regions),
        metrics=tuple(metrics),
        protocol=str(evaluations[0].summary.get("protocol", {}).get("name", "")),
        notes=tuple(notes),
        differences=tuple(_with_holm(differences)),
        ranking=tuple(ranking(names, ranks)),
        exchanges=tuple(exchanges(names, ranks)),
    )


def is_falling(metric: str, unit: str, better: str | None = None) -> bool:
    """Whether lower is better; `better` comes from the record of a package's metric, if there is one."""
    return better == "low" if better else unit == "mm" or metric in FALLING


def _better(evaluation: Evaluation, metric: str) -> str | None:
    return evaluation.summary.get("package_metrics", {}).get(metric, {}).get("better")


def holm(p_values: Sequence[float]) -> list[float]:
    """p values after Holm's step-down correction (Holm 1979), in the given order."""
    order = np.argsort(p_values, kind="stable")
    corrected = np.empty(len(p_values))
    highest = 0.0
    for step, index in enumerate(order):
        highest = max(highest, (len(p_values) - step) * p_values[index])
        corrected[index] = min(1.0, highest)
    return [float(p) for p in corrected]


def _difference(
    first: str,
    second: str,
    region: str,
    metric: str,
    unit: str,
    falling: bool,
    cases: Sequence[str],
    before: np.ndarray,
    after: np.ndarray,
) -> Difference:
    both = ~(np.isnan(before) | np.isnan(after))
    change = np.where(both, after - before, 0.0)
    change[np.abs(change) <= SAME] = 0.0
    gain = (-change if falling else change)[both]
    order = np.argsort(-np.abs(change), kind="stable")[:MOVED]
    n = int(both.sum())
    return Difference(
        first=first,
        second=second,
        region=region,
        metric=metric,
        unit=unit,
        falling=falling,
        n=n,
        undefined=len(cases) - n,
        mean=float(change[both].mean()) if n else None,
        median=float(np.median(change[both])) if n else None,
        interval=mean_interval(change[both]),
        wins=int((gain > 0).sum()),
        ties=int((gain == 0).sum()),
        losses=int((gain < 0).sum()),
        p=_signed_rank_p(gain),
        p_holm=None,
        moved=tuple(Moved(cases[i], float(before[i]), float(after[i])) for i in order if change[i]),
    )


def _signed_rank_p(gain: np.ndarray) -> float | None:
    if not gain.size:
        return None
    untied = gain[gain != 0]
    return float(wilcoxon(untied).pvalue) if untied.size else 1.0


def _with_holm(differences: Sequence[Difference]) -> list[Difference]:
    tested = [one for one in differences if one.p is not None]
    corrected = iter(holm([one.p for one in tested if one.p is not None]))
    return [replace(one, p_holm=next(corrected)) if one.p is not None else one for one in differences]


def _names(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    short = [evaluation.name for evaluation in evaluations]
    return tuple(e.name if short.count(e.name) == 1 else str(e.file.parent) for e in evaluations)


def _refuse_unknown(evaluations: Sequence[Evaluation], names: Sequence[str], metrics: Sequence[str]) -> None:
    for evaluation, name in zip(evaluations, names, strict=True):
        named = dict.fromkeys(row.metric for row in evaluation.rows if row.metric not in NEUTRAL)
        known = [metric for metric in named if _better(evaluation, metric) not in ("near 0", "–")]
        for metric in metrics:
            if metric not in known:
                raise SettingsError(f"{name} has no metric named {metric}. {suggestion(metric, known)}")
    if not metrics or len(set(metrics)) < len(metrics):
        raise SettingsError(f"metrics={list(metrics)}: expected one or more metrics, each only once.")
