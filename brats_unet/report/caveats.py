"""Caveats to read with the scores of an evaluation: rules that applied, cases left out, missing files."""

from brats_unet.errors import some
from brats_unet.evaluation.bootstrap import LEAST_CASES
from brats_unet.evaluation.summary import Summary
from brats_unet.evaluation.trivial import MEAN_SHAPE
from brats_unet.metrics.empty import is_undefined
from brats_unet.metrics.glossary import NO_SPACING, distance_of
from brats_unet.metrics.in_plane import WHEN_EMPTY
from brats_unet.report.scheme_words import target


def sentences(summary: Summary) -> list[str]:
    """Caveats to read with the scores: rules that applied, cases left out, missing files."""
    rule, distances, unit, found = summary.protocol.dice, summary.protocol.hd95_mm, "mm", []
    if distance_of(summary.units) != "hd95":
        distances, unit, found = WHEN_EMPTY, "px", [NO_SPACING]
    if any(summary.empty_references.values()) or any(summary.empty_predictions.values()):
        found.append(
            f"By the rules of {summary.protocol.name}, a region absent from both masks scores Dice "
            f"{_rule_text(rule.both)} and HD95 {_rule_text(distances.both, unit)}; a region absent from only one mask "
            f"scores Dice {_rule_text(rule.reference)} and HD95 {_rule_text(distances.reference, unit)}."
        )
    undefined: dict[str, list[str]] = {}
    for region, metrics in summary.regions.items():
        for metric, stats in metrics.items():
            if stats.undefined:
                where = f"{region} in {stats.undefined} of {stats.undefined + stats.n} cases"
                undefined.setdefault(where, []).append(metric)
    if undefined:
        listed = "; ".join(f"{where} ({', '.join(names)})" for where, names in undefined.items())
        found.append(f"Undefined, so left out of the means: {listed}.")
    if summary.failed:
        n = len(summary.failed)
        these = "1 case that cannot be scored is" if n == 1 else f"{n} cases that cannot be scored are"
        why = next(iter(summary.failed.values()))
        found.append(
            f"By the rules of {summary.protocol.name}, {these} left out of all means: {some(list(summary.failed))}. "
            + (why if n == 1 else f"The first: {why}")
        )
    if summary.missing:
        scored_as = "misses of every region" if summary.protocol.missing_fails else "empty masks"
        found.append(f"Missing predictions, scored as {scored_as}: {some(summary.missing)}.")
    if summary.not_scored:
        found.append(
            f"Predictions without a reference, not scored: {len(summary.not_scored)} ({some(summary.not_scored)})."
        )
    if summary.seed_left_out:
        case_id, why = next(iter(summary.seed_left_out.items()))
        found.append(f"Cases without seed-notebook scores: {len(summary.seed_left_out)} ({case_id}: {why}).")
    if summary.trivial:
        found.append(_trivial_sentence(summary, target(summary.scheme)))
    if len(summary.cases) < LEAST_CASES:
        found.append(f"Fewer than {LEAST_CASES} cases, so there is no confidence interval.")
    if summary.note:
        found.append(summary.note)
    return found


def _trivial_sentence(summary: Summary, target: str) -> str:
    if MEAN_SHAPE in summary.trivial:
        n, total = summary.trivial_n[MEAN_SHAPE], len(summary.cases)
        partly = f" (scored on {n} of {total} cases)" if n < total else ""
        return (
            f"Yellow rows are predictions that ignore the scan: no {target} at all, and the mean {target} shape of the "
            f"training cases{partly}."
        )
    why = next(iter(summary.trivial_left_out.values()), "")
    return (
        f"The yellow rows are a prediction that ignores the scan: no {target} at all. "
        f"The mean shape of the training cases was not scored{f': {why}' if why else '.'}"
    )


def _rule_text(rule: float, unit: str = "") -> str:
    return "undefined" if is_undefined(rule) else f"{rule:.9g} {unit}".strip()
