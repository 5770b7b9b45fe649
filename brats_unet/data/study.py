"""A dataset made ready for training: cases found, labels understood, volumes prepared, folds assigned."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.anatomy import Label
from brats_unet.data.folds import Split, Subject, read_split_file, split, write_or_verify
from brats_unet.data.labels.convention import Convention, decide, label_set
from brats_unet.data.phantom.phantoms import varieties, write_dataset
from brats_unet.data.prepare.cache import PreparedCase, prepare_all
from brats_unet.data.prepare.content_hash import HashMemo
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.readers.discovery import Dataset, find_cases
from brats_unet.errors import DataError, SettingsError
from brats_unet.files import write_json
from brats_unet.volume import Case

Say = Callable[[str], None]
# (what is being done, done, total)
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Study:
    """Cases with masks, divided.

    Attributes:
        dataset: As found.
        convention: What its integers mean.
        split: Case ids to train on and to hold out.
        folds: The document that says so, to copy into the run.
        cases: Every case of the split by id.
        prepared: The same, prepared and on disk.
    """

    dataset: Dataset
    convention: Convention
    split: Split
    folds: Mapping[str, Any]
    cases: Mapping[str, Case]
    prepared: Mapping[str, PreparedCase]

    @property
    def train(self) -> list[PreparedCase]:
        return [self.prepared[case_id] for case_id in self.split.train]

    @property
    def validation(self) -> list[PreparedCase]:
        return [self.prepared[case_id] for case_id in self.split.validation]


def open_study(
    *,
    name: str,
    root: str | None,
    labels: str,
    modalities: Sequence[str],
    leave_out: Sequence[str],
    cache: str,
    preparation: Mapping[str, Any],
    folds: int,
    fold: int | str,
    fold_seed: int,
    splits: str | None,
    validation_root: str | None,
    cases: int,
    seed: int,
    log: Say,
    progress: Progress,
    accept: Callable[[Dataset], None] = lambda dataset: None,
) -> Study:
    """From the data settings to a study; the arguments are those of `settings.Data`, and of what it is told on the way.

    Args:
        accept: Called with what was found before any volume is read; may raise to refuse it.

    Raises:
        DataError: Nothing to train on, or broken cases; all are named.
        SettingsError: A setting that does not fit the data.
        MachineError: No room for the prepared volumes.
    """
    recipe = Preparation.of(modalities, preparation)
    if root is None:
        raise SettingsError("data.root is not set. Give the folder of the scans: data.root=/path/to/BraTS2020.")
    kinds: Mapping[str, str] = {}
    if name == "phantom":
        write_dataset(Path(root), cases=cases, seed=seed, progress=lambda d, n: progress("Making phantoms", d, n))
        kinds = varieties(Path(root))
    cache_folder = Path(cache)
    memo = HashMemo(cache_folder / "hashes.json")
    dataset, convention, label_sets = _found(root, labels, recipe, leave_out, memo, log, progress, accept)
    by_id = {case.id: case for case in dataset.cases if case.mask is not None}

    if validation_root is not None:
        outside, outside_convention, _ = _found(validation_root, labels, recipe, leave_out, memo, log, progress)
        held_out = {case.id: case for case in outside.cases if case.mask is not None}
        both = sorted(set(held_out) & set(by_id))
        if both:
            raise DataError(
                f"{validation_root}: {len(both)} cases are in data.root too, {both[0]} first. "
                f"Held-out cases must be others."
            )
        if outside_convention.name != convention.name:
            raise SettingsError(
                f"{root} follows {convention.name}, {validation_root} {outside_convention.name}. "
                f"Set data.labels=… if one was read wrongly, or convert one."
            )
        division = Split(tuple(sorted(by_id)), tuple(sorted(held_out)))
        document: Mapping[str, Any] = {"train": division.train, "validation": division.validation}
        by_id |= held_out
    elif splits is not None:
        division = read_split_file(Path(splits), sorted(by_id), fold)
        document = {"train": division.train, "validation": division.validation}
    else:
        subjects = _subjects(by_id, kinds, label_sets, convention, memo)
        document = write_or_verify(
            cache_folder / f"folds-{_dataset_name(root)}-{folds}-{fold_seed}.json",
            subjects,
            folds=folds,
            seed=fold_seed,
        )
        division = split(document, fold)
    if not division.train:
        raise DataError(f"{root}: no case is left to train on. Lower data.folds, or add cases with masks.")

    chosen = [by_id[case_id] for case_id in (*division.train, *division.validation)]
    prepared = prepare_all(
        chosen, recipe, convention, cache_folder, progress=lambda d, n: progress("Preparing volumes", d, n)
    )
    return Study(dataset, convention, division, document, {c.id: c for c in chosen}, {p.id: p for p in prepared})


def _found(
    root: str,
    labels: str,
    recipe: Preparation,
    leave_out: Sequence[str],
    memo: HashMemo,
    log: Say,
    progress: Progress,
    accept: Callable[[Dataset], None] = lambda dataset: None,
) -> tuple[Dataset, Convention, dict[str, frozenset[int]]]:
    """The cases of a folder, what their integers mean, and which integers each mask holds."""
    dataset = find_cases(root, modalities=recipe.modalities, leave_out=leave_out)
    accept(dataset)
    for note in dataset.notes:
        log(note)
    masks = {case.id: case.mask for case in dataset.cases if case.mask is not None}
    if not masks:
        raise DataError(f"{root}: {len(dataset.cases)} cases, none with a mask. Expected cases with masks to train on.")
    label_sets = memoised_label_sets(masks, memo, lambda d, n: progress("Reading masks", d, n))
    convention = decide(labels, dataset.layout, sorted(masks), dataset.declared_labels, label_sets)
    log(f"Labels: {convention.name} ({convention.why}).")
    return dataset, convention, label_sets


def memoised_label_sets(
    masks: Mapping[str, Path], memo: HashMemo, progress: Callable[[int, int], None]
) -> dict[str, frozenset[int]]:
    """Which integers each mask holds, by case id; masks that have not changed are not read again."""
    file = memo.file.with_name("label_sets.json")
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    found = {}
    for count, (case_id, mask) in enumerate(sorted(masks.items()), 1):
        key = memo.hash(mask)
        if key not in known:
            known[key] = sorted(label_set(mask))
        found[case_id] = frozenset(known[key])
        progress(count, len(masks))
    memo.save()
    write_json(file, known)
    return found


def _subjects(
    cases: Mapping[str, Case],
    kinds: Mapping[str, str],
    label_sets: Mapping[str, frozenset[int]],
    convention: Convention,
    memo: HashMemo,
) -> list[Subject]:
    """What the folds depend on: patient, stratum (kind, else grade, else presence of ET) and content, for each case."""
    subjects = []
    for case_id, case in sorted(cases.items()):
        enhancing = any(convention.to_label.get(value) == Label.ENHANCING for value in label_sets[case_id])
        first = next(iter(case.images.values()))
        stratum = kinds.get(case_id) or case.grade or ("ET" if enhancing else "no ET")
        subjects.append(Subject(case_id, case.patient, stratum, memo.voxels(first.path, first.channel)))
    memo.save()
    return subjects


def _dataset_name(root: str) -> str:
    """Name of a dataset in the cache: its folder's, and eight digits for the path."""
    path = Path(root).resolve()
    return f"{path.name}-{hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()}"
