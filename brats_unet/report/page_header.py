"""The head of the HTML report in plain types: data, numbers of cases, steps and date; and the cases of its viewer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from brats_unet.evaluation.cohort import Cohort
from brats_unet.evaluation.mask_paths import NAMED
from brats_unet.evaluation.record import Evaluation
from brats_unet.report.run_facts import facts_of
from brats_unet.run import Run


def header(
    evaluation: Evaluation, runs: Sequence[Run], folders: Mapping[str, Path], *, synthetic: bool
) -> dict[str, str]:
    """Facts of an evaluation by name, as far as they were recorded.

    Args:
        evaluation: The evaluation.
        runs: The runs that were scored: one, those of a cross-validation, or none for two folders of masks.
        folders: See `mask_paths.folders_of`.
        synthetic: Whether some cases are phantoms.
    """
    count = len(evaluation.cases)
    facts = {
        "Data": " ".join(part for part in (_data(evaluation, folders), "(synthetic)" if synthetic else "") if part)
    }
    splits = [run.division() for run in runs if run.folds_file.is_file()]
    held_out = {case for split in splits for case in split["validation"]}
    if held_out and set(evaluation.cases) <= held_out:
        facts["Held out, scored"] = _cases(count) if count == len(held_out) else f"{count} of {_cases(len(held_out))}"
    else:
        facts["Scored"] = _cases(count)
    each = " each" if len(runs) > 1 else ""
    if len(runs) > 1:
        facts["Networks"] = f"{len(runs)}, each scored on its held-out cases"
    if trained := [len(split["train"]) for split in splits if split["train"]]:
        facts["Trained on"] = _range(trained) + f" case{'s' if max(trained) != 1 else ''}{each}"
    done = [facts_of(run, run.name) for run in runs]
    if steps := [one.step for one in done if one.step]:
        asked = {one.steps for one in done}
        planned = asked.pop() if len(asked) == 1 else None
        whole = planned is None or {planned} == set(steps)
        facts["Steps"] = _range(steps) + ("" if whole else f" of {planned:,}") + each
    facts["Evaluated"] = evaluation.summary.get("date", "")
    return {name: value.replace(",", "\u202f") if name == "Steps" else value for name, value in facts.items() if value}


def spread(order: Sequence[str], count: int) -> list[str]:
    """`count` cases, evenly spread from the worst to the best; the middle case if `count` is 1."""
    if count >= len(order):
        return list(order)
    if count <= 1:
        return [order[len(order) // 2]][:count]
    return [order[round(i * (len(order) - 1) / (count - 1))] for i in range(count)]


def viewer_cases(cohort: Cohort, chosen: Sequence[str]) -> list[tuple[str, str]]:
    """Cases of the viewer with words: the worst, the best, then the others from worse to better.

    Args:
        cohort: All cases.
        chosen: Cases to show.
    """
    ranked = [one for one in cohort.cases if one.case in chosen]
    words = {cohort.cases[0].case: "worst", cohort.cases[-1].case: "best"} if len(cohort.cases) > 1 else {}
    return [
        (one.case, ", ".join(part for part in (f"Dice {one.dice:.3f}", words.get(one.case, "")) if part))
        for one in (*ranked[:1], *ranked[1:][-1:], *ranked[1:-1])
    ]


def _range(counts: Sequence[int]) -> str:
    """A count, or the smallest and the largest one."""
    return " to ".join(f"{end:,}" for end in dict.fromkeys((min(counts), max(counts))))


def _cases(count: int) -> str:
    return f"{count} case{'s' if count != 1 else ''}"


def _data(evaluation: Evaluation, folders: Mapping[str, Path]) -> str:
    """Last component of the folder of the reference masks; "" if it was not recorded."""
    for files in evaluation.summary.get("files", {}).values():
        found = NAMED.fullmatch(files["reference"])
        if found is not None and found["folder"] in folders:
            return folders[found["folder"]].name
    return ""
