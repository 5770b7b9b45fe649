"""Check that evaluations can be paired: same cases, reference masks and protocol, and no missing score."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from brats_unet.errors import DataError, some
from brats_unet.evaluation.record import Evaluation
from brats_unet.metrics.glossary import REFERENCE_SIZES
from brats_unet.metrics.protocols import Protocol

# Rules that a summary of an earlier version does not record, because there was only one choice.
WITHOUT = {
    one.name: list(one.default) if isinstance(one.default, tuple) else one.default
    for one in fields(Protocol)
    if one.default is not MISSING
}


def regions_in_all(evaluations: Sequence[Evaluation], names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The regions to compare: those of the first evaluation that every other one scored too.

    Args:
        evaluations: Two or more.
        names: Their names, for the messages.

    Returns:
        The regions, and sentences that name those that are left out. Evaluations of one scheme keep all of their
        regions, so that `refuse_incomparable` finds missing scores. A scores.csv without a summary records no scheme:
        its regions are taken by their names.

    Raises:
        DataError: Two schemes give one region different labels, or no region is in all evaluations.
    """
    regions = list(dict.fromkeys(row.region for evaluation in evaluations for row in evaluation.rows))
    notes, problems = [], []
    if unknown := [name for evaluation, name in zip(evaluations, names, strict=True) if not evaluation.summary]:
        notes.append(f"{some(unknown)}: no scheme is recorded, so regions of the same name were compared.")
        scored = [{row.region for row in evaluation.rows} for evaluation in evaluations]
        regions = [region for region in regions if all(region in of_one for of_one in scored)]
    recorded = [(name, file.scheme) for file, name in zip(evaluations, names, strict=True) if file.summary]
    for name, scheme in recorded[1:]:
        one, first = recorded[0]
        problems += [
            f"{region} is {' '.join(sorted(first.regions[region].labels))} in {one} ({first.name}), but "
            f"{' '.join(sorted(scheme.regions[region].labels))} in {name} ({scheme.name})."
            for region in first.scored
            if region in scheme.scored and set(first.regions[region].labels) != set(scheme.regions[region].labels)
        ]
        if alone := sorted(set(first.scored) ^ set(scheme.scored)):
            notes.append(f"{one} has the scheme {first.name}, {name} {scheme.name}: {', '.join(alone)} left out.")
            regions = [region for region in regions if region not in alone]
    if not problems and not regions:
        problems = [f"No region is scored in all of {', '.join(names)}."]
    if problems:
        raise DataError("\n".join([*problems, "Only evaluations with common regions can be compared."]))
    return regions, notes


def refuse_incomparable(
    evaluations: Sequence[Evaluation], names: Sequence[str], metrics: Sequence[str], regions: Sequence[str]
) -> list[str]:
    """Refuse evaluations that cannot be paired.

    Args:
        evaluations: Two or more; each is compared with the first.
        names: Their names, for the messages.
        metrics: Scores that every evaluation must have for every case and region.
        regions: Result of `regions_in_all`.

    Returns:
        Sentences that name what could not be checked; empty if everything was checked.

    Raises:
        DataError: Cases, reference masks, protocols or units differ, or scores are missing. All problems are listed.
    """
    first, first_name = evaluations[0], names[0]
    problems: list[str] = []
    notes: list[str] = []
    for second, second_name in zip(evaluations[1:], names[1:], strict=True):
        for one, one_name, other, other_name in (
            (first, first_name, second, second_name),
            (second, second_name, first, first_name),
        ):
            alone = [case for case in one.cases if case not in set(other.cases)]
            if alone:
                problems.append(f"{_cases(len(alone))} in {one_name} but not in {other_name}: {some(alone)}.")
        problems += _reference_problems(first, first_name, second, second_name, notes)
        problems += _protocol_problems(first, first_name, second, second_name, notes)
    problems += _missing_scores(evaluations, names, metrics, regions)
    if problems:
        lines = "\n".join(problems)
        raise DataError(
            f"{lines}\nOnly evaluations of the same cases and reference masks, by the same protocol, can be compared: "
            "evaluate again."
        )
    return list(dict.fromkeys(notes))


def _missing_scores(
    evaluations: Sequence[Evaluation], names: Sequence[str], metrics: Sequence[str], regions: Sequence[str]
) -> list[str]:
    """Missing rows and differing units, as sentences. An undefined score has a row, so it is not missing."""
    problems = []
    units: dict[tuple[str, str], str] = {}
    for evaluation, name in zip(evaluations, names, strict=True):
        values = evaluation.values()
        needed = [(case, region, metric) for case in evaluation.cases for region in regions for metric in metrics]
        missing = [" ".join(key) for key in needed if key not in values]
        if missing:
            problems.append(f"{name}: {len(missing)} missing score{_s(len(missing))}: {some(missing)}.")
        units |= {(row.metric, row.unit): name for row in evaluation.rows if row.metric in metrics}
    for metric in metrics:
        found = [f"{unit} ({name})" for (scored, unit), name in units.items() if scored == metric]
        if len(found) > 1:
            problems.append(f"{metric} has different units: {', '.join(found)}.")
    return problems


def _reference_problems(
    first: Evaluation, first_name: str, second: Evaluation, second_name: str, notes: list[str]
) -> list[str]:
    one: Mapping[str, Any] = first.summary.get("references", {})
    two: Mapping[str, Any] = second.summary.get("references", {})
    if one and two:
        differing = [case for case in one if case in two and one[case] != two[case]]
        if not differing:
            return []
        return [f"{first_name} and {second_name} were scored against different reference masks: {some(differing)}."]
    notes.append(
        f"{first_name} or {second_name} has no hashes of its reference masks: only the reference volumes were compared."
    )
    scores, others = first.values(), second.values()
    keys = [key for key in scores if key[2] in REFERENCE_SIZES and key in others]
    differing = list(dict.fromkeys(key[0] for key in keys if scores[key] != others[key]))
    if not differing:
        return []
    return [f"{first_name} and {second_name} have different reference volumes: {some(differing)}."]


def _protocol_problems(
    first: Evaluation, first_name: str, second: Evaluation, second_name: str, notes: list[str]
) -> list[str]:
    one, two = first.summary.get("protocol"), second.summary.get("protocol")
    if one is None or two is None:
        notes.append(f"{first_name} or {second_name} does not record its protocol: it was not compared.")
        return []
    if one.get("name") != two.get("name"):
        return [f"{first_name} was scored by {one.get('name')}, {second_name} by {two.get('name')}."]
    one, two = {**WITHOUT, **one}, {**WITHOUT, **two}
    keys = [key for key in one | two if one.get(key) != two.get(key)]
    if not keys:
        return []
    return [f"{first_name} and {second_name} follow {one.get('name')} with different rules for {', '.join(keys)}."]


def _cases(n: int) -> str:
    return f"{n} case{_s(n)}"


def _s(n: int) -> str:
    return "" if n == 1 else "s"
