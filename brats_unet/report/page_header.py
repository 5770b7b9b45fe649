"""The head of the HTML report in plain types: data, numbers of cases, steps and date; and the cases of its viewer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from brats_unet.evaluation.cohort import Cohort
from brats_unet.evaluation.mask_paths import NAMED
from brats_unet.evaluation.record import Evaluation
from brats_unet.files import read_json
from brats_unet.report.run_facts import facts_of
from brats_unet.run import Run


def header(evaluation: Evaluation, run: Run | None, folders: Mapping[str, Path], *, synthetic: bool) -> dict[str, str]:
    """Facts of an evaluation by name, as far as they were recorded.

    Args:
        evaluation: The evaluation.
        run: The run that was evaluated; None for two folders of masks, or an ensemble.
        folders: See `mask_paths.folders_of`.
        synthetic: Whether some cases are phantoms.
    """
    count = len(evaluation.cases)
    facts = {
        "Data": " ".join(part for part in (_data(evaluation, folders), "(synthetic)" if synthetic else "") if part)
    }
    split = read_json(run.folds_file, what=f"{run.folder} is not a run folder") if _has_split(run) and run else {}
    train, held_out = (split.get(key, []) for key in ("train", "validation"))
    if held_out and set(evaluation.cases) <= set(held_out):
        facts["Held out, scored"] = _cases(count) if count == len(held_out) else f"{count} of {_cases(len(held_out))}"
    else:
        facts["Scored"] = _cases(count)
    if train:
        facts["Trained on"] = _cases(len(train))
    if run is not None and (done := facts_of(run, run.name)).step:
        asked = done.steps
        facts["Steps"] = f"{done.step:,}" + (f" of {asked:,}" if asked is not None and asked != done.step else "")
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


def _has_split(run: Run | None) -> bool:
    return run is not None and run.folds_file.is_file()


def _cases(count: int) -> str:
    return f"{count} case{'s' if count != 1 else ''}"


def _data(evaluation: Evaluation, folders: Mapping[str, Path]) -> str:
    """Last component of the folder of the reference masks; "" if it was not recorded."""
    for files in evaluation.summary.get("files", {}).values():
        found = NAMED.fullmatch(files["reference"])
        if found is not None and found["folder"] in folders:
            return folders[found["folder"]].name
    return ""
