"""Pair the masks of two folders by case, and check all of them before anything is scored."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from brats_unet.data.labels.decide import decide
from brats_unet.data.labels.scheme_choice import decide_scheme, regionless_sentence, sentences_about
from brats_unet.data.readers.discovery import find_masks, survey
from brats_unet.data.readers.task_folder import declared_labels, read_description
from brats_unet.errors import BratsError, DataError, SettingsError, some
from brats_unet.evaluation.grids import grid_mismatch, on_axes_of
from brats_unet.evaluation.mask_checks import inspected, label_problem, left_out
from brats_unet.evaluation.mask_scheme import recorded_convention, recorded_scheme
from brats_unet.evaluation.name_pairs import pair_names
from brats_unet.evaluation.score import Pair
from brats_unet.evaluation.side_labels import prediction_convention
from brats_unet.metrics.protocols import FIRST
from brats_unet.modality import Modality, in_order
from brats_unet.processes import map_in_processes
from brats_unet.scan_files import quantised_sentence
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Case, Spacing

LISTED = 50  # most problems that one message lists


@dataclass(frozen=True)
class Paired:
    """Predictions and references of two folders, paired by case.

    Attributes:
        pairs: One pair per reference, sorted by case.
        convention: Label convention of the references.
        notes: What the masks were found to be, how they were paired, and regions that no reference shows, as sentences.
        missing: Cases without a prediction; an empty prediction is scored for them.
        not_scored: Predictions without a reference.
        failed: Cases that cannot be scored and are left out, each with the reason; see `Protocol.failing_left_out`.
    """

    pairs: tuple[Pair, ...]
    convention: Convention
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    not_scored: tuple[str, ...]
    failed: Mapping[str, str] = field(default_factory=dict)


def pair_folders(
    predictions: Path,
    references: Path,
    *,
    scheme: Scheme | None = None,
    labels: str = "auto",
    prediction_labels: str = "auto",
    spacing_mm: Spacing | None = None,
    allow_missing: bool = False,
    protocol: str = FIRST,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Paired:
    """Pair predictions and references by case id, and check every file.

    Args:
        predictions: Folder of masks, flat or nested.
        references: Folder of masks, or a dataset; the figures show the dataset's scans.
        scheme: What the masks show; None takes what was recorded beside the predictions, or decides by the references.
        labels: Label convention of the references; "auto" finds it in the way that training does.
        prediction_labels: Label convention of the predictions; "auto" takes what was recorded beside them, else that of
            the references if it fits, else the only one that does.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres, of NumPy arrays; None if they are unknown.
        allow_missing: Score an empty prediction where one is missing, instead of stopping.
        protocol: Name of a protocol, or "auto" for that of the scheme; some leave out cases that cannot be scored.
        workers: Processes that read the files; 0 starts one per core.
        progress: Called with (done, total) after each file.

    Raises:
        DataError: Predictions are missing, files cannot be read, grids differ or labels are unknown. One message lists
            all problems.
        SettingsError: The scheme or the label convention is ambiguous, or both folders are the same.
    """
    if predictions.resolve() == references.resolve():
        raise SettingsError(f"predictions and references are the same folder, {references}. Give two folders.")
    expected, given = _masks_of(references, predictions)
    names, ambiguous = pair_names(list(expected), list(given))
    found = {case_id: given[name] for case_id, name in names.items()}
    missing = tuple(case_id for case_id in expected if case_id not in found)
    not_scored = tuple(name for name in given if name not in names.values())
    if not found:
        raise DataError(
            f"No prediction has the case id of a reference: found {_some(given)} in {predictions}, and "
            f"{_some(expected)} in {references}. Expected files named <case>.nii.gz or <case>_seg.nii.gz in both."
        )
    files = [*(expected[case_id] for case_id in expected), *found.values()]
    read = map_in_processes(inspected, files, seconds_each=0.04, workers=workers, progress=progress)
    masks = dict(zip(files, read, strict=True))
    owners = [*expected, *found]
    problems = [(owner, mask.problem) for owner, mask in zip(owners, read, strict=True) if mask.problem]
    if missing and not allow_missing:
        problems += [("", f"{case_id}: no prediction in {predictions}.") for case_id in missing]
        problems += [("", text) for text in ambiguous]
    turned = []
    for case_id, path in found.items():
        reference, prediction = masks[expected[case_id]], masks[path]
        if not reference.problem and not prediction.problem:
            placed = on_axes_of(reference.shape, reference.affine, prediction.volume)
            turned += [case_id] if placed is not prediction.volume else []
            mismatch = grid_mismatch(reference.shape, reference.affine, placed.array.shape, placed.affine)
            where = f"{case_id}: {path} does not lie on the grid of {expected[case_id]}: {mismatch}"
            problems += [(case_id, where)] if mismatch else []

    layout, declared, cases = _dataset(references)
    convention, own, predicted = None, None, {}
    notes = [*_renamed(names), *_turned(turned, found)]
    if rounded := quantised_sentence(path for path, one in masks.items() if not one.problem):
        notes.append(rounded)
    sets = {case_id: masks[path].integers for case_id, path in expected.items() if not masks[path].problem}
    try:
        if scheme is None:
            recorded = recorded_scheme({predictions.resolve().name: recorded_convention(found.values())})
            scheme, why = recorded or decide_scheme(layout, sorted(expected), declared, sets, labels=labels)
            notes.append(f"Scheme: {scheme.name} ({why}).")
        convention = decide(labels, layout, sorted(expected), declared, sets, scheme=scheme, key="labels.references")
        predicted = {case_id: masks[path].integers for case_id, path in found.items() if not masks[path].problem}
        own = prediction_convention(prediction_labels, convention, found.values(), predicted)
    except BratsError as problem:
        if not problems:
            raise
        problems.append(("", str(problem)))
    if convention is not None:
        for case_id, path in expected.items():
            problems += label_problem(case_id, path, masks[path].integers, convention, "references")
    if own is not None:
        for case_id, path in found.items():
            problems += label_problem(case_id, path, masks[path].integers, own, "predictions")
    failed = left_out(problems, len(expected), protocol, convention)
    if failed is None:
        raise _refusal([text for _, text in problems], missing, not_scored, allow_missing)
    expected = {case_id: path for case_id, path in expected.items() if case_id not in failed}
    sets, predicted = ({key: one[key] for key in one if key in expected} for one in (sets, predicted))
    assert convention is not None and own is not None  # else a problem is of no single case
    notes += [f"Labels: {convention.name} ({convention.why}).", *sentences_about(convention, sets)]
    if own.name != convention.name:
        notes.append(f"Labels of the predictions: {own.name} ({own.why}).")
    if lost := regionless_sentence(own, predicted):
        notes.append(f"In the predictions: {lost}")
    pairs = []
    sequences = in_order(modality for case in cases.values() for modality in case.images)
    for case_id, path in expected.items():
        pair = Pair(case_id, path, found.get(case_id), None, convention, own, spacing_mm=spacing_mm)
        if case := cases.get(case_id):
            lacking = tuple(modality for modality in sequences if modality not in case.images)
            pair = replace(pair, images=case.images, stratum=case.stratum or "", absent=lacking)
        pairs.append(pair)
    missing = tuple(case_id for case_id in missing if case_id not in failed)
    return Paired(tuple(pairs), convention, tuple(notes), missing, not_scored, failed)


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


def _renamed(names: Mapping[str, str]) -> list[str]:
    """That predictions were found under other names, as a sentence in a list; [] if all are named as the references."""
    others = [f"{name} for {case_id}" for case_id, name in names.items() if name != case_id]
    return (
        [f"Predictions with other names were paired where only one reference fits: {some(others)}."] if others else []
    )


def _turned(case_ids: Sequence[str], found: Mapping[str, Path]) -> list[str]:
    """That predictions have other axes than their references, as a sentence in a list; [] if none has."""
    if not case_ids:
        return []
    name, count = found[case_ids[0]].name, len(case_ids)
    these = "1 prediction has" if count == 1 else f"{count} predictions have"
    theirs = "its reference" if count == 1 else "their references"
    return [f"{these} voxel axes in another order or direction than {theirs} ({name}): turned, not resampled."]


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


def _refusal(
    problems: Sequence[str], missing: Sequence[str], not_scored: Sequence[str], allow_missing: bool
) -> DataError:
    """One error with all problems."""
    lines = [listed(list(dict.fromkeys(problems)))]
    if missing and not allow_missing:
        advice = "allow_missing=true scores missing predictions as empty masks."
        if not_scored:
            have = "prediction has" if len(not_scored) == 1 else "predictions have"
            advice = f"{len(not_scored)} {have} no reference ({_some(not_scored)}): check the file names. {advice}"
        lines.append(advice)
    return DataError("\n".join(lines))


def listed(lines: Sequence[str]) -> str:
    """The first lines of a message, one below the other, and how many more there are."""
    more = [f"… and {len(lines) - LISTED} more."] if len(lines) > LISTED else []
    return "\n".join([*lines[:LISTED], *more])


def _some(case_ids: Iterable[str]) -> str:
    listed = list(case_ids)
    return ", ".join(listed[:3]) + (f", … ({len(listed)})" if len(listed) > 3 else "")
