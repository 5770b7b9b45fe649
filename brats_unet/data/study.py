"""Prepare a dataset for training: find cases, decide the label convention, assign folds, prepare volumes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from brats_unet.data.assignment import Subject
from brats_unet.data.division import divide
from brats_unet.data.folds import Split, refuse_invalid_fold
from brats_unet.data.labels.decide import decide, label_set
from brats_unet.data.labels.scheme_choice import sentences_about
from brats_unet.data.phantom.phantom_case import kind_of
from brats_unet.data.phantom.phantoms import varieties, write_dataset
from brats_unet.data.phantom.scan_grid import grid_of
from brats_unet.data.prepare.cache import PreparedCase, prepare_all
from brats_unet.data.prepare.case_key import case_content
from brats_unet.data.prepare.content_hash import HashMemo
from brats_unet.data.prepare.preparation import Preparation, refuse_unknown_spacing
from brats_unet.data.read_only import refuse_writing_into_data
from brats_unet.data.readers.discovery import Dataset, find_cases, slice_spacing_mm
from brats_unet.data.readers.file_patterns import data_patterns
from brats_unet.data.readers.slice_folders import LGG
from brats_unet.data.recorded_cases import CONTENTS, RecordedCases
from brats_unet.errors import DataError, SettingsError, first_lines
from brats_unet.json_files import recorded_json, write_json
from brats_unet.scan_files import quantised_sentence
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Case

Log = Callable[[str], None]
Progress = Callable[[str, int, int], None]  # (name of the step, items done, items in total)


@dataclass(frozen=True)
class Study:
    """A dataset whose cases are split into training and held-out cases and prepared on disk.

    Attributes:
        dataset: The data folder as discovery found it.
        convention: What the integers of its masks mean.
        split: Case ids to train on and to hold out.
        folds: JSON document that records the split, to copy into the run folder.
        cases: Every case of the split, by case id.
        prepared: The prepared volume of each of these cases, by case id.
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
    folds: int | None,
    fold: int | str,
    fold_seed: int,
    splits: str | None,
    validation_root: str | None,
    cases: int,
    seed: int,
    grid: Sequence[int] | None,
    spacing_mm: Sequence[float] | None,
    scheme: Scheme,
    files: Mapping[str, Any] | None = None,
    recorded: RecordedCases | None = None,
    log: Log,
    progress: Progress,
    accept: Callable[[Dataset], None] = lambda dataset: None,
) -> Study:
    """Open the dataset that the data settings describe; arguments not listed below are fields of `settings.Data`.

    Args:
        scheme: What the masks show.
        recorded: The cases of the run that is resumed; None for a new run.
        log: Called with each sentence to report: notes of discovery and the label convention.
        progress: Called with the name of the current step, the number of items done and their total.
        accept: Called with the dataset before any volume is read; may raise to reject it.

    Raises:
        DataError: There is nothing to train on, cases are broken, or they are not those of the run; the message names
            them.
        SettingsError: A setting does not fit the data.
        MachineError: There is not enough disk space for the prepared volumes.
    """
    if root is None:
        raise SettingsError("data.root is not set. Give the folder of the scans: data.root=/path/to/BraTS2020.")
    refuse_writing_into_data((root, validation_root), {"data.cache": cache})
    recipe = Preparation.of(modalities, preparation, files)
    patterns = data_patterns(name, files)
    refuse_invalid_fold(fold=fold, folds=folds, splits=splits, validation_root=validation_root)
    kinds: Mapping[str, str] = {}
    if name == "phantom":
        write_dataset(
            Path(root),
            cases=cases,
            seed=seed,
            scheme=scheme,
            grid=grid_of(kind_of(scheme).grid, grid, spacing_mm, section="data."),
            progress=partial(progress, "Making phantoms"),
        )
        kinds = varieties(Path(root))
    discover = partial(find_cases, modalities=recipe.modalities, leave_out=leave_out, slices=name == LGG)
    memo = HashMemo((cache_folder := Path(cache)) / "hashes.json")

    def find(folder: str) -> Dataset:
        found = discover(folder, spacing_mm=slice_spacing_mm(name, spacing_mm), patterns=patterns)
        refuse_unknown_spacing(found, recipe)
        return found

    dataset, convention, label_sets = _discover(find(root), labels, scheme, memo, log, progress, accept)
    by_id = {case.id: case for case in dataset.cases if case.mask is not None}

    outside: dict[str, Case] = {}
    if validation_root is not None:
        held_out, other, _ = _discover(find(validation_root), labels, scheme, memo, log, progress)
        if other.name != convention.name:
            raise SettingsError(
                f"The masks in {root} follow {convention.name}, those in {validation_root} {other.name}. "
                f"Expected one label convention. Set data.labels=… if one was detected wrongly, or convert one folder."
            )
        outside = {case.id: case for case in held_out.cases if case.mask is not None}
    division, document = divide(
        by_id,
        outside,
        lambda: _subjects(by_id, kinds, label_sets, convention, memo),
        recorded,
        root=root,
        validation_root=validation_root,
        splits=splits,
        folds=folds,
        fold=fold,
        fold_seed=fold_seed,
        cache=cache_folder,
    )

    every = by_id | outside
    chosen = [every[case_id] for case_id in (*division.train, *division.validation)]
    prepared = prepare_all(chosen, recipe, convention, cache_folder, progress=partial(progress, "Preparing volumes"))
    for sentence in first_lines([sentence for case in prepared for sentence in case.warnings]):
        log(sentence)
    of_run = {case.id: case for case in chosen}
    memo = HashMemo(memo.file)  # with what preparing has added
    if recorded:
        recorded.refuse_other_content(root, of_run, memo)
    document = {**document, CONTENTS: {case.id: case_content(case, memo) for case in chosen}}
    return Study(dataset, convention, division, document, of_run, {case.id: case for case in prepared})


def _discover(
    dataset: Dataset,
    labels: str,
    scheme: Scheme,
    memo: HashMemo,
    log: Log,
    progress: Progress,
    accept: Callable[[Dataset], None] = lambda dataset: None,
) -> tuple[Dataset, Convention, dict[str, frozenset[int]]]:
    """A dataset, its label convention, and the set of integers in each mask by case id."""
    accept(dataset)
    for note in dataset.notes:
        log(note)
    masks = {case.id: case.mask for case in dataset.cases if case.mask is not None}
    if not masks:
        raise DataError(
            f"{dataset.root}: {len(dataset.cases)} cases, none with a mask. Expected cases with masks to train on."
        )
    label_sets = memoised_label_sets(masks, memo, partial(progress, "Reading masks"))
    convention = decide(labels, dataset.layout, sorted(masks), dataset.declared_labels, label_sets, scheme=scheme)
    log(f"Labels: {convention.name} ({convention.why}).")
    for sentence in filter(None, (quantised_sentence(masks.values()), *sentences_about(convention, label_sets))):
        log(sentence)
    return dataset, convention, label_sets


def memoised_label_sets(
    masks: Mapping[str, Path], memo: HashMemo, progress: Callable[[int, int], None]
) -> dict[str, frozenset[int]]:
    """The set of integers in each mask, by case id.

    The sets are cached in `label_sets.json` beside the hash memo, so an unchanged mask is not read again.

    Args:
        masks: Path of each mask, by case id.
        memo: Content hashes of files; saved here.
        progress: Called with the number of masks done and their total.

    Raises:
        DataError: Masks cannot be read; all of them are named.
    """
    file = memo.file.with_name("label_sets.json")
    known = recorded_json(file, dict[str, list[int]]) or {}
    label_sets, problems = {}, []
    for count, (case_id, mask) in enumerate(sorted(masks.items()), 1):
        try:
            key = memo.hash(mask)
            if key not in known:
                known[key] = sorted(label_set(mask))
            label_sets[case_id] = frozenset(known[key])
        except DataError as problem:
            problems.append(str(problem))
        progress(count, len(masks))
    if problems:
        raise DataError("\n".join(problems))
    memo.save()
    write_json(file, known)
    return label_sets


def _subjects(
    cases: Mapping[str, Case],
    kinds: Mapping[str, str],
    label_sets: Mapping[str, frozenset[int]],
    convention: Convention,
    memo: HashMemo,
) -> list[Subject]:
    """Facts of each case for fold assignment: patient, stratum (phantom kind, its own or innermost region), content."""
    scheme, subjects = convention.scheme, []
    region = scheme.predicted[-1]
    for case_id, case in sorted(cases.items()):
        there = any(convention.to_label.get(value) in scheme.values(region) for value in label_sets[case_id])
        first = next(iter(case.images.values()))
        stratum = kinds.get(case_id) or case.stratum or (region if there else f"no {region}")
        subjects.append(Subject(case_id, case.patient, stratum, memo.voxels(first.path, first.channel)))
    memo.save()
    return subjects
