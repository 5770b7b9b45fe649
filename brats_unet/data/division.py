"""Divide the cases of a dataset into those to train on and those to hold out, or take the division of a run."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from brats_unet.data.assignment import Subject
from brats_unet.data.folds import ALL, Split, read_split_file, split, write_or_verify
from brats_unet.data.recorded_cases import RecordedCases
from brats_unet.errors import DataError, SettingsError, some
from brats_unet.volume import Case


def divide(
    cases: Mapping[str, Case],
    outside: Mapping[str, Case],
    subjects: Callable[[], Sequence[Subject]],
    recorded: RecordedCases | None,
    *,
    root: str,
    validation_root: str | None,
    splits: str | None,
    folds: int | None,
    fold: int | str,
    fold_seed: int,
    cache: Path,
) -> tuple[Split, Mapping[str, Any]]:
    """The training cases and the held-out cases, and a JSON document that says how they were divided.

    A run that is resumed keeps the folds that it recorded, wherever its data and the cache are now.

    Args:
        cases: The cases with masks in `root`, by id.
        outside: Those in `validation_root`; empty without one.
        subjects: Returns the facts of each case that its fold depends on.
        recorded: The cases of the run that is resumed; None for a new run.
        root: As in `settings.Data`, like all that follow.

    Raises:
        DataError: A case is in both folders, none is left to train on, or the cases are not those of the run.
        SettingsError: No such fold, a split file that does not fit, or a division other than that of the run.
    """
    if both := sorted(set(cases) & set(outside)):
        raise DataError(
            f"{validation_root}: {len(both)} cases are also in data.root (first: {both[0]}). "
            f"Held-out cases must not be trained on: remove them from one of the two folders."
        )
    if recorded:
        recorded.refuse_other_ids(root, {*cases, *outside})
    document: Mapping[str, Any] = {}
    if validation_root is not None:
        division = Split(tuple(sorted(cases)), tuple(sorted(outside)))
    elif splits is not None:
        division = read_split_file(Path(splits), sorted(cases), fold)
    elif fold == ALL or folds is None:
        division = Split(tuple(sorted(cases)), ())
    elif recorded:
        document, division = recorded.document, Split(recorded.train, recorded.validation)
    else:
        file = cache / f"folds-{_dataset_name(root)}-{folds}-{fold_seed}.json"
        document = write_or_verify(file, subjects(), folds=folds, seed=fold_seed)
        division = split(document, fold)
    if recorded and (set(division.train), set(division.validation)) != ({*recorded.train}, {*recorded.validation}):
        raise SettingsError(
            f"{splits or validation_root or root} holds out other cases than {recorded.run} "
            f"({some(division.validation)} instead of {some(recorded.validation)}). Give what the run was given, or "
            f"choose another name with name=…."
        )
    if not division.train:
        raise DataError(f"{root}: no case is left to train on. Lower data.folds, or add cases with masks.")
    return division, document or {"train": division.train, "validation": division.validation}


def _dataset_name(root: str) -> str:
    """Name of a dataset in the cache: its folder name and 8 hexadecimal digits that identify its path."""
    path = Path(root).resolve()
    return f"{path.name}-{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
