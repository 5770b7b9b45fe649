"""The fold file of a dataset (written once, checked against the dataset on every later use) and user split files."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brats_unet.binding import value_of
from brats_unet.data.assignment import Subject, assign, grouped
from brats_unet.errors import SettingsError, some
from brats_unet.file_kinds.json_kinds import AllFoldsFile, FoldsFile
from brats_unet.hand_written import json_values
from brats_unet.json_files import unsealed, write_json

__all__ = ["Split", "Subject", "assign", "read_split_file", "split", "write_or_verify"]
ALL = "all"


@dataclass(frozen=True)
class Split:
    """Ids of the training cases and of the held-out cases, each sorted; with `data.fold=all` none is held out."""

    train: tuple[str, ...]
    validation: tuple[str, ...]


def write_or_verify(file: Path, subjects: Sequence[Subject], *, folds: int, seed: int) -> dict[str, Any]:
    """The fold assignment of a dataset: made and written on first use, then read and checked against the dataset.

    Args:
        file: JSON file of the assignment; its folder is created if it is missing.
        subjects: The cases with masks, as they are now.
        folds: Number of folds.
        seed: Seed of the assignment.

    Returns:
        {"folds", "seed", "digest", "subjects": [{case, patient, stratum, duplicates}], "assignment": {case: fold}}.

    Raises:
        SettingsError: Cases were added or removed, a changed patient or content makes one fold leak into another, the
            file was made with other settings, or it cannot be read; also whatever `assign` raises.
        MachineError: The file cannot be written.
    """
    if not file.exists():
        ordered = sorted(subjects, key=lambda subject: subject.case)
        plain = [asdict(subject) for subject in ordered]
        made: dict[str, Any] = {
            "folds": folds,
            "seed": seed,
            "digest": _digest(plain),
            "assignment": assign(subjects, folds=folds, seed=seed),
            "subjects": plain,
        }
        write_json(file, made)
        return made
    document = _read_document(file)
    if (document["folds"], document["seed"]) != (folds, seed):
        raise SettingsError(
            f"{file}: holds {document['folds']} folds with seed {document['seed']}, but data.folds={folds} and "
            f"data.fold_seed={seed} are set. Set the values of the file, or choose another data.cache."
        )
    _refuse_changes(file, document["assignment"], subjects)
    return document


def _read_document(file: Path) -> dict[str, Any]:
    remedy = "Remove it to assign the cases to folds again."
    document = _read_json(file, remedy, AllFoldsFile)
    of_subjects = {subject["case"] for subject in document["subjects"]}
    if _digest(document["subjects"]) != document["digest"] or set(document["assignment"]) != of_subjects:
        raise SettingsError(f"{file}: was edited or damaged. {remedy}")
    return document


def _refuse_changes(file: Path, assignment: Mapping[str, int], subjects: Sequence[Subject]) -> None:
    """Raise SettingsError if cases were added or removed, or if one group now lies in two folds."""
    now, then = {subject.case for subject in subjects}, set(assignment)
    if now != then:
        changes = [
            f"{len(cases)} {what} ({', '.join(cases[:5])}{', …' if len(cases) > 5 else ''})"
            for what, cases in (("added", sorted(now - then)), ("removed", sorted(then - now)))
            if cases
        ]
        raise SettingsError(
            f"The cases changed since they were assigned to folds: {' and '.join(changes)}. Restore removed cases and "
            f"list added ones under data.leave_out, or remove {file} to assign folds again; new scores are then not "
            f"comparable with earlier ones."
        )
    for group in grouped(subjects):
        apart = next((s for s in group if assignment[s.case] != assignment[group[0].case]), None)
        if apart is not None:
            raise SettingsError(
                f"{group[0].case} and {apart.case} belong to one patient or hold the same scan, but are in different "
                f"folds: the files changed since the folds were assigned. Restore them, or remove {file} to assign "
                f"folds again."
            )


def _digest(subjects: Sequence[Mapping[str, str]]) -> str:
    return hashlib.blake2b(json.dumps(subjects, sort_keys=True).encode(), digest_size=16).hexdigest()


def split(document: Mapping[str, Any], fold: int | str) -> Split:
    """The training cases and held-out cases of one fold; "all" trains on every case and holds none out.

    Args:
        document: Fold assignment as returned by `write_or_verify`.
        fold: Fold to hold out, from 0 to folds - 1, or "all".

    Raises:
        SettingsError: There is no such fold.
    """
    assignment: Mapping[str, int] = document["assignment"]
    if fold == ALL:
        return Split(tuple(sorted(assignment)), ())
    number = fold_number(fold, document["folds"])
    train = tuple(sorted(case for case, of in assignment.items() if of != number))
    return Split(train, tuple(sorted(case for case, of in assignment.items() if of == number)))


def refuse_invalid_fold(*, fold: int | str, folds: int | None, splits: str | None, validation_root: str | None) -> None:
    """Check the settings that divide the cases, before any case is read.

    Args:
        fold: 0 to folds - 1, or "all", which needs no `folds`.
        folds: 2 or more.
        splits: JSON file with the user's own folds; `folds` is then not used.
        validation_root: Folder of held-out cases; the others are then not used.

    Raises:
        SettingsError: There is no such fold, or the split file cannot be read.
    """
    if validation_root is not None:
        return
    if splits is not None:
        _entry(Path(splits), fold)
    elif fold != ALL:
        if folds is None or folds < 2:
            shown = "null" if folds is None else folds
            raise SettingsError(f"data.folds={shown}: expected 2 or more, or data.fold=all to hold nothing out.")
        fold_number(fold, folds)


def fold_number(fold: int | str, folds: int) -> int:
    """`fold` as an integer from 0 to folds - 1; SettingsError if there is no such fold."""
    number = int(fold) if str(fold).isdecimal() and not isinstance(fold, bool) else -1
    if not 0 <= number < folds:
        raise SettingsError(f"There is no data.fold={fold}. Expected a number from 0 to {folds - 1}, or all.")
    return number


def fold_count(path: Path) -> int:
    """Number of folds in a split file that the user supplies; 1 for a single division.

    Raises:
        SettingsError: The file cannot be read.
    """
    content = _read_json(path, "Give the file of the folds with data.splits=….")
    if isinstance(content, dict) and "folds" in content:
        return _read_json(path, "Give the folds.json of a run.", FoldsFile)["folds"]
    return len(content) if isinstance(content, list) else 1


def _read_json(path: Path, remedy: str, kind: Any = Any) -> Any:
    try:
        return value_of(kind, unsealed(json_values(path.read_text(encoding="utf-8-sig"))), "")
    except SettingsError as problem:
        raise SettingsError(f"{path}: {problem} {remedy}") from None
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such file. {remedy}") from None
    except (OSError, ValueError) as problem:
        raise SettingsError(f"{path}: cannot be read as JSON ({problem}). {remedy}") from None


def read_split_file(path: Path, case_ids: Sequence[str], fold: int | str) -> Split:
    """The split in a file that the user supplies.

    Args:
        path: JSON file: {"train": [ids], "validation": [ids]}; or a list of such objects, one per fold (as in
            nnU-Net's splits_final.json, where "validation" is called "val"); or the folds.json of a run.
        case_ids: Ids of the cases with masks.
        fold: Index into the list, or fold of the folds.json, to hold out; "all" trains on every case.

    Raises:
        SettingsError: The file cannot be read, has no such fold, names an unknown case, names a case twice, or leaves a
            case out.
    """
    entry = _entry(path, fold)
    if entry is None:
        return Split(tuple(sorted(case_ids)), ())
    train, validation = entry
    problems = []
    for what, ids in (
        ("names unknown cases or cases without a mask", sorted({*train, *validation} - set(case_ids))),
        ("names cases twice", sorted(case for case, count in Counter([*train, *validation]).items() if count > 1)),
        ("leaves cases out (list them under data.leave_out)", sorted(set(case_ids) - {*train, *validation})),
    ):
        if ids:
            problems.append(f"{what}: {some(ids)}")
    if not train:
        problems.append("has no case to train on")
    if problems:
        raise SettingsError(f"{path}: {'; '.join(problems)}. Correct the file.")
    return Split(tuple(sorted(train)), tuple(sorted(validation)))


def _entry(path: Path, fold: int | str) -> tuple[list[str], list[str]] | None:
    """The cases to train on and to hold out that a split file names for `fold`; None for "all"."""
    content = _read_json(path, 'Expected {"train": [case ids], "validation": [case ids]}, or a list of such.')
    if fold == ALL:
        return None
    if isinstance(content, dict) and {"assignment", "folds"} <= set(content):
        found = split(_read_json(path, "Give the folds.json of a run.", FoldsFile), fold)
        return list(found.train), list(found.validation)
    return _lists(path, content[fold_number(fold, len(content))] if isinstance(content, list) and content else content)


def _lists(path: Path, entry: Any) -> tuple[list[str], list[str]]:
    if isinstance(entry, dict) and "train" in entry:
        train, validation = entry["train"], entry.get("validation", entry.get("val", []))
        if isinstance(train, list) and isinstance(validation, list):
            return [str(case) for case in train], [str(case) for case in validation]
    raise SettingsError(f'{path}: expected {{"train": [case ids], "validation": [case ids]}}, or a list of such.')
