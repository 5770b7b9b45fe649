"""What the HTML report says of a cohort of dozens of cases, in plain types: worst cases, sizes, tags for filters."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from brats_unet.evaluation.case_facts import NONE
from brats_unet.evaluation.cohort import LEAST_COHORT, Cohort, CohortCase, RegionOfCase
from brats_unet.evaluation.record import Evaluation
from brats_unet.metrics.glossary import distance_of
from brats_unet.modality import in_order, in_words
from brats_unet.report import cohort_words
from brats_unet.report.looks import css_class
from brats_unet.report.volume_charts import dice_by_size, thirds
from brats_unet.schemes.scheme import Scheme

MOST_ROWS = 3  # regions of a case in the table of the worst cases: those with the lowest Dice
MIDDLE = 2  # cases around the median that are drawn
BEST = 2  # best cases that are drawn
FEW = 2  # worst and best cases that are drawn of a handful
WORST, MEDIAN, BEST_NAME = "Worst", "Around the median", "Best"

Groups = list[tuple[str, list[str]]]


def drawn_groups(cohort: Cohort, pictures: int | None) -> Groups:
    """The cases to show as figures: heading and case ids, a case once.

    Args:
        cohort: All cases.
        pictures: Number of worst and of best cases; None: the worst group of a cohort, two cases around the median and
            two of the best, or of a handful two of the worst and two of the best.
    """
    order = [one.case for one in cohort.cases]
    middle: list[str] = []
    if pictures is None and cohort.worst:
        worst = [one.case for one in cohort.worst]
        scored = [*worst, *(one.case for one in cohort.rest)]
        start = (len(scored) - MIDDLE) // 2
        middle, best = scored[start : start + MIDDLE], scored[-BEST:]
    else:
        count = FEW if pictures is None else pictures
        worst, best = order[:count], order[-count:] if count else []
    return [(WORST, worst), (MEDIAN, middle), (BEST_NAME, [case for case in reversed(best) if case not in worst])]


def failures(evaluation: Evaluation, cohort: Cohort) -> dict[str, Any]:
    """The worst cases and what they have in common; empty if there are too few cases for that."""
    if not cohort.worst:
        return {}
    values = evaluation.values()
    distance = distance_of({metric for *_, metric in values})
    return {
        "title": cohort_words.title(cohort),
        "unit": cohort.unit,
        "distance": "px" if distance.endswith("px") else "mm",
        "cases": [
            {
                "case": one.case,
                "dice": _dice(one.dice),
                "notes": _all_notes(one),
                "regions": [
                    _region(each, evaluation.scheme, cohort.unit, values[one.case, each.region, distance])
                    for each in _lowest(one)
                ],
            }
            for one in cohort.worst
        ],
        "cut": len(cohort.worst[0].regions) > MOST_ROWS,
        "most_rows": MOST_ROWS,
        "contrasts": cohort_words.rows(cohort),
        "never": cohort_words.never(cohort),
        "worst": len(cohort.worst),
        "rest": len(cohort.rest),
        "sentence": cohort_words.sentence(cohort),
        "has_facts": bool(evaluation.facts),
    }


def size_charts(cohort: Cohort, scheme: Scheme) -> list[dict[str, str]]:
    """A chart of Dice against the size of the reference for each region, with the medians of the thirds in words."""
    worst, drawn = {one.case for one in cohort.worst}, []
    if not worst:
        return []
    for region in scheme.scored:
        found = [(case.case, one) for case in cohort.cases for one in case.regions if one.region == region]
        points = [(case, one.reference, one.dice) for case, one in found if not math.isnan(one.dice)]
        words = ""
        if parts := thirds([size for _, size, _ in points], [dice for *_, dice in points]):
            listed = "; ".join(
                f"{cohort_words.amount(part.low, cohort.unit)} – {cohort_words.amount(part.high, cohort.unit)} "
                f"{cohort.unit}: {part.median:.3f} (n = {part.n})"
                for part in parts
            )
            words = f"Median Dice by thirds of size: {listed}."
        svg = dice_by_size(points, region=region, scheme=scheme, unit=cohort.unit, worst=worst)
        drawn.append({"title": f"Dice of {region} and size of its reference", "svg": svg, "words": words})
    return drawn


def case_columns(cohort: Cohort, scheme: Scheme, narrow: int) -> dict[str, Any]:
    """What the table of all cases shows besides scores: sizes, absent scans and strata, and the tags to filter by.

    Args:
        cohort: All cases.
        scheme: Scheme of the regions.
        narrow: Number of regions above which only the size of the largest one is shown.

    Returns:
        "sizes": names of the size columns; "columns": names of the others; "filters": (label, [(tag, words)]), empty
        for a handful of cases; "rows": by case, its sizes with their texts, cells, tags and mean Dice.
    """
    regions = list(scheme.scored)
    each = len(regions) <= narrow
    known = {case.case: case.largest.facts for case in cohort.cases}
    strata = sorted({facts.stratum for facts in known.values() if facts and facts.stratum})
    lacking = in_order(m for facts in known.values() if facts for m in facts.absent.split() if m != NONE)
    worst = {case.case for case in cohort.worst}
    sequences = [(f"lacks {m}", f"lacks {in_words(m)}") for m in lacking]
    filters = [
        ("Cases", [("worst", f"the worst {len(worst)}")] if worst else []),
        ("Sequences", [*sequences, ("complete", "none absent")] if sequences else []),
        ("Stratum", [(f"stratum {name}", name) for name in strata] if len(strata) > 1 else []),
        ("Masks", _mask_filters(cohort, regions)),
    ]
    names = [*(["absent"] if lacking else []), *(["stratum"] if strata else [])]
    rows = {}
    for case in cohort.cases:
        facts = known[case.case]
        absent = [] if facts is None or facts.absent == NONE else facts.absent.split()
        shown = {"absent": " ".join(in_words(m) for m in absent), "stratum": facts.stratum if facts else ""}
        tags = [*(f"lacks {m}" for m in absent), *_mask_tags(case)]
        tags += ["worst"] if case.case in worst else []
        tags += ["complete"] if facts and facts.absent == NONE else []
        tags += [f"stratum {facts.stratum}"] if facts and facts.stratum else []
        sizes = [one.reference for one in case.regions] if each else [case.largest.reference]
        rows[case.case] = {
            "sizes": [(size, cohort_words.amount(size, cohort.unit)) for size in sizes],
            "cells": [shown[name] for name in names],
            "tags": tags,
            "dice": "" if math.isnan(case.dice) else f"{case.dice:.4f}",
        }
    return {
        "sizes": regions if each else ["largest"],
        "unit": cohort.unit,
        "columns": names,
        "filters": [one for one in filters if one[1]] if len(cohort.cases) >= LEAST_COHORT else [],
        "rows": rows,
    }


def _mask_filters(cohort: Cohort, regions: Sequence[str]) -> list[tuple[str, str]]:
    words = {f"no {region}": f"no {region} in the reference" for region in regions}
    words |= {f"lost {region}": f"{region} not predicted" for region in regions}
    words |= {"volume edge": "at the edge of the volume", "head edge": "at the edge of the head or brain"}
    found = {tag for case in cohort.cases for tag in _mask_tags(case)}
    return [(tag, word) for tag, word in words.items() if tag in found]


def _mask_tags(case: CohortCase) -> list[str]:
    facts = [one.facts for one in case.regions if one.facts is not None]
    return [
        *(f"no {one.region}" for one in case.regions if not one.reference),
        *(f"lost {one.region}" for one in case.regions if one.reference and not one.prediction),
        *(["volume edge"] if any(one.at_volume_edge for one in facts) else []),
        *(["head edge"] if any(one.at_head_edge == 1 for one in facts) else []),
    ]


def _all_notes(case: CohortCase) -> list[str]:
    facts = case.largest.facts
    stratum = [f"stratum {facts.stratum}"] if facts is not None and facts.stratum else []
    where = cohort_words.place(facts)
    return [*([where] if where else []), *cohort_words.notes(case), *stratum]


def _lowest(case: CohortCase) -> list[RegionOfCase]:
    """The regions with the lowest Dice, in the order of the scheme."""
    ranked = sorted(case.regions, key=lambda one: 2.0 if math.isnan(one.dice) else one.dice)[:MOST_ROWS]
    return [one for one in case.regions if one in ranked]


def _region(one: RegionOfCase, scheme: Scheme, unit: str, distance: float) -> Mapping[str, str]:
    facts = one.facts
    sizes = (one.reference, one.prediction, one.false_positive, one.false_negative)
    reference, prediction, false_positive, false_negative = (cohort_words.amount(size, unit) for size in sizes)
    return {
        "region": one.region,
        "look": css_class(scheme, one.region),
        "dice": _dice(one.dice),
        "distance": "undefined" if math.isnan(distance) else f"{distance:.1f}",
        "reference": reference,
        "prediction": prediction,
        "false_positive": false_positive,
        "false_negative": false_negative,
        "parts": "" if facts is None else f"{facts.components_prediction} / {facts.components_reference}",
        "slices": "" if facts is None else f"{facts.slices_reference} / {facts.slices}",
    }


def _dice(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"
