"""The training cases and the held-out cases of a run, as they are on disk now, and cases of other folders."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.data.prepare.content_hash import HashMemo
from brats_unet.data.readers.discovery import Dataset, find_cases, slice_spacing_mm
from brats_unet.data.readers.file_patterns import patterns_of
from brats_unet.data.readers.naming import patient_of
from brats_unet.data.recorded_cases import Changes
from brats_unet.errors import DataError, SettingsError
from brats_unet.files import exists
from brats_unet.modality import named_scans
from brats_unet.run import Run
from brats_unet.volume import Case


def held_out_cases(run: Run) -> list[Case]:
    """The held-out cases of a run, with masks, as they are on disk now.

    Raises:
        DataError: The run held no case out, or held-out cases are missing.
    """
    settings = run.data_settings()
    wanted = run.division()["validation"]
    if not wanted:
        raise DataError(
            f"{run.folder} was trained on every case (data.fold=all) and has no held-out case to evaluate. Score "
            f"other cases with `brats-unet evaluate run={run.folder} data.root=…`."
        )
    root = settings.get("validation_root") or settings["root"]
    if root is None or not exists(Path(root)):
        raise DataError(
            f"{root}: there is no such folder, though {run.folder} was trained on it. If it has moved, give its new "
            f"place with data.root=…."
        )
    found = _with_masks(run, root)
    missing = [case_id for case_id in wanted if case_id not in found]
    if missing:
        raise DataError(
            f"{root}: {len(missing)} held-out cases of {run.folder} are missing (first: {missing[0]}). Restore them."
        )
    return [found[case_id] for case_id in wanted]


def training_cases(run: Run, root: str | None = None) -> list[Case]:
    """The training cases of a run, as they are on disk now, in `root` if it is given; DataError if any is missing."""
    root = root or run.data_settings()["root"]
    found = _with_masks(run, root)
    wanted = run.division()["train"]
    missing = [case_id for case_id in wanted if case_id not in found]
    if missing:
        raise DataError(
            f"{root}: {len(missing)} training cases of {run.folder} are missing (first: {missing[0]}). Restore them."
        )
    return [found[case_id] for case_id in wanted]


def memo_for(run: Run, cache: str | None) -> tuple[HashMemo, bool]:
    """The content hashes of the data of a run, and whether to save them: not if the run came from another machine.

    Args:
        run: A run.
        cache: Folder that remembers them; None for that of the run.
    """
    folder = Path(cache or run.data_settings()["cache"])
    return HashMemo(folder / "hashes.json"), cache is not None or folder.is_dir()


def moved_cases(run: Run, root: str, memo: HashMemo) -> list[Case]:
    """The held-out cases of a run, with masks, in another folder than the one it was trained on.

    Args:
        run: A run.
        root: The folder.
        memo: Content hashes of scans; the caller saves it.

    Raises:
        DataError: The folder does not hold them; those that are missing, new or changed are named.
    """
    there = cases_elsewhere(run, root, leave_out=[], spacing_mm=None, memo=memo)
    if not there.own:
        raise DataError(
            f"{root} does not hold the data of {run.folder}: {there.changes}. Give the folder of the cases that it "
            f"held out, with data.root=…."
        )
    return list(there.cases)


@dataclass(frozen=True)
class Elsewhere:
    """The cases of a folder that is named to a run after its training.

    Attributes:
        dataset: The folder.
        cases: Cases with a mask to score, sorted by id.
        own: Whether the folder holds nothing but the run's own cases; `cases` are then those that it held out.
        with_training: Whether the folder holds all training cases too.
        trained_on: Of `cases`, those that the run was trained on, each with what shows it: "same scan", "same case id",
            "same case id, other scan" or "same patient".
        held_out: Ids of those of `cases` that the run held out.
        changes: What differs from the run's own cases; without training cases that are not there.
    """

    dataset: Dataset
    cases: tuple[Case, ...]
    own: bool
    with_training: bool
    trained_on: Mapping[str, str]
    held_out: frozenset[str]
    changes: Changes


def cases_elsewhere(
    run: Run,
    root: str,
    *,
    leave_out: Sequence[str],
    spacing_mm: Sequence[float] | None,
    files: Mapping[str, Any] | None = None,
    memo: HashMemo,
) -> Elsewhere:
    """The cases of a folder, and what the run knows of them.

    The folder holds the run's own data if it has every held-out case and no case that the run does not know, and if
    the held-out cases have the scans whose hashes the run recorded; a run without folds recorded none.

    Args:
        run: A run.
        root: The folder.
        leave_out: Ids of cases to leave out.
        spacing_mm: As in `discovery.find_cases`; None for the run's own cases is what the run was trained with.
        files: Patterns of the file names, as in `settings.Data`; None takes those of the run.
        memo: Content hashes of scans; the caller saves it.

    Raises:
        DataError: The folder holds no case with a mask, or cases are broken; all of them are named.
    """
    settings, division = run.data_settings(), run.division()
    modalities = named_scans(settings["modalities"], run.settings_file)
    dataset = find_cases(
        root,
        modalities=modalities,
        leave_out=leave_out,
        spacing_mm=spacing_mm,
        patterns=patterns_of(files or settings.get("files")),
    )
    found = {case.id: case for case in dataset.cases if case.mask is not None}
    if not found:
        raise DataError(
            f"{root}: {len(dataset.cases)} cases, none with a mask. Expected expert masks to score against."
        )
    train, held_out = set(division["train"]), set(division["validation"])
    recorded = {one["case"]: one for one in division.get("subjects", [])}
    scans = _scan_hashes(found, memo) if recorded else {}
    wanted = held_out - set(leave_out)
    known = train | held_out | set(settings["leave_out"])
    compared = sorted(wanted & set(recorded) & set(found))
    changes = Changes(
        missing=tuple(sorted(wanted - set(found))),
        new=tuple(sorted(set(found) - known)),
        changed=tuple(case for case in compared if scans[case] not in recorded[case]["duplicates"].split()),
    )
    own = bool(wanted) and not changes
    if own and not dataset.spacing_known:
        found = _with_masks(run, root)
    chosen = sorted(wanted if own else found)
    trained_on = {} if own else _trained_on(found, scans, train, recorded)
    return Elsewhere(
        dataset,
        tuple(found[case] for case in chosen),
        own,
        train <= set(found),
        trained_on,
        frozenset(held_out & set(found)),
        changes,
    )


def _scan_hashes(cases: Mapping[str, Case], memo: HashMemo) -> dict[str, str]:
    """Hash of the first scan of each case, as the folds of a run record it."""
    first = {case_id: next(iter(case.images.values())) for case_id, case in cases.items()}
    return {case_id: memo.voxels(file.path, file.channel) for case_id, file in first.items()}


def _trained_on(
    cases: Mapping[str, Case], scans: Mapping[str, str], train: Collection[str], recorded: Mapping[str, Any]
) -> dict[str, str]:
    hashes = {part for case in train if case in recorded for part in recorded[case]["duplicates"].split()}
    patients = {recorded[case]["patient"] if case in recorded else patient_of(case) for case in train}
    found = {}
    for case_id, case in sorted(cases.items()):
        if scans.get(case_id) in hashes:
            found[case_id] = "same scan"
        elif case_id in train:
            found[case_id] = "same case id, other scan" if case_id in scans and case_id in recorded else "same case id"
        elif case.patient in patients:
            found[case_id] = "same patient"
    return found


def _with_masks(run: Run, root: str) -> dict[str, Case]:
    settings = run.data_settings()
    modalities = named_scans(settings["modalities"], run.settings_file)
    dataset = find_cases(
        root,
        modalities=modalities,
        leave_out=settings["leave_out"],
        spacing_mm=slice_spacing_mm(settings["name"], settings.get("spacing_mm")),  # earlier versions have none
        patterns=patterns_of(settings.get("files")),
    )
    return {case.id: case for case in dataset.cases if case.mask is not None}


def refuse_overlap(runs: Sequence[Run], cases: Sequence[Sequence[Case]]) -> None:
    """Raise SettingsError if two runs held out the same case."""
    seen: dict[str, Run] = {}
    for run, held_out in zip(runs, cases, strict=True):
        for case in held_out:
            if case.id in seen:
                raise SettingsError(
                    f"{case.id} was held out by {seen[case.id].folder} and by {run.folder}. Expected runs of different "
                    f"folds, so that each case is scored once."
                )
            seen[case.id] = run
