"""Pair the masks of two folders by case, and check all of them before anything is scored."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brats_unet.data.labels.decide import decide, integers_of
from brats_unet.data.labels.scheme_choice import decide_scheme, sentences_about
from brats_unet.data.readers.discovery import find_masks, survey
from brats_unet.data.readers.task_folder import declared_labels, read_description
from brats_unet.errors import BratsError, DataError, SettingsError
from brats_unet.evaluation.grids import grid_mismatch
from brats_unet.evaluation.mask_scheme import recorded_convention, recorded_scheme
from brats_unet.evaluation.probabilities import read_probabilities
from brats_unet.evaluation.score import Pair
from brats_unet.modality import Modality
from brats_unet.processes import map_in_processes
from brats_unet.run import PROBABILITIES, probability_file
from brats_unet.scan_files import read_mask
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Case, given_spacing_mm

LISTED = 50  # most problems that one message lists


@dataclass(frozen=True)
class Paired:
    """Predictions and references of two folders, paired by case.

    Attributes:
        pairs: One pair per reference, sorted by case.
        convention: Label convention of both folders.
        notes: What the masks were found to be, and regions that no reference shows, as sentences.
        missing: Cases without a prediction; an empty prediction is scored for them.
        not_scored: Predictions without a reference.
    """

    pairs: tuple[Pair, ...]
    convention: Convention
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    not_scored: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Mask:
    """Grid and integers of one mask file; `problem` is the error message if it cannot be read, else ""."""

    shape: tuple[int, ...] = ()
    affine: np.ndarray | None = None
    integers: frozenset[int] = frozenset()
    problem: str = ""


def pair_folders(
    predictions: Path,
    references: Path,
    *,
    scheme: Scheme | None = None,
    labels: str = "auto",
    allow_missing: bool = False,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Paired:
    """Pair predictions and references by case id, and check every file.

    Args:
        predictions: Folder of masks, flat or nested.
        references: Folder of masks, or a dataset; the figures show the dataset's scans.
        scheme: What the masks show; None takes what was recorded beside the predictions, or decides by the references.
        labels: Label convention of both folders; "auto" finds that of the references in the way that training does.
        allow_missing: Score an empty prediction where one is missing, instead of stopping.
        workers: Processes that read the files; 0 starts one per core.
        progress: Called with (done, total) after each file.

    Raises:
        DataError: Predictions are missing, files cannot be read, grids differ or labels are unknown. One message lists
            all problems.
        SettingsError: The scheme or the label convention is ambiguous, or both folders are the same.
    """
    if predictions.resolve() == references.resolve():
        raise SettingsError(f"predictions and references are the same folder, {references}. Give two folders.")
    expected, found = _masks_of(references, predictions)
    both = [case_id for case_id in expected if case_id in found]
    missing = tuple(case_id for case_id in expected if case_id not in found)
    not_scored = tuple(case_id for case_id in found if case_id not in expected)
    if not both:
        raise DataError(
            f"No prediction has the case id of a reference: found {_some(found)} in {predictions}, and "
            f"{_some(expected)} in {references}. Expected files named <case>.nii.gz or <case>_seg.nii.gz in both."
        )
    files = [*(expected[case_id] for case_id in expected), *(found[case_id] for case_id in both)]
    inspected = map_in_processes(_inspected, files, seconds_each=0.04, workers=workers, progress=progress)
    masks = dict(zip(files, inspected, strict=True))
    problems = [mask.problem for mask in masks.values() if mask.problem]
    if missing and not allow_missing:
        problems += [f"{case_id}: no prediction in {predictions}." for case_id in missing]
    for case_id in both:
        problems += _grid_problem(case_id, expected[case_id], found[case_id], masks)

    layout, declared, cases = _dataset(references)
    convention, notes = None, []
    sets = {case_id: masks[path].integers for case_id, path in expected.items() if not masks[path].problem}
    try:
        if scheme is None:
            recorded = recorded_scheme({predictions.resolve().name: recorded_convention(found.values())})
            scheme, why = recorded or decide_scheme(layout, sorted(expected), declared, sets, labels=labels)
            notes.append(f"Scheme: {scheme.name} ({why}).")
        convention = decide(labels, layout, sorted(expected), declared, sets, scheme=scheme, key="labels")
    except BratsError as problem:
        if not problems:
            raise
        problems.append(str(problem))
    if convention is not None:
        for case_id, path in (*expected.items(), *((case_id, found[case_id]) for case_id in both)):
            problems += _label_problem(case_id, path, masks[path].integers, convention)
    _refuse(problems, missing, not_scored, allow_missing)
    assert convention is not None  # _refuse has raised otherwise
    notes += [f"Labels: {convention.name} ({convention.why}).", *sentences_about(convention, sets)]
    pairs = []
    given = [modality for modality in Modality if any(modality in case.images for case in cases.values())]
    for case_id, path in expected.items():
        pair = Pair(case_id, path, found.get(case_id), None, convention, convention)
        if case := cases.get(case_id):
            lacking = tuple(modality for modality in given if modality not in case.images)
            pair = replace(pair, images=case.images, stratum=case.stratum or "", absent=lacking)
        pairs.append(pair)
    return Paired(tuple(pairs), convention, tuple(notes), missing, not_scored)


def with_probabilities(pairs: Sequence[Pair], predictions: Path, *, workers: int = 0) -> list[Pair]:
    """Add to each pair the probability files that `predict probabilities=true` wrote beside the masks.

    Args:
        pairs: Pairs whose predictions lie in `predictions`; one without a prediction is returned unchanged.
        predictions: Output folder of `predict`.
        workers: Processes that read the files; 0 starts one per core.

    Raises:
        DataError: Files are missing. The message lists them, and all problems in the files that exist. If no file is
            missing, their contents are checked later, during scoring.
    """
    folder = predictions / PROBABILITIES
    found = []
    for pair in pairs:
        files = {region: probability_file(folder, pair.case_id, region) for region in pair.scheme.predicted}
        found.append(pair if pair.prediction is None else replace(pair, probabilities=files, softmax=False))
    missing = sum(not path.is_file() for pair in found for path in (pair.probabilities or {}).values())
    if missing:
        by_pair = map_in_processes(_probability_problems, found, seconds_each=0.3, workers=workers)
        lines = _listed([line for problems in by_pair for line in problems])
        files_are = "1 probability file is" if missing == 1 else f"{missing} probability files are"
        raise DataError(
            f"calibration=true, but {files_are} missing. Run `brats-unet predict` again with probabilities=true, or "
            f"set calibration=false.\n{lines}"
        )
    return found


def _probability_problems(pair: Pair) -> list[str]:
    if pair.probabilities is None:
        return []
    try:
        reference = read_mask(pair.reference, given_spacing_mm(pair.images))
        read_probabilities(
            pair.case_id, pair.probabilities, pair.scheme, pair.reference, reference.array.shape, reference.affine
        )
    except DataError as problem:
        return str(problem).splitlines()
    return []


def _masks_of(*folders: Path) -> list[dict[str, Path]]:
    """Masks of each folder by case; one DataError lists the problems of all folders (duplicate case, no mask, …)."""
    masks, problems = [], []
    for folder in folders:
        try:
            masks.append(find_masks(folder))
        except DataError as problem:
            problems.append(str(problem))
    if problems:
        raise DataError("\n".join(problems))
    return masks


def _inspected(path: Path) -> _Mask:
    try:
        volume = read_mask(path)
    except DataError as problem:
        return _Mask(problem=str(problem))
    return _Mask(volume.array.shape, volume.affine, integers_of(volume.array))


def _grid_problem(case_id: str, reference: Path, prediction: Path, masks: Mapping[Path, _Mask]) -> list[str]:
    one, two = masks[reference], masks[prediction]
    if one.affine is None or two.affine is None:
        return []
    mismatch = grid_mismatch(one.shape, one.affine, two.shape, two.affine)
    return [f"{case_id}: {prediction} does not lie on the grid of {reference}: {mismatch}"] if mismatch else []


def _label_problem(case_id: str, path: Path, integers: frozenset[int], convention: Convention) -> list[str]:
    wrong = sorted(integers - set(convention.to_label))
    if not wrong:
        return []
    known = " ".join(str(value) for value in sorted(convention.to_label))
    return [
        f"{case_id}: {path} holds label {' '.join(str(value) for value in wrong)}. The references follow "
        f"{convention.name} ({convention.why}), which has {known}, and the predictions must follow it too. Convert the "
        f"file, or set labels= or scheme=."
    ]


def _dataset(
    references: Path,
) -> tuple[str, Mapping[str, int | list[int]] | None, dict[str, Case]]:
    """Layout, declared labels and cases with scans of a dataset; a folder of masks alone has no layout and no scans."""
    try:
        found = survey(references, modalities=tuple(Modality))
    except DataError:  # a folder of masks alone
        return "", declared_labels(read_description(references)), {}
    cases = (*found.dataset.cases, *found.incomplete)
    return found.dataset.layout, found.dataset.declared_labels, {case.id: case for case in cases if case.images}


def _refuse(problems: Sequence[str], missing: Sequence[str], not_scored: Sequence[str], allow_missing: bool) -> None:
    """Raise one DataError with all problems."""
    if not problems:
        return
    lines = [_listed(list(dict.fromkeys(problems)))]
    if missing and not allow_missing:
        advice = "allow_missing=true scores missing predictions as empty masks."
        if not_scored:
            have = "prediction has" if len(not_scored) == 1 else "predictions have"
            advice = f"{len(not_scored)} {have} no reference ({_some(not_scored)}): check the file names. {advice}"
        lines.append(advice)
    raise DataError("\n".join(lines))


def _listed(lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - LISTED} more."] if len(lines) > LISTED else []
    return "\n".join([*lines[:LISTED], *more])


def _some(case_ids: Iterable[str]) -> str:
    listed = list(case_ids)
    return ", ".join(listed[:3]) + (f", … ({len(listed)})" if len(listed) > 3 else "")
