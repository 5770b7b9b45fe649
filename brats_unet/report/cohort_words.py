"""A cohort in words, for the terminal and the page: which cases are worst, and what they have in common."""

import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from brats_unet.evaluation.case_facts import NONE, CaseFacts
from brats_unet.evaluation.cohort import THIRD, Cohort, CohortCase, Contrast, contrasts
from brats_unet.modality import in_words
from brats_unet.report.scheme_words import first_upper

THIN_SPACE = "\u202f"  # between thousands; lines do not break there
SIDE = 0.05  # of the head's width: a centre this near to the middle is on neither side


def title(cohort: Cohort) -> str:
    """Which cases are shown as the worst."""
    return f"The worst {len(cohort.worst)} of {len(cohort.cases)} cases by mean Dice"


def sentence(cohort: Cohort) -> str:
    """How to read the comparison of the worst cases with the rest."""
    undefined = len(cohort.cases) - len(cohort.worst) - len(cohort.rest)
    left_out = f" {undefined} without a defined Dice are in neither group." if undefined else ""
    several = len(cohort.cases[0].regions) > 1
    largest = " Sizes and parts are those of the largest region of a case." if several else ""
    return (
        f"Description, not a test: the {len(cohort.worst)} cases with the lowest mean Dice beside the other "
        f"{len(cohort.rest)}.{left_out}{largest} Among {len(cohort.worst)} cases, a difference of two or three may be "
        f"chance. Rows hang together: a small region is in few slices, and the same error lowers its Dice more."
    )


Words = tuple[str, str]  # a count such as "6 of 10" and "", or a median and its quartiles in brackets


def rows(cohort: Cohort) -> list[tuple[str, str, Words, Words]]:
    """What is compared, "cases" or "predictions", and its words for the worst cases and for the rest; see `never`."""
    return [
        (
            first_upper(f"{one.what}, {one.unit}" if one.unit else one.what),
            one.about,
            _text(one, one.worst, len(cohort.worst)),
            _text(one, one.rest, len(cohort.rest)),
        )
        for one in contrasts(cohort)
        if not _is_never(one)
    ]


def never(cohort: Cohort) -> str:
    """What was counted and holds for no case of either group, as a sentence; "" if there is nothing."""
    listed = "; ".join(one.what for one in contrasts(cohort) if _is_never(one))
    return f"In no case: {listed}." if listed else ""


def amount(value: float, unit: str) -> str:
    """A size: three digits, or a whole number from 100 and of voxels."""
    if unit == "voxels" or value >= 100:
        return f"{value:,.0f}".replace(",", THIN_SPACE)
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def notes(case: CohortCase) -> list[str]:
    """What is known of a case besides scores and sizes, in a few words each; empty without cases.csv."""
    facts = case.largest.facts
    if facts is None:
        return []
    each = [one.facts for one in case.regions if one.facts is not None]
    found = [f"no {one.region} in reference" for one in case.regions if not one.reference]
    found += [f"{one.region} not predicted" for one in case.regions if one.reference and not one.prediction]
    if facts.absent not in ("", NONE):
        found.append(f"lacks {' and '.join(in_words(name) for name in facts.absent.split())}")
    if any(one.at_volume_edge for one in each):
        found.append("at the edge of the volume")
    return found


def place(facts: CaseFacts | None) -> str:
    """Where the centre of a region lies in the head: "left, front, top"; thirds in the middle have no word."""
    if facts is None or math.isnan(facts.left):
        return ""
    side = "" if abs(facts.left - 0.5) <= SIDE else "left" if facts.left > 0.5 else "right"
    words = [side, _third(facts.posterior, "front", "back"), _third(facts.superior, "bottom", "top")]
    return ", ".join(word for word in words if word) or "middle"


def _third(share: float, first: str, last: str) -> str:
    return first if share < THIRD else last if share > 1 - THIRD else ""


def _is_never(contrast: Contrast) -> bool:
    return contrast.counted and not any(contrast.worst) and not any(contrast.rest)


def _text(contrast: Contrast, values: Sequence[float], cases: int) -> Words:
    """The words for a group of so many cases; with n if a median is not known for all of them."""
    if not values:
        return "unknown", ""
    if contrast.counted:
        return f"{round(sum(values))} of {len(values)}", ""
    low, high = (float(end) for end in np.percentile(values, (25, 75)))
    middle, first, last = (_number(value, contrast.unit) for value in (median(values), low, high))
    n = "" if len(values) == cases else f", n = {len(values)}"
    return middle, f"({first} – {last}){n}"


def _number(value: float, unit: str) -> str:
    return amount(value, unit) if unit else f"{value:.1f}".removesuffix(".0")
