"""Read folders of TIFF slices: the LGG MRI Segmentation data set as it is downloaded (kaggle_3m), or a patient of it.

`<patient>/<patient>_<n>.tif` holds T1, FLAIR and T1ce as the channels of an RGB picture, `<…>_<n>_mask.tif` the mask.
The data set replaces a sequence that a patient lacks by FLAIR: such a copy is recognised and counts as absent.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brats_unet.data.readers.findings import Finding, error
from brats_unet.data.readers.tree import Tree
from brats_unet.errors import DataError, some
from brats_unet.modality import Modality
from brats_unet.tiff_slices import MASK, SCANS, Slices, picture_size, read_picture, read_scans, slices_in
from brats_unet.volume import Case, ImageFile, Spacing

LGG = "lgg"
CHANNELS: Mapping[Modality, int] = {Modality.T1: 0, Modality.FLAIR: 1, Modality.T1CE: 2}
DOWNLOAD = "Download the case again, or list it under data.leave_out."
NAMED = 3  # cases and files that a sentence names


@dataclass
class SliceFolders:
    """Result of `read_slice_folders`; the fields mean the same as in `discovery.Dataset` and `discovery.Survey`.

    Attributes:
        broken: Ids of cases whose files are missing or broken, which `defects` describes.
    """

    layout: str = LGG
    declared_labels: Mapping[str, int | list[int]] | None = None
    cases: list[Case] = field(default_factory=list)
    incomplete: list[Case] = field(default_factory=list)
    defects: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)


def read_slice_folders(tree: Tree, modalities: Sequence[Modality], spacing_mm: Spacing | None) -> SliceFolders:
    """The cases of a data folder, or of the folder of one patient; every header and one slice of a patient are read.

    Args:
        tree: Files of the data folder.
        modalities: Requested modalities; a case that lacks one is put into `incomplete`, with a defect.
        spacing_mm: Edge lengths of a voxel along L, P, S, in millimetres; None if they are unknown.

    Raises:
        DataError: No file is named like a slice, or the folder holds several copies of one patient.
    """
    by_folder: dict[Path, list[Path]] = {}
    for path in tree.pictures:
        by_folder.setdefault(path.parent, []).append(path)
    folders = [slices_in(folder, paths) for folder, paths in sorted(by_folder.items())]
    patients = [slices for slices in folders if slices.names]
    if not patients:
        first = tree.pictures[0].name
        raise DataError(
            f"{tree.root}: {len(tree.pictures)} TIFF files, none named like a slice (first: {first}). Expected "
            f"<patient>_<n>.tif and <patient>_<n>_mask.tif, as in the LGG MRI Segmentation data set."
        )
    _refuse_copies(tree.root, patients)
    found = SliceFolders()
    for slices in folders:
        case_id = slices.folder.resolve().name
        problems = _problems(slices)
        copied: list[Modality] = []
        if not problems:
            try:
                copied = _copies_of_flair(slices, modalities)
            except DataError as problem:
                problems.append(str(problem))
        found.broken |= {case_id} if problems else set()
        images = {
            modality: ImageFile(slices.folder, CHANNELS[modality], spacing_mm)
            for modality in modalities
            if modality in CHANNELS and modality not in copied
        }
        unknown = [modality for modality in modalities if modality not in CHANNELS]
        case = Case(case_id, images, slices.folder if slices.masks else None, absent=tuple(copied))
        found.defects += [error(case_id, text, _remedy(text)) for text in problems]
        for modality in unknown:
            remedy = "Set data=lgg, or leave this scan out of data.modalities."
            found.defects.append(error(case_id, f"no {modality} scan. Slices hold t1, flair and t1ce.", remedy))
        if not images and not unknown:
            lacking = f"FLAIR stands in place of its {' and '.join(copied)}, so no requested scan is left."
            remedy = "Add flair to data.modalities, or list the case under data.leave_out."
            found.defects.append(error(case_id, lacking, remedy))
        (found.incomplete if unknown or not images else found.cases).append(case)
    if spacing_mm is None:
        found.notes.append("The spacing of the slices is unknown: nothing is measured in mm or ml.")
    _note_copies(found)
    return found


def _remedy(text: str) -> str:
    if text.endswith("again."):  # the message of a DataError, which holds its remedy
        return ""
    return DOWNLOAD


def _refuse_copies(root: Path, patients: Iterable[Slices]) -> None:
    """Raise DataError if patients occur twice, as in the archive, which holds the whole data set two times."""
    parents: dict[str, list[Path]] = {}
    for slices in patients:
        parents.setdefault(slices.folder.resolve().name, []).append(slices.folder.parent)
    twice = {name: folders for name, folders in parents.items() if len(folders) > 1}
    if twice:
        name, folders = next(iter(twice.items()))
        listed = " and ".join(str(folder.relative_to(root)) for folder in folders[:NAMED])
        raise DataError(
            f"{root}: holds {len(twice)} patients more than once ({name} in {listed}). Set data.root to one copy."
        )


def _problems(slices: Slices) -> list[str]:
    """What is wrong with the files of one patient by their names and headers, in sentences; empty if nothing is."""
    found = []
    if slices.others:
        found.append(
            f"{_files(slices.others)} not named like a slice. Expected <patient>_<n>.tif and <patient>_<n>_mask.tif."
        )
    if len(slices.names) > 1:
        found.append(
            f"slices of {len(slices.names)} patients ({some(sorted(slices.names))}). Expected one folder for each."
        )
        return found
    if not slices.names:
        return found
    if slices.twice:
        listed = ", ".join(f"{one.name} and {other.name}" for one, other in slices.twice[:NAMED])
        more = f" and {len(slices.twice) - NAMED} more pairs" if len(slices.twice) > NAMED else ""
        found.append(f"two files for one slice: {listed}{more}. Expected each slice once.")
    if not slices.images:
        return [*found, f"{len(slices.masks)} masks without slices."]
    missing = sorted(set(range(1, max(slices.images) + 1)) - set(slices.images))
    if missing:
        found.append(f"no slice {_numbers(missing)}. Expected every number from 1 to {max(slices.images)}.")
    if lonely := sorted(set(slices.masks) - set(slices.images) - set(missing)):
        found.append(f"a mask without a slice: {_numbers(lonely)}.")
    if masked := sorted(set(slices.masks) & set(missing)):
        found.append(f"a mask without its slice: {_numbers(masked)}.")
    if slices.masks and (bare := sorted(set(slices.images) - set(slices.masks))):
        found.append(f"no mask of slice {_numbers(bare)}. Expected one for each slice, or none at all.")
    return [*found, *_header_problems(slices)]


def _header_problems(slices: Slices) -> list[str]:
    """What the headers show: unreadable files, wrong channels, several sizes."""
    found: list[str] = []
    unreadable: list[Path] = []
    sizes: dict[Path, tuple[int, int]] = {}
    for group, mode, expected in (
        (slices.images, SCANS, "RGB with 8 bits a channel"),
        (slices.masks, MASK, "one grey channel of 8 bits"),
    ):
        wrong: dict[Path, str] = {}
        for path in group.values():
            try:
                sizes[path], channels = picture_size(path)
            except DataError:
                unreadable.append(path)
                continue
            if channels != mode:
                wrong[path] = channels
        if wrong:
            kinds = ", ".join(sorted(set(wrong.values())))
            found.append(f"{_files(list(wrong))} stored as {kinds}. Expected {expected}.")
    if unreadable:
        found.insert(0, f"{_files(unreadable)} empty or not readable as TIFF.")
    counts = Counter(sizes.values()).most_common()
    if len(counts) > 1:
        usual, _ = counts[0]
        odd = [path for path, size in sizes.items() if size != usual]
        columns, rows = sizes[odd[0]]
        found.append(
            f"{_files(odd)} of another size ({columns}×{rows} pixels). Expected {usual[0]}×{usual[1]}, as the "
            f"other files."
        )
    return found


def truncated_slices(folder: Path, told: Sequence[str]) -> str:
    """Which files of a folder have a sound header but cannot be read to their end, in a sentence; "" if none.

    Args:
        folder: Folder of slices.
        told: Sentences about its files; a file that one of them names is left out.
    """
    slices, found = slices_in(folder), []
    for group, mode in ((slices.images, SCANS), (slices.masks, MASK)):
        for path in group.values():
            try:
                if picture_size(path)[1] != mode:
                    continue
            except DataError:
                continue
            try:
                read_picture(path, mode)
            except DataError:
                found.append(path)
    new = [path for path in found if not any(path.name in sentence for sentence in told)]
    return f"{_files(new)} truncated." if new else ""


def _copies_of_flair(slices: Slices, modalities: Sequence[Modality]) -> list[Modality]:
    """The requested modalities whose channel equals FLAIR in every slice; the middle slice decides for most cases."""
    others = [modality for modality in modalities if modality in CHANNELS and modality is not Modality.FLAIR]
    middle = list(slices.images.values())[len(slices.images) // 2]
    likely = _equal_to_flair(read_picture(middle, SCANS), others)
    return _equal_to_flair(read_scans(slices.folder), likely) if likely else []


def _equal_to_flair(picture: np.ndarray, modalities: Sequence[Modality]) -> list[Modality]:
    flair = picture[..., CHANNELS[Modality.FLAIR]]
    return [modality for modality in modalities if np.array_equal(picture[..., CHANNELS[modality]], flair)]


def _note_copies(found: SliceFolders) -> None:
    """One note about the cases with copies of FLAIR, if there are any."""
    cases = [case for case in (*found.cases, *found.incomplete) if case.absent]
    if not cases:
        return
    counts = Counter(modality for case in cases for modality in case.absent)
    listed = ", ".join(f"{modality} in {counts[modality]}" for modality in Modality if counts[modality])
    names = some([case.id for case in cases])
    total = len(found.cases) + len(found.incomplete)
    found.notes.append(
        f"{len(cases)} of {total} cases lack a sequence: its channel is a copy of FLAIR ({listed}; {names}). It counts "
        f"as missing: the network gets zeros."
    )


def _files(paths: Sequence[Path]) -> str:
    """The beginning of a sentence about files: "a.tif is", "a.tif and 2 other files are"."""
    if len(paths) == 1:
        return f"{paths[0].name} is"
    return f"{paths[0].name} and {len(paths) - 1} other file{'s' if len(paths) > 2 else ''} are"


def _numbers(numbers: Sequence[int]) -> str:
    """Numbers of slices, at most ten."""
    listed = ", ".join(map(str, numbers[:10]))
    return f"{listed} and {len(numbers) - 10} more" if len(numbers) > 10 else listed
