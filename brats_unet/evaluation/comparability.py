"""Whether evaluations can be paired: the same cases, reference masks and rules, and every score in each of them."""

from collections.abc import Mapping, Sequence
from typing import Any

from brats_unet.errors import DataError, some
from brats_unet.evaluation.record import Evaluation


def refuse_incomparable(evaluations: Sequence[Evaluation], names: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """Raise DataError for evaluations whose `metrics` cannot be paired; what could not be checked, as sentences."""
    first, first_name = evaluations[0], names[0]
    problems: list[str] = []
    notes: list[str] = []
    for other, name in zip(evaluations[1:], names[1:], strict=True):
        for one, its, another, of in ((first, first_name, other, name), (other, name, first, first_name)):
            alone = [case for case in one.cases if case not in set(another.cases)]
            if alone:
                problems.append(f"{len(alone)} cases of {its} are not in {of}: {some(alone)}.")
        problems += _unlike_references(first, first_name, other, name, notes)
        problems += _unlike_rules(first, first_name, other, name, notes)
    problems += _gaps(evaluations, names, metrics)
    if problems:
        lines = "\n".join(problems)
        raise DataError(f"{lines}\nOnly evaluations of the same cases, masks and rules can be paired: evaluate again.")
    return list(dict.fromkeys(notes))


def _gaps(evaluations: Sequence[Evaluation], names: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """Scores that a table lacks: not those which a rule leaves undefined, which have a row; and units that differ."""
    problems = []
    regions = dict.fromkeys(row.region for evaluation in evaluations for row in evaluation.rows)
    units: dict[tuple[str, str], str] = {}
    for evaluation, name in zip(evaluations, names, strict=True):
        values = evaluation.values()
        wanted = [(case, region, metric) for case in evaluation.cases for region in regions for metric in metrics]
        absent = [" ".join(key) for key in wanted if key not in values]
        if absent:
            problems.append(f"{name} lacks {len(absent)} scores: {some(absent)}.")
        units |= {(row.metric, row.unit): name for row in evaluation.rows if row.metric in metrics}
    for metric in metrics:
        found = [f"{unit} ({name})" for (of, unit), name in units.items() if of == metric]
        if len(found) > 1:
            problems.append(f"{metric} has several units: {', '.join(found)}.")
    return problems


def _unlike_references(first: Evaluation, its: str, other: Evaluation, name: str, notes: list[str]) -> list[str]:
    here: Mapping[str, Any] = first.summary.get("references", {})
    there: Mapping[str, Any] = other.summary.get("references", {})
    if here and there:
        apart = [case for case in here if case in there and here[case] != there[case]]
        return [f"{its} and {name} were scored against other reference masks: {some(apart)}."] if apart else []
    notes.append(f"{its} or {name} has no hashes of its references: only their volumes were compared.")
    one, two = first.values(), other.values()
    keys = [key for key in one if key[2] == "volume_reference" and key in two]
    apart = list(dict.fromkeys(key[0] for key in keys if one[key] != two[key]))
    return [f"{its} and {name} were scored against references of other volumes: {some(apart)}."] if apart else []


def _unlike_rules(first: Evaluation, its: str, other: Evaluation, name: str, notes: list[str]) -> list[str]:
    here, there = first.summary.get("protocol"), other.summary.get("protocol")
    if here is None or there is None:
        notes.append(f"{its} or {name} does not say by which protocol it was scored.")
        return []
    if here == there:
        return []
    if here.get("name") != there.get("name"):
        return [f"{its} was scored by {here.get('name')}, {name} by {there.get('name')}."]
    keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
    return [f"{its} and {name} follow {here.get('name')} with different rules for {', '.join(keys)}."]
