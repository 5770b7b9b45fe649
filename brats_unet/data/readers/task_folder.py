"""Read folders with `imagesTr`, `labelsTr` and `dataset.json`: MSD Task01_BrainTumour and nnU-Net raw datasets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brats_unet.data.readers.findings import Finding, error
from brats_unet.data.readers.naming import CHANNEL_NAMES, MSD_CHANNELS, NNUNET_NAME, channel_modality, patient_of
from brats_unet.data.readers.tree import NiftiFile, Tree
from brats_unet.errors import DataError
from brats_unet.hand_written import json_values
from brats_unet.modality import Modality
from brats_unet.volume import Case, ImageFile

IMAGES = ("imagesTr", "imagesTs")
FOLDERS = (*IMAGES, "labelsTr", "labelsTs")
Labels = Mapping[str, int | list[int]]


@dataclass
class TaskCases:
    """Result of `read_task`; the fields mean the same as in `discovery.Dataset` and `discovery.Survey`."""

    layout: str
    declared_labels: Labels | None
    cases: list[Case] = field(default_factory=list)
    incomplete: list[Case] = field(default_factory=list)
    defects: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def task_bases(tree: Tree) -> list[Path]:
    """MSD or nnU-Net dataset folders: parents of imagesTr or imagesTs, else the root if it holds channel files."""
    bases = {file.folder.parent for file in tree.files if file.folder.name in IMAGES}
    if not bases:  # a renamed copy of imagesTs, with its dataset.json inside or one folder above
        for file in tree.files:
            if NNUNET_NAME.fullmatch(file.stem) and file.folder == tree.root and description_file(tree.root):
                bases.add(tree.root)
    return sorted(bases)


def read_task(tree: Tree, base: Path, modalities: Sequence[Modality]) -> TaskCases:
    """The cases of one MSD or nnU-Net dataset.

    Args:
        tree: Files of the data folder that contains `base`.
        base: Dataset folder: the parent of imagesTr.
        modalities: Requested modalities.

    Raises:
        DataError: dataset.json is required but missing, cannot be read, or does not name the requested channels.
    """
    scans = [file for file in tree.files if file.folder.parent == base and file.folder.name in IMAGES]
    scans = scans or [file for file in tree.files if file.folder == base]
    masks = {f.stem: f for f in tree.files if f.folder.parent == base and f.folder.name == "labelsTr"}
    description = read_description(base)
    by_channel = all(NNUNET_NAME.fullmatch(file.stem) for file in scans)
    found = TaskCases("nnunet" if by_channel else "msd", declared_labels(description))
    channels = _channels(base, description, found, modalities)

    files: dict[str, dict[int | None, NiftiFile]] = {}
    for file in scans:
        match = NNUNET_NAME.fullmatch(file.stem) if by_channel else None
        case_id, channel = (match["id"], int(match["channel"])) if match else (file.stem, None)
        channel_files = files.setdefault(case_id, {})
        if channel in channel_files:
            twice = f"two files for one scan: {channel_files[channel].path} and {file.path}. Expected one."
            found.defects.append(error(case_id, twice, "Remove or rename one of them."))
        channel_files[channel] = file
    for case_id, parts in sorted(files.items()):
        images = {}
        for modality, channel in channels.items():
            if not by_channel:
                images[modality] = ImageFile(parts[None].path, channel)
            elif channel in parts:
                images[modality] = ImageFile(parts[channel].path)
        first = next(iter(parts.values()))
        mask = masks.pop(case_id, None) if first.folder.name != "imagesTs" else None
        case = Case(case_id, images, mask.path if mask else None, patient_of(case_id))
        missing = [modality for modality in channels if modality not in images]
        for modality in missing:
            found.defects.append(
                error(
                    case_id,
                    f"no {modality} scan. Expected {case_id}_{channels[modality]:04d}.nii.gz in {first.folder}.",
                    "Convert the case again, or list it under data.leave_out.",
                )
            )
        (found.incomplete if missing else found.cases).append(case)
    for case_id, file in sorted(masks.items()):
        found.defects.append(
            error(case_id, f"a mask without scans ({file.path}).", "Add its scans to imagesTr, or remove the mask.")
        )
    return found


def _channels(
    base: Path, description: Mapping[str, Any] | None, found: TaskCases, modalities: Sequence[Modality]
) -> dict[Modality, int]:
    """Channel number of each requested modality."""
    names = _channel_names(description or {})
    if names is None and found.layout == "nnunet":
        raise DataError(
            f"{base}: no dataset.json with channel_names was found, so the modality of _0000 is unknown. "
            f'Add one: {{"channel_names": {{"0": "FLAIR", "1": "T1", "2": "T1CE", "3": "T2"}}, "labels": …}}.'
        )
    if names is None:
        found.notes.append(f"dataset.json names no channels: MSD's order is used ({', '.join(MSD_CHANNELS)}).")
        names = dict(enumerate(MSD_CHANNELS))
    channels: dict[Modality, int] = {}
    for channel, name in sorted(names.items()):
        modality = channel_modality(name)
        if modality is not None and modality in channels:
            raise DataError(
                f"{base}/dataset.json: channels {channels[modality]} and {channel} ({name}) are both {modality}. "
                f"Expected each modality once: correct the names."
            )
        if modality is not None:
            channels[modality] = channel
    missing = [modality for modality in modalities if modality not in channels]
    if missing:
        listed = ", ".join(f"{channel} {name}" for channel, name in sorted(names.items()))
        raise DataError(
            f"{base}/dataset.json: no channel is named {' or '.join(missing)} (channels: {listed}). Rename the "
            f"channels to names from {', '.join(sorted(CHANNEL_NAMES))}, or request fewer with data.modalities=[…]."
        )
    return {modality: channels[modality] for modality in modalities}


def _channel_names(description: Mapping[str, Any]) -> dict[int, str] | None:
    names = description.get("channel_names", description.get("modality"))
    if not isinstance(names, Mapping) or not names or not all(str(key).isdigit() for key in names):
        return None
    return {int(key): str(name) for key, name in names.items()}


def description_file(folder: Path) -> Path | None:
    """Path of the dataset.json that describes `folder`, in it or in its parent folder; None if there is none."""
    return next((p for p in (folder / "dataset.json", folder.parent / "dataset.json") if p.is_file()), None)


def read_description(folder: Path) -> Mapping[str, Any] | None:
    """Content of the dataset.json that describes `folder`; None if there is none.

    Raises:
        DataError: The file cannot be read or does not hold a JSON object.
    """
    path = description_file(folder)
    if path is None:
        return None
    try:
        content = json_values(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as problem:
        raise DataError(f"{path}: cannot be read as JSON ({problem}). Correct it, or download it again.") from problem
    if not isinstance(content, dict):
        raise DataError(f"{path}: holds a JSON {type(content).__name__}. Expected an object with labels and channels.")
    return content


def declared_labels(description: Mapping[str, Any] | None) -> Labels | None:
    """The "labels" of dataset.json as name -> integer, or name -> integers for a region.

    Both forms are read: name -> integer (nnU-Net) and integer -> name (MSD). None if there are no labels or if they are
    in another form.
    """
    labels = (description or {}).get("labels")
    if not isinstance(labels, Mapping) or not labels:
        return None
    if all(str(key).isdigit() for key in labels):
        return {str(name): int(key) for key, name in labels.items()}
    declared: dict[str, int | list[int]] = {}
    for name, value in labels.items():
        integers = value if isinstance(value, list) else [value]
        if not integers or not all(isinstance(i, int) and not isinstance(i, bool) for i in integers):
            return None
        declared[str(name)] = [int(i) for i in integers] if isinstance(value, list) else integers[0]
    return declared
