"""The cases with the lowest scores beside the others: what they have in common, in counts and medians, without a test.

The groups are made by looking at the scores, and the rows hang together: a p-value would mean nothing here.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from brats_unet.evaluation.case_facts import NONE, CaseFacts
from brats_unet.evaluation.score import Row
from brats_unet.metrics.glossary import PREDICTION_SIZES, REFERENCE_SIZES
from brats_unet.modality import in_order, in_words

LEAST_COHORT = 20  # with fewer cases, groups are too small to be compared
WORST = 10  # most cases of the group with the lowest scores, which is at most a quarter
STRATA = 12  # most strata that are listed: the largest
THIRD = 1 / 3
MM3_PER_ML = 1000.0


@dataclass(frozen=True)
class RegionOfCase:
    """Scores and facts of one region of one case.

    Attributes:
        region: Name of the region.
        dice: Dice by the protocol; NaN if it is undefined.
        reference: Size of the reference in the unit of the cohort.
        prediction: Size of the prediction.
        false_positive: Size of what is in the prediction only.
        false_negative: Size of what is in the reference only.
        facts: Row of cases.csv; None if the evaluation has none.
    """

    region: str
    dice: float
    reference: float
    prediction: float
    false_positive: float
    false_negative: float
    facts: CaseFacts | None


@dataclass(frozen=True)
class CohortCase:
    """One case: its regions in the order of the rows, and its mean Dice over them, NaN if every Dice is undefined."""

    case: str
    dice: float
    regions: tuple[RegionOfCase, ...]

    @property
    def largest(self) -> RegionOfCase:
        """The region with the largest reference; among equal ones the first."""
        return max(self.regions, key=lambda one: one.reference)


@dataclass(frozen=True)
class Cohort:
    """Cases of an evaluation by their scores.

    Attributes:
        cases: All cases, the lowest mean Dice first; those without any defined Dice come before.
        worst: The quarter with the lowest mean Dice, `WORST` cases at most; empty for fewer than `LEAST_COHORT` cases.
        rest: The other cases with a defined Dice, the lowest first.
        unit: Unit of sizes: "mL", or "voxels" where the size of a voxel is unknown.
    """

    cases: tuple[CohortCase, ...]
    worst: tuple[CohortCase, ...]
    rest: tuple[CohortCase, ...]
    unit: str


About = Literal["cases", "predictions"]
Value = Callable[[CohortCase], float]  # NaN if it is unknown


@dataclass(frozen=True)
class Contrast:
    """One property of the worst cases beside that of the rest; a case for which it is unknown is in neither tuple.

    Attributes:
        what: The property in words.
        about: Whether it is a property of the cases or of the predictions.
        counted: Whether the values are 0 or 1, to be counted; else their medians are compared.
        worst: Values of the worst cases.
        rest: Values of the others.
        unit: Unit of values that are sizes: that of the cohort; "" for others.
    """

    what: str
    about: About
    counted: bool
    worst: tuple[float, ...]
    rest: tuple[float, ...]
    unit: str = ""


def cohort_of(rows: Sequence[Row], facts: Sequence[CaseFacts] = ()) -> Cohort:
    """The cases of an evaluation by their scores.

    Args:
        rows: Rows of scores.csv, with Dice and the sizes of both masks.
        facts: Rows of cases.csv.
    """
    values = {(row.case, row.region, row.metric): row.value for row in rows}
    metrics = {row.metric for row in rows}
    sizes = [next(name for name in names if name in metrics) for names in (REFERENCE_SIZES, PREDICTION_SIZES)]
    per_unit = MM3_PER_ML if sizes[0].startswith("volume") else 1.0
    known = {(one.case, one.region): one for one in facts}
    regions: dict[str, list[RegionOfCase]] = {}
    for case, region in dict.fromkeys((row.case, row.region) for row in rows):
        dice = values[case, region, "dice"]
        reference, prediction = (values[case, region, name] / per_unit for name in sizes)
        shared = dice * (reference + prediction) / 2 if reference and prediction else 0.0
        wrong, missed = (max(0.0, size - shared) for size in (prediction, reference))  # rounding may give -1e-16
        one = RegionOfCase(region, dice, reference, prediction, wrong, missed, known.get((case, region)))
        regions.setdefault(case, []).append(one)
    cases = [CohortCase(case, _mean([one.dice for one in found]), tuple(found)) for case, found in regions.items()]
    cases.sort(key=lambda one: (-1.0 if math.isnan(one.dice) else one.dice, one.case))
    scored = [one for one in cases if not math.isnan(one.dice)]
    worst = min(WORST, len(scored) // 4) if len(scored) >= LEAST_COHORT else 0
    unit = "mL" if per_unit == MM3_PER_ML else "voxels"
    return Cohort(tuple(cases), tuple(scored[:worst]), tuple(scored[worst:]), unit)


def contrasts(cohort: Cohort) -> list[Contrast]:
    """What the worst cases are and what their predictions are, beside the rest; empty if there is no worst group.

    Of several regions, the largest of each case stands for it. What is unknown for all cases is left out, and so is a
    median where all cases have the same value.
    """
    if not cohort.worst:
        return []
    everyone = (*cohort.worst, *cohort.rest)
    regions = list(dict.fromkeys(one.region for case in everyone for one in case.regions))
    it = regions[0] if len(regions) == 1 else "the largest region"
    lost, extra = "nothing predicted", "a region predicted that the reference lacks"
    found = [
        _medians(cohort, "cases", f"size of {it}", lambda case: case.largest.reference, cohort.unit),
        *(_counts(cohort, "cases", f"no {name} in the reference", partial(_is_empty, region=name)) for name in regions),
        _medians(cohort, "cases", f"axial slices with {it}", _fact(lambda one: one.slices_reference)),
        _medians(cohort, "cases", "axial slices of the scan", _fact(lambda one: one.slices)),
        _counts(cohort, "cases", f"{it} in several parts", _fact(lambda one: one.components_reference > 1)),
        _counts(cohort, "cases", "touches the edge of the volume", _anywhere(lambda one: one.at_volume_edge)),
        _counts(cohort, "cases", "touches the edge of the head or brain", _anywhere(lambda one: one.at_head_edge)),
        _counts(cohort, "cases", "centre in the lowest third of the head", _fact(lambda one: _in_third(one.superior))),
        _counts(
            cohort, "cases", "centre in the highest third of the head", _fact(lambda one: _in_third(1 - one.superior))
        ),
        *_sequences(cohort, everyone),
        *_strata(cohort, everyone),
        _counts(cohort, "predictions", lost, lambda case: not any(one.prediction for one in case.regions)),
        _counts(cohort, "predictions", extra, _has_extra),
        _medians(cohort, "predictions", f"predicted parts of {it}", _fact(lambda one: one.components_prediction)),
        _medians(cohort, "predictions", "false positive", lambda case: case.largest.false_positive, cohort.unit),
        _medians(cohort, "predictions", "false negative", lambda case: case.largest.false_negative, cohort.unit),
    ]
    known = [one for one in found if one.worst or one.rest]
    return [one for one in known if one.counted or len({*one.worst, *one.rest}) > 1]


def _sequences(cohort: Cohort, everyone: Sequence[CohortCase]) -> list[Contrast]:
    """Cases that lack a sequence; each sequence on its own if several are absent somewhere."""
    absent = in_order(name for case in everyone for name in _absent(case) if name != NONE)

    def lacks(wanted: Collection[str], facts: CaseFacts) -> float:
        return float(any(name in wanted for name in facts.absent.split())) if facts.absent else math.nan

    found = [_counts(cohort, "cases", "lacks a sequence", _fact(partial(lacks, absent)))]
    if len(absent) > 1:
        found += [_counts(cohort, "cases", f"lacks {in_words(one)}", _fact(partial(lacks, [one]))) for one in absent]
    return found


def _strata(cohort: Cohort, everyone: Sequence[CohortCase]) -> list[Contrast]:
    """The largest strata, as far as they are known, by name."""
    sizes = Counter(case.largest.facts.stratum for case in everyone if case.largest.facts is not None)
    names = sorted(name for name, _ in sizes.most_common(STRATA) if name)

    def holds(name: str, facts: CaseFacts) -> float:
        return float(facts.stratum == name) if facts.stratum else math.nan

    return [_counts(cohort, "cases", f"stratum {name}", _fact(partial(holds, name))) for name in names]


def _counts(cohort: Cohort, about: About, what: str, value: Value) -> Contrast:
    return Contrast(what, about, True, _known(cohort.worst, value), _known(cohort.rest, value))


def _medians(cohort: Cohort, about: About, what: str, value: Value, unit: str = "") -> Contrast:
    return Contrast(what, about, False, _known(cohort.worst, value), _known(cohort.rest, value), unit)


def _known(cases: Sequence[CohortCase], value: Value) -> tuple[float, ...]:
    return tuple(float(each) for each in map(value, cases) if not math.isnan(each))


def _fact(of: Callable[[CaseFacts], float]) -> Value:
    """A fact of the largest region of a case; NaN without facts."""
    return lambda case: math.nan if case.largest.facts is None else of(case.largest.facts)


def _anywhere(of: Callable[[CaseFacts], float]) -> Value:
    """1 if a fact holds for any region of a case, 0 if for none; NaN if it is unknown for all."""

    def value(case: CohortCase) -> float:
        facts = [of(one.facts) for one in case.regions if one.facts is not None]
        known = [each for each in facts if not math.isnan(each)]
        return float(any(known)) if known else math.nan

    return value


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _is_empty(case: CohortCase, region: str) -> float:
    return float(any(one.region == region and not one.reference for one in case.regions))


def _has_extra(case: CohortCase) -> float:
    """1 if a region is predicted that the reference lacks, 0 if not; NaN if the reference lacks none."""
    absent = [one for one in case.regions if not one.reference]
    return float(any(one.prediction for one in absent)) if absent else math.nan


def _in_third(share: float) -> float:
    return math.nan if math.isnan(share) else float(share < THIRD)


def _absent(case: CohortCase) -> list[str]:
    return [] if case.largest.facts is None else case.largest.facts.absent.split()
