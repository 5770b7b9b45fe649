"""Cases to predict: also those that lack a scan, where the network can do without, and files named one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from brats_unet.anatomy import Modality
from brats_unet.data.readers.discovery import Dataset, find_cases, survey
from brats_unet.data.readers.findings import refuse
from brats_unet.data.readers.naming import scan_name
from brats_unet.errors import DataError, SettingsError
from brats_unet.nifti import is_nifti, stem
from brats_unet.volume import Case, ImageFile


def cases_to_predict(root: str | Path, modalities: Sequence[Modality], *, fill_missing: bool) -> Dataset:
    """The cases of a folder, or of one case's own folder; see `discovery.find_cases`.

    Args:
        root: The folder.
        modalities: Scans that the networks know.
        fill_missing: Whether a case that lacks some of them, but not all, is taken too; it is said which.

    Raises:
        DataError: See `discovery.find_cases`; what a case lacks is a defect only where it may not.
    """
    if not fill_missing:
        return find_cases(root, modalities=modalities)
    found = survey(root, modalities=modalities)
    partial = [case for case in found.incomplete if case.images]
    lacking = tuple(f"no {modality} scan." for modality in modalities)
    rest = [d for d in found.defects if not d.found.startswith((*lacking, "None of the "))]
    refuse(found.dataset.root, rest)
    notes = [
        f"{case.id}: no {' and no '.join(m for m in modalities if m not in case.images)} scan; zeros stand for it."
        for case in partial
    ]
    cases = sorted((*found.dataset.cases, *partial), key=lambda case: case.id)
    return replace(found.dataset, cases=tuple(cases), notes=(*found.dataset.notes, *notes))


def named_case(
    files: Mapping[Modality, str], modalities: Sequence[Modality], *, name: str | None, fill_missing: bool
) -> Case:
    """One case from files that are named one by one.

    Args:
        files: By modality; more than `modalities` may be there.
        modalities: Scans that the networks know.
        name: Of the case; None takes it from the first file's name, or its folder's.
        fill_missing: Whether some may be missing.

    Raises:
        SettingsError: A scan that is needed was not named, two are one file, or the name holds a slash.
        DataError: There is no such file, or it is no NIfTI by its name.
    """
    missing = [modality for modality in modalities if modality not in files]
    if len(missing) == len(modalities) or (missing and not fill_missing):
        raise SettingsError(
            f"{', '.join(missing)} not set. The network knows {', '.join(modalities)}: give each file, as in "
            f"{missing[0]}=/scans/a_{missing[0]}.nii.gz."
            + ("" if fill_missing else " It was not trained to do without one (augmentation with modality dropout).")
        )
    wrong = [f"{key}={path}" for key, path in files.items() if not (Path(path).is_file() and is_nifti(Path(path)))]
    if wrong:
        raise DataError(f"{', '.join(wrong)}: expected a .nii or .nii.gz file. Correct the path.")
    images = {modality: ImageFile(Path(files[modality])) for modality in modalities if modality in files}
    by_path: dict[Path, Modality] = {}
    for modality, file in images.items():
        if (other := by_path.setdefault(file.path.resolve(), modality)) is not modality:
            raise SettingsError(f"{other} and {modality} are one file, {file.path}. Give each scan its own.")
    if name is None:
        first = next(iter(images.values())).path
        found = scan_name(stem(first))
        name = stem(first) if found is None else found.id or first.resolve().parent.name
    if not name or name in (".", "..") or any(mark in name for mark in "/\\"):
        raise SettingsError(f"case={name} is no name for a mask. Give one without slashes.")
    return Case(name, images)
