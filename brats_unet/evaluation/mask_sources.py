"""Masks of the same cases from several folders: their label conventions, cases and grids."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path

import numpy as np

from brats_unet.data.labels.decide import decide, label_set
from brats_unet.data.labels.scheme_choice import sentences_about
from brats_unet.data.readers.discovery import find_masks
from brats_unet.data.readers.task_folder import declared_labels, read_description
from brats_unet.errors import DataError, SettingsError, some
from brats_unet.evaluation.grids import grid_mismatch
from brats_unet.evaluation.mask_scheme import recorded_convention, recorded_scheme, scheme_shown
from brats_unet.processes import map_in_processes
from brats_unet.scan_files import read_mask
from brats_unet.scan_formats import is_scan, stem
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Volume

Say = Callable[[str], None]


@dataclass(frozen=True)
class Source:
    """One source of masks.

    Attributes:
        name: Short name, for messages and tables.
        masks: Mask file of each case.
        convention: What the integers of the masks mean.
    """

    name: str
    masks: Mapping[str, Path]
    convention: Convention

    def labels(self, case_id: str, volume: Volume) -> np.ndarray:
        """Labels of a mask volume, as in memory, on the volume's grid."""
        return self.convention.decode(volume.array, where=str(self.masks[case_id]))


def sources_of(sources: Sequence[str], labels: Sequence[str], scheme: Scheme | None, log: Say) -> list[Source]:
    """Find the masks of each source and their label convention.

    Args:
        sources: Folders of masks, or mask files of one case; not mixed.
        labels: Label convention of each source, or "auto".
        scheme: What the masks show; None takes what `predict` or `fuse` recorded beside them, or decides it from all.
        log: Called with a sentence that names the scheme if it was decided, and one per source with its convention.

    Raises:
        DataError: Files and folders are mixed, a file is no mask, or a folder has no mask.
        SettingsError: The scheme, or the convention of a source, is ambiguous, or two recorded schemes differ.
    """
    paths = [Path(source) for source in sources]
    files = [path for path in paths if path.is_file()]
    if files and (len(files) < len(paths) or not all(map(is_scan, files))):
        raise DataError(
            "inputs: found files mixed with folders, or files that are no masks. "
            "Give only folders, or only masks of one case (.nii.gz, .nii, .mgz, .mha, .mhd or .nrrd)."
        )
    if files:
        case_id = _common_start([stem(path) for path in paths]).rstrip("-_.") or "fused"
        found: list[dict[str, Path]] = [{case_id: path} for path in paths]
    else:
        found = [find_masks(path) for path in paths]
    names = _names(paths)
    everything = [(index, case_id, path) for index, masks in enumerate(found) for case_id, path in masks.items()]
    sets = map_in_processes(_set_or_problem, [path for *_, path in everything], seconds_each=0.04)
    held: list[dict[str, frozenset[int]]] = [{} for _ in paths]
    for (index, case_id, _), one in zip(everything, sets, strict=True):
        if isinstance(one, frozenset):
            held[index][case_id] = one
    records = [recorded_convention(masks.values()) for masks in found]
    if scheme is None:
        scheme, why = recorded_scheme(dict(zip(names, records, strict=True))) or scheme_shown(labels, paths, held)
        log(f"Scheme: {scheme.name} ({why}).")
    conventions = _conventions(labels, paths, found, held, records, scheme)
    for name, convention, of_case in zip(names, conventions, held, strict=True):
        log(f"{name}: labels {convention.name} ({convention.why}).")
        for sentence in sentences_about(convention, of_case):
            log(f"{name}: {sentence}")
    return [Source(n, m, c) for n, m, c in zip(names, found, conventions, strict=True)]


def _common_start(names: Sequence[str]) -> str:
    """Longest prefix that all names share."""
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    return "".join(letters[0] for letters in same)


def _set_or_problem(path: Path) -> frozenset[int] | str:
    try:
        return label_set(path)
    except DataError as problem:  # reported when its case is read
        return str(problem)


def _conventions(
    settings: Sequence[str],
    paths: Sequence[Path],
    found: Sequence[Mapping[str, Path]],
    held: Sequence[Mapping[str, frozenset[int]]],
    records: Sequence[Convention | None],
    scheme: Scheme,
) -> list[Convention]:
    """Label convention of each input: set, recorded or shown; an ambiguous input follows the others if they agree."""
    decided: list[Convention | None] = []
    open_questions: dict[int, SettingsError] = {}
    for setting, path, masks, sets, record in zip(settings, paths, found, held, records, strict=True):
        if setting == "auto" and record is not None and record.scheme.means_the_same(scheme):
            decided.append(record)
            continue
        declared = declared_labels(read_description(path)) if path.is_dir() else None
        try:
            decided.append(decide(setting, "", sorted(masks), declared, sets, scheme=scheme, key="labels"))
        except SettingsError as problem:
            open_questions[len(decided)] = problem
            decided.append(None)
    known = {convention.name: convention for convention in decided if convention is not None}
    others = next(iter(known.values()), None)
    for index, sets in enumerate(held):
        if decided[index] is None:
            integers = frozenset().union(*sets.values())
            if len(known) != 1 or others is None or not integers <= set(others.to_label):
                raise SettingsError(
                    f"{paths[index]}: {open_questions[index]} Give one convention per input, as labels=[…]."
                )
            decided[index] = replace(others, why="same as the other inputs")
    return [convention for convention in decided if convention is not None]


def _names(paths: Sequence[Path]) -> list[str]:
    """Short unique names of the inputs: file or folder name, with the parent folder, then a number, if not unique."""
    plain = [stem(path) if path.is_file() else path.resolve().name for path in paths]
    if len(set(plain)) == len(plain):
        return plain
    longer = [f"{path.absolute().parent.name}/{name}" for path, name in zip(paths, plain, strict=True)]
    return longer if len(set(longer)) == len(longer) else [f"{name} ({i})" for i, name in enumerate(longer, 1)]


def cases_of(inputs: Sequence[Source], allow_missing: bool) -> list[str]:
    """Case ids to fuse, sorted.

    Args:
        inputs: Sources of masks.
        allow_missing: Accept a case that is in two inputs or more, instead of in every input.

    Raises:
        DataError: A case is in too few inputs. All such cases are listed, up to 50.
    """
    cases = sorted({case_id for one in inputs for case_id in one.masks})
    least = 2 if allow_missing else len(inputs)
    lines = []
    for case_id in cases:
        absent = [one.name for one in inputs if case_id not in one.masks]
        if len(inputs) - len(absent) < least:
            lines.append(f"{case_id}: no mask in {', '.join(absent)}.")
    if lines:
        expected = "at least two inputs" if allow_missing else "every input"
        advice = "" if allow_missing else " allow_missing=true fuses the masks that exist, at least two per case."
        raise DataError("\n".join(lines[:50]) + f"\nExpected every case in {expected}.{advice}")
    return cases


def references_of(folder: Path, cases: Sequence[str], inputs: Sequence[Source], log: Say) -> Source:
    """Expert masks of the cases. If their label convention is ambiguous, they follow the inputs.

    Args:
        folder: Folder of expert masks.
        cases: Case ids that need a reference.
        inputs: Sources of masks to fuse.
        log: Called with one sentence, which names the convention.

    Raises:
        DataError: A case has no reference, or a reference cannot be read.
        SettingsError: The convention is ambiguous, and the inputs have different ones.
    """
    masks = find_masks(folder)
    lacking = [case_id for case_id in cases if case_id not in masks]
    if lacking:
        raise DataError(
            f"{folder}: no reference for {some(lacking)}. Expected one for every case to fuse: add the missing masks, "
            "or leave out references=."
        )
    masks = {case_id: masks[case_id] for case_id in cases}
    sets = {case_id: label_set(path) for case_id, path in masks.items()}
    declared = declared_labels(read_description(folder))
    agreed = {one.convention.name: one.convention for one in inputs}
    try:
        convention = decide("auto", "", sorted(masks), declared, sets, scheme=inputs[0].convention.scheme, key="labels")
    except SettingsError:
        if len(agreed) != 1:
            raise
        convention = replace(next(iter(agreed.values())), why="same as the inputs")
    log(f"references: labels {convention.name} ({convention.why}).")
    return Source("references", masks, convention)


def reference_of(case_id: str, references: Source, like: Volume) -> np.ndarray:
    """Labels of an expert mask; DataError if it does not lie on the grid of `like`."""
    volume = read_mask(references.masks[case_id])
    if mismatch := grid_mismatch(like.array.shape, like.affine, volume.array.shape, volume.affine):
        raise DataError(f"{case_id}: the reference does not lie on the grid of the inputs: {mismatch}")
    return references.labels(case_id, volume)


def refuse_other_grids(case_id: str, sources: Sequence[Source], volumes: Sequence[Volume]) -> None:
    """Raise DataError unless all masks of a case lie on the grid of the first.

    Args:
        case_id: Case id, for the message.
        sources: Sources that have a mask of the case.
        volumes: Mask of each of these sources.
    """
    first = volumes[0]
    for source, volume in zip(sources[1:], volumes[1:], strict=True):
        if mismatch := grid_mismatch(first.array.shape, first.affine, volume.array.shape, volume.affine):
            raise DataError(
                f"{case_id}: the mask from {source.name} does not lie on the grid of the mask from {sources[0].name}: "
                f"{mismatch}"
            )
