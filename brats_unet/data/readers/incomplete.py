"""Cases to predict: cases that may lack a scan, and a case whose files are given one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from brats_unet.data.readers.discovery import Dataset, survey
from brats_unet.data.readers.file_patterns import Patterns, matches
from brats_unet.data.readers.findings import refuse
from brats_unet.data.readers.naming import scan_name
from brats_unet.data.readers.tree import walk
from brats_unet.errors import DataError, SettingsError
from brats_unet.modality import Modality
from brats_unet.scan_formats import foreign, is_scan, stem
from brats_unet.volume import Case, ImageFile


def cases_to_predict(
    root: str | Path,
    modalities: Sequence[Modality],
    *,
    fill_missing: bool,
    spacing_mm: Sequence[float] | None = None,
    patterns: Patterns | None = None,
    trained: Patterns | None = None,
) -> Dataset:
    """The cases of a data folder or of the folder of a single case, as in `discovery.find_cases`.

    Args:
        root: The data folder.
        modalities: Scans that the networks expect.
        fill_missing: Whether to accept a case that lacks some of these scans, but not all; a note names each such case.
        spacing_mm: As in `discovery.find_cases`.
        patterns: As in `discovery.find_cases`; that of the mask is not used.
        trained: Patterns of the training data. Without `patterns`, they hold if they take a file of the folder, or
            name a scan that no known layout has.

    Raises:
        DataError: As in `discovery.find_cases`; a missing scan is a defect only if `fill_missing` is False.
    """
    if patterns is None and trained is not None:
        tree, own = walk(Path(root)), set(trained.scans) - set(Modality)
        patterns = trained if own or any(matches(tree, those) for those in trained.scans.values()) else None
    if patterns:
        scans = {name: patterns.scans[name] for name in patterns.scans if name in modalities}
        patterns = replace(patterns, scans=scans, mask=())
    found = survey(root, modalities=modalities, spacing_mm=spacing_mm, patterns=patterns, key="files")
    if not fill_missing:
        refuse(found.dataset.root, found.defects)
        return found.dataset
    partial = [case for case in found.incomplete if case.images]
    lacking = tuple(f"no {modality} scan." for modality in modalities)
    no_pattern = tuple(f"{patterns.key} has no pattern for {modality}." for modality in modalities if patterns)
    others = [d for d in found.defects if not d.found.startswith((*lacking, *no_pattern, "None of the "))]
    refuse(found.dataset.root, others)
    notes = [
        f"{case.id}: no {' and no '.join(m for m in modalities if m not in case.images)} scan; zeros are used instead."
        for case in partial
    ]
    cases = sorted((*found.dataset.cases, *partial), key=lambda case: case.id)
    return replace(found.dataset, cases=tuple(cases), notes=(*found.dataset.notes, *notes))


def named_case(
    files: Mapping[Modality, str], modalities: Sequence[Modality], *, name: str | None, fill_missing: bool
) -> Case:
    """One case from files that are given one by one.

    Args:
        files: Path of each scan by modality; modalities not in `modalities` are ignored.
        modalities: Scans that the networks expect.
        name: Case id; None takes it from the name of the first file or, if that is only a suffix, from its folder.
        fill_missing: Whether some scans, but not all, may be missing.

    Raises:
        SettingsError: A required scan is not given, two scans are the same file, or the name is empty, "." or ".." or
            contains a slash.
        DataError: A file does not exist, or is not named like one of a known format.
    """
    missing = [modality for modality in modalities if modality not in files]
    if len(missing) == len(modalities) or (missing and not fill_missing):
        raise SettingsError(
            f"{', '.join(missing)} not set. The network expects {', '.join(modalities)}: give each file, for example "
            f"{missing[0]}=/scans/a_{missing[0]}.nii.gz."
            + ("" if fill_missing else " It was not trained with missing scans (augmentation.modality_dropout).")
        )
    wrong = {f"{key}={path}": Path(path) for key, path in files.items() if not _is_file_of_scan(Path(path))}
    if wrong:
        kinds = {kind for path in wrong.values() if path.is_file() and (kind := foreign(path))}
        way = " ".join(f"It is {kind.one}. {kind.way}" for kind in kinds) or "Correct the path."
        raise DataError(f"{', '.join(wrong)}: expected a file in .nii.gz, .nii, .mgz, .mha, .mhd or .nrrd. {way}")
    images = {modality: ImageFile(Path(files[modality])) for modality in modalities if modality in files}
    by_path: dict[Path, Modality] = {}
    for modality, file in images.items():
        if (other := by_path.setdefault(file.path.resolve(), modality)) != modality:
            raise SettingsError(f"{other} and {modality} are the same file, {file.path}. Give each scan its own file.")
    if name is None:
        first = next(iter(images.values())).path
        found = scan_name(stem(first))
        name = stem(first) if found is None else found.id or first.resolve().parent.name
    if not name or name in (".", "..") or any(mark in name for mark in "/\\"):
        raise SettingsError(f"case={name} cannot be the name of a mask file. Give a name without slashes.")
    return Case(name, images)


def _is_file_of_scan(path: Path) -> bool:
    return path.is_file() and is_scan(path)
