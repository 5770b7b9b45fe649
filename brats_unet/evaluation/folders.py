"""Pair the masks of two folders by case, and refuse what cannot be scored before anything is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brats_unet.anatomy import Modality, Region
from brats_unet.data.labels.convention import Convention, decide, integers_of
from brats_unet.data.readers.discovery import find_masks, survey
from brats_unet.data.readers.task_folder import declared_labels, read_description
from brats_unet.errors import BratsError, DataError, SettingsError
from brats_unet.evaluation.grids import grid_mismatch
from brats_unet.evaluation.probabilities import read_probabilities
from brats_unet.evaluation.score import Pair
from brats_unet.nifti import read_integers
from brats_unet.processes import map_in_processes
from brats_unet.run import PROBABILITIES, probability_file
from brats_unet.volume import ImageFile

LISTED = 50  # problems that one message lists


@dataclass(frozen=True)
class Paired:
    """Two folders, matched.

    Attributes:
        pairs: One for each reference, sorted by case.
        convention: What the integers of both folders mean.
        missing: Cases without a prediction, which count as empty.
        not_scored: Predictions that no reference belongs to.
    """

    pairs: tuple[Pair, ...]
    convention: Convention
    missing: tuple[str, ...]
    not_scored: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Mask:
    """What one mask file turned out to be; `problem` is the sentence if it cannot be read."""

    shape: tuple[int, ...] = ()
    affine: np.ndarray | None = None
    integers: frozenset[int] = frozenset()
    problem: str = ""


def pair_folders(
    predictions: Path,
    references: Path,
    *,
    labels: str = "auto",
    allow_missing: bool = False,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Paired:
    """Match predictions with references by case id, and check all of them.

    Args:
        predictions: Folder of masks, flat or nested.
        references: Folder of masks, or a dataset with scans beside them, which the pictures then show.
        labels: Convention of the references, which the predictions inherit; "auto" decides as for training.
        allow_missing: Whether a missing prediction counts as empty instead of stopping the evaluation.
        workers: Processes that read; 0 takes one a core.
        progress: Called with (done, total) after each file.

    Raises:
        DataError: Missing predictions, unreadable files, other grids, wrong labels: all are named in one message.
        SettingsError: The labels can be read in two ways, or both folders are one.
    """
    if predictions.resolve() == references.resolve():
        raise SettingsError(f"predictions and references are both {references}. Give two folders.")
    expected, found = _masks_of(references, predictions)
    both = [case_id for case_id in expected if case_id in found]
    missing = tuple(case_id for case_id in expected if case_id not in found)
    not_scored = tuple(case_id for case_id in found if case_id not in expected)
    if not both:
        raise DataError(
            f"No mask in {predictions} belongs to a reference: {_some(found)} there, {_some(expected)} in "
            f"{references}. Expected files named by case, as <case>.nii.gz or <case>_seg.nii.gz, in both."
        )
    files = [*(expected[case_id] for case_id in expected), *(found[case_id] for case_id in both)]
    looked = map_in_processes(_inspected, files, seconds_each=0.04, workers=workers, progress=progress)
    masks = dict(zip(files, looked, strict=True))
    problems = [mask.problem for mask in masks.values() if mask.problem]
    if missing and not allow_missing:
        problems += [f"{case_id}: no prediction in {predictions}." for case_id in missing]
    for case_id in both:
        problems += _grid_problem(case_id, expected[case_id], found[case_id], masks)

    layout, declared, images = _dataset(references)
    convention = None
    try:
        sets = {case_id: masks[path].integers for case_id, path in expected.items() if not masks[path].problem}
        convention = decide(labels, layout, sorted(expected), declared, sets, key="labels")
    except BratsError as problem:
        if not problems:
            raise
        problems.append(str(problem))
    if convention is not None:
        for case_id, path in (*expected.items(), *((case_id, found[case_id]) for case_id in both)):
            problems += _label_problem(case_id, path, masks[path].integers, convention)
    _refuse(problems, missing, not_scored, allow_missing)
    assert convention is not None  # _refuse has raised otherwise
    pairs = tuple(
        Pair(case_id, path, found.get(case_id), images.get(case_id), convention, convention)
        for case_id, path in expected.items()
    )
    return Paired(pairs, convention, missing, not_scored)


def with_probabilities(pairs: Sequence[Pair], predictions: Path, *, workers: int = 0) -> list[Pair]:
    """The pairs with the files of probabilities that `predict probabilities=true` wrote beside their masks.

    Raises:
        DataError: Some are missing: all are named, and all that is wrong with the others. Where none is, what is in
            them is checked as they are scored.
    """
    folder = predictions / PROBABILITIES
    found = []
    for pair in pairs:
        files = {region: probability_file(folder, pair.case_id, region) for region in Region}
        found.append(pair if pair.prediction is None else replace(pair, probabilities=files, softmax=False))
    missing = sum(not path.is_file() for pair in found for path in (pair.probabilities or {}).values())
    if missing:
        looked = map_in_processes(_probability_problems, found, seconds_each=0.3, workers=workers)
        lines = _listed([line for problems in looked for line in problems])
        lacking = f"{missing} file of probabilities is" if missing == 1 else f"{missing} files of probabilities are"
        raise DataError(
            f"calibration=true, and {lacking} missing. Predict with probabilities=true, or leave it out.\n{lines}"
        )
    return found


def _probability_problems(pair: Pair) -> list[str]:
    if pair.probabilities is None:
        return []
    try:
        reference = read_integers(pair.reference)
        read_probabilities(pair.case_id, pair.probabilities, pair.reference, reference.array.shape, reference.affine)
    except DataError as problem:
        return str(problem).splitlines()
    return []


def _masks_of(*folders: Path) -> list[dict[str, Path]]:
    """The masks of each folder by case; one DataError with all that is wrong with any (a case twice, no mask, …)."""
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
        volume = read_integers(path)
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
        f"{convention.name} ({convention.why}), which has {known}: predictions must too. Convert it, or set labels=…."
    ]


def _dataset(
    references: Path,
) -> tuple[str, Mapping[str, int | list[int]] | None, dict[str, Mapping[Modality, ImageFile]]]:
    """Layout, declared labels and scans by case, where the references lie in a dataset."""
    try:
        found = survey(references, modalities=tuple(Modality))
    except DataError:  # masks by themselves
        return "", declared_labels(read_description(references)), {}
    cases = (*found.dataset.cases, *found.incomplete)
    images = {case.id: case.images for case in cases if case.images}
    return found.dataset.layout, found.dataset.declared_labels, images


def _refuse(problems: Sequence[str], missing: Sequence[str], not_scored: Sequence[str], allow_missing: bool) -> None:
    """Raise one DataError with all problems."""
    if not problems:
        return
    lines = [_listed(list(dict.fromkeys(problems)))]
    if missing and not allow_missing:
        advice = "allow_missing=true counts missing predictions as empty."
        if not_scored:
            have = "prediction has" if len(not_scored) == 1 else "predictions have"
            advice = f"{len(not_scored)} {have} no reference ({_some(not_scored)}): named differently? {advice}"
        lines.append(advice)
    raise DataError("\n".join(lines))


def _listed(lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - LISTED} more."] if len(lines) > LISTED else []
    return "\n".join([*lines[:LISTED], *more])


def _some(case_ids: Iterable[str]) -> str:
    listed = list(case_ids)
    return ", ".join(listed[:3]) + (f", … ({len(listed)})" if len(listed) > 3 else "")
