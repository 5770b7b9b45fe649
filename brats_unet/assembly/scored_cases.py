"""The cases that an evaluation of runs scores: those held out, where they were or where they are now, or other ones."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brats_unet.data.labels.decide import decide, label_set
from brats_unet.data.labels.scheme_choice import refuse_other_scheme, sentences_about
from brats_unet.data.run_cases import Elsewhere, cases_elsewhere, held_out_cases, memo_for
from brats_unet.data.study import memoised_label_sets
from brats_unet.errors import CheckpointError, SettingsError, some
from brats_unet.file_kinds.json_kinds import MasksFile
from brats_unet.json_files import read_json
from brats_unet.run import PREDICTIONS, PREDICTIONS_MARK, Run
from brats_unet.schemes.convention import Convention, conventions
from brats_unet.schemes.differences import differences
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in, scheme_of
from brats_unet.settings import Evaluate, OtherData
from brats_unet.volume import Case


@dataclass(frozen=True)
class RunCases:
    """The cases to score with one run.

    Attributes:
        run: The run.
        cases: Cases with masks.
        convention: What the integers of these masks mean.
        folder: Evaluation folder that keeps the predictions.
        data: Identifies the folder of other cases; "" for the held-out cases of the run.
        name: Name of that folder, or "".
        training_root: Folder of the training cases, or None if they are where they were.
        trained_on: Cases that the run was trained on, each with what shows it.
        held_out: Whether at least one case was held out, so that it may have served to choose the checkpoint.
    """

    run: Run
    cases: tuple[Case, ...]
    convention: Convention
    folder: Path
    data: str = ""
    name: str = ""
    training_root: str | None = None
    trained_on: Mapping[str, str] | None = None
    held_out: bool = True


def scored_cases(settings: Evaluate, runs: Sequence[Run], log: Callable[[str], None]) -> list[RunCases]:
    """The cases to score with each run, as `data` and `scheme` say.

    Args:
        settings: Settings of the evaluation.
        runs: At least one run.
        log: Called with sentences about the cases of `data.root`.

    Raises:
        SettingsError: The settings do not fit the runs, or each other.
        DataError: Cases are missing or broken.
    """
    schemes = [scheme_in(run.recipe()) for run in runs]
    _refuse_schemes(settings, runs, schemes)
    data = settings.data
    if data.root is None:
        if given := [
            key for key in ("labels", "files", "leave_out", "cache", "spacing_mm") if getattr(data, key) is not None
        ]:
            raise SettingsError(f"data.{given[0]} is set, but data.root is not. Give both, or neither.")
        return [
            RunCases(run, tuple(held_out_cases(run)), _recorded(run), run.evaluation_folder(settings.checkpoint))
            for run in runs
        ]
    found = [_elsewhere(run, data.root, data, log) for run in runs]
    others = [run for run, (there, _) in zip(runs, found, strict=True) if not there.own]
    if len(runs) > 1 and others:
        raise SettingsError(
            f"data.root={data.root} does not hold just the cases of {others[0].folder}. Several runs are scored "
            f"together only on the cases that they held out. Evaluate one run at a time: run={others[0].folder}."
        )
    return [
        _of_folder(settings, run, there, convention, log) for run, (there, convention) in zip(runs, found, strict=True)
    ]


def _refuse_schemes(settings: Evaluate, runs: Sequence[Run], schemes: Sequence[Scheme]) -> None:
    for run, scheme in zip(runs, schemes, strict=True):
        if not scheme.means_the_same(schemes[0]) or scheme.scored != schemes[0].scored:
            found = differences(schemes[0], scheme, "in the first", "in the other")
            raise SettingsError(
                f"{runs[0].folder} was trained with the scheme {schemes[0].name}, {run.folder} with {scheme.name}, "
                f"which differ ({found}). Expected runs of one scheme."
            )
        if settings.scheme is not None:
            refuse_other_scheme(scheme_of(settings.scheme), scheme, str(run.folder))


def _recorded(run: Run) -> Convention:
    """The label convention that a run was trained with."""
    recipe = run.recipe()
    scheme, name = scheme_in(recipe), recipe["convention"]
    if name not in conventions(scheme):
        known = ", ".join(conventions(scheme))
        raise CheckpointError(
            f"{run.recipe_file}: there is no label convention named {name} in the scheme {scheme.name}, only {known}. "
            f"Restore the file."
        )
    return conventions(scheme)[name]


def _elsewhere(run: Run, root: str, data: OtherData, log: Callable[[str], None]) -> tuple[Elsewhere, Convention]:
    """The cases of `data.root`, and their label convention."""
    memo, remembers = memo_for(run, data.cache)
    there = cases_elsewhere(
        run, root, leave_out=data.leave_out or [], spacing_mm=data.spacing_mm, files=data.files, memo=memo
    )
    masks = {case.id: case.mask for case in there.cases if case.mask is not None}
    if remembers:
        memo.save()
        sets = memoised_label_sets(masks, memo, lambda done, total: None)
    else:  # the run came from another machine: nothing is remembered
        sets = {case_id: label_set(mask) for case_id, mask in masks.items()}
    for note in there.dataset.notes:
        log(note)
    convention = _recorded(run)
    if data.labels is not None or not there.own:
        dataset = there.dataset
        convention = decide(
            data.labels or "auto",
            dataset.layout,
            sorted(masks),
            dataset.declared_labels,
            sets,
            scheme=convention.scheme,
            fixed=True,
        )
        log(f"Labels: {convention.name} ({convention.why}).")
    for sentence in sentences_about(convention, sets, fixed=True):
        log(sentence)
    return there, convention


def _of_folder(
    settings: Evaluate, run: Run, there: Elsewhere, convention: Convention, log: Callable[[str], None]
) -> RunCases:
    root = Path(settings.data.root or "").resolve()
    if there.own:
        log(f"{root.name} holds the cases of {run.name}: the {len(there.cases)} that it held out are scored.")
        training = settings.data.root if there.with_training else None
        folder = run.evaluation_folder(settings.checkpoint)
        return RunCases(run, there.cases, convention, folder, training_root=training)
    identity = hashlib.blake2b(str(root).encode(), digest_size=8).hexdigest()
    folder = Path(settings.output) if settings.output else run.evaluation_folder(settings.checkpoint, root.name)
    mark = folder / PREDICTIONS / PREDICTIONS_MARK
    before = (
        read_json(mark, MasksFile, what=str(folder), advice="Give another folder: output=….") if mark.exists() else {}
    )
    if settings.output is None and before and before.get("data") != identity:
        raise SettingsError(f"{folder} holds the scores of another folder named {root.name}. Give output=….")
    if there.held_out and there.changes:
        log(f"{root.name} is not just the data of {run.name}: {there.changes}. All of its cases are scored.")
    if there.trained_on:
        log(trained_on_sentence(there.trained_on, len(there.cases)))
    return RunCases(
        run, there.cases, convention, folder, identity, root.name, None, there.trained_on, held_out=bool(there.held_out)
    )


def trained_on_sentence(trained_on: Mapping[str, str], cases: int) -> str:
    """Which of the scored cases the run was trained on, and how that shows.

    Args:
        trained_on: What shows it, by case.
        cases: Number of scored cases.
    """
    kinds = dict.fromkeys(trained_on.values())
    listed = "; ".join(f"{some([case for case, how in trained_on.items() if how == kind])} ({kind})" for kind in kinds)
    return (
        f"{len(trained_on)} of {cases} cases {'was' if len(trained_on) == 1 else 'were'} trained on, so the scores are "
        f"too good: {listed}. Leave out such cases with data.leave_out=[…]."
    )
