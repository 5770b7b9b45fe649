"""Two evaluations or more, paired by case: differences, tests, wins, and a ranking in the manner of BraTS."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

from brats_unet.errors import SettingsError
from brats_unet.evaluation.bootstrap import METHOD, Interval, mean_interval
from brats_unet.evaluation.comparability import refuse_incomparable
from brats_unet.evaluation.ranking import Ranked, case_ranks, exchanges, ranking
from brats_unet.evaluation.record import Evaluation
from brats_unet.metrics.glossary import MEANINGS
from brats_unet.parts import suggestion

MOVED = 5  # cases that are named
SAME = 1e-9  # scores as near as that are a tie
# What gets better as it falls; distances in mm of other packages do as well. The others rise.
FALLING = frozenset(name for name, meaning in MEANINGS.items() if meaning.better == "low")
# Those that are no better for being higher or lower.
NEUTRAL = frozenset(name for name, meaning in MEANINGS.items() if meaning.better in ("near 0", "–"))


@dataclass(frozen=True)
class Moved:
    """A case and its two scores."""

    case: str
    first: float
    second: float


@dataclass(frozen=True)
class Difference:
    """One score of one region in two evaluations, over the cases where both have a value.

    Attributes:
        first: Name of the evaluation that is compared with.
        second: Name of the one whose scores the first's are taken from.
        unit: Of the score; "1" for a share.
        falling: Whether lower is better.
        n: Cases.
        undefined: Cases without a value in either, left out.
        mean: Of second less first, over cases; None for n = 0.
        median: Likewise.
        interval: Of the mean, at 95 %; None for n < 5.
        wins: Cases where the second is better.
        ties: Cases where both are equal.
        losses: Cases where the second is worse.
        p: Two-sided Wilcoxon signed-rank test; ties are left out of it. 1 where all are ties, None for n = 0.
        p_holm: The same after Holm's correction for all tests of this comparison.
        moved: The cases that differ most, most first.
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
    """All that was found.

    Attributes:
        names: Of the evaluations; the first is the one that the others are compared with.
        cases: Ids.
        regions: That were compared.
        metrics: That were compared.
        protocol: Name of the rules, or "" if no summary says.
        notes: Sentences that must be read with the numbers.
        differences: By evaluation, then region, then metric.
        ranking: Best first.
        exchanges: (better, worse, p): how often an exchange of the two within cases would set their mean ranks as far
            apart; two-sided.
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
        """Plain types."""
        return {
            **asdict(self),
            "exchanges": [{"better": a, "worse": b, "p": p} for a, b, p in self.exchanges],
            "test": "Wilcoxon signed-rank, two-sided, Holm over all differences",
            "interval": METHOD,
        }


def compare(evaluations: Sequence[Evaluation], *, metrics: Sequence[str] = ("dice", "hd95")) -> Comparison:
    """Compare the second and every later evaluation with the first, and rank them all.

    Args:
        evaluations: Two or more, of the same cases.
        metrics: Names of scores that all of them have.

    Raises:
        SettingsError: Fewer than two evaluations, one twice, or a metric that some lack.
        DataError: They do not share cases, references or protocol, or lack scores: all that differs is named.
    """
    if len(evaluations) < 2:
        raise SettingsError(f"runs names {len(evaluations)} evaluation. Give two or more: brats-unet compare A B.")
    files = [evaluation.file.resolve() for evaluation in evaluations]
    if len(set(files)) < len(files):
        twice = next(str(e.file) for e, file in zip(evaluations, files, strict=True) if files.count(file) > 1)
        raise SettingsError(f"{twice} is named twice. Expected evaluations of different runs.")
    names = _names(evaluations)
    _refuse_unknown(evaluations, names, metrics)
    notes = refuse_incomparable(evaluations, names, metrics)
    units = {row.metric: row.unit for row in evaluations[0].rows}
    regions = tuple(dict.fromkeys(row.region for row in evaluations[0].rows))
    cases = tuple(evaluations[0].cases)
    values = [evaluation.values() for evaluation in evaluations]
    table = np.array(  # run x case x region x metric
        [[[[v[c, r, m] for m in metrics] for r in regions] for c in cases] for v in values]
    )
    differences = [
        _difference(names[0], name, region, metric, units[metric], cases, table[0, :, r, m], table[run, :, r, m])
        for run, name in enumerate(names[1:], 1)
        for r, region in enumerate(regions)
        for m, metric in enumerate(metrics)
    ]
    ranks = case_ranks(table, [is_falling(metric, units[metric]) for metric in metrics])
    return Comparison(
        names=names,
        cases=cases,
        regions=regions,
        metrics=tuple(metrics),
        protocol=str(evaluations[0].summary.get("protocol", {}).get("name", "")),
        notes=tuple(notes),
        differences=tuple(_with_holm(differences)),
        ranking=tuple(ranking(names, ranks)),
        exchanges=tuple(exchanges(names, ranks)),
    )


def is_falling(metric: str, unit: str) -> bool:
    """Whether a score gets better as it falls."""
    return unit == "mm" or metric in FALLING


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction, in the order given (Holm 1979)."""
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
    cases: Sequence[str],
    before: np.ndarray,
    after: np.ndarray,
) -> Difference:
    both = ~(np.isnan(before) | np.isnan(after))
    away = np.where(both, after - before, 0.0)
    away[np.abs(away) <= SAME] = 0.0
    falling = is_falling(metric, unit)
    gain = (-away if falling else away)[both]
    order = np.argsort(-np.abs(away), kind="stable")[:MOVED]
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
        mean=float(away[both].mean()) if n else None,
        median=float(np.median(away[both])) if n else None,
        interval=mean_interval(away[both]),
        wins=int((gain > 0).sum()),
        ties=int((gain == 0).sum()),
        losses=int((gain < 0).sum()),
        p=_signed_rank_p(gain),
        p_holm=None,
        moved=tuple(Moved(cases[i], float(before[i]), float(after[i])) for i in order if away[i]),
    )


def _signed_rank_p(away: np.ndarray) -> float | None:
    if not away.size:
        return None
    moved = away[away != 0]
    return float(wilcoxon(moved).pvalue) if moved.size else 1.0


def _with_holm(differences: Sequence[Difference]) -> list[Difference]:
    tested = [one for one in differences if one.p is not None]
    corrected = iter(holm([one.p for one in tested if one.p is not None]))
    return [replace(one, p_holm=next(corrected)) if one.p is not None else one for one in differences]


def _names(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    short = [evaluation.name for evaluation in evaluations]
    return tuple(e.name if short.count(e.name) == 1 else str(e.file.parent) for e in evaluations)


def _refuse_unknown(evaluations: Sequence[Evaluation], names: Sequence[str], metrics: Sequence[str]) -> None:
    for evaluation, name in zip(evaluations, names, strict=True):
        known = {row.metric: None for row in evaluation.rows if row.metric not in NEUTRAL}
        for metric in metrics:
            if metric not in known:
                raise SettingsError(f"{name} has no score named {metric}. {suggestion(metric, known)}")
    if not metrics or len(set(metrics)) < len(metrics):
        raise SettingsError(f"metrics={list(metrics)}: expected one or more different scores.")
