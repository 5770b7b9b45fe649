"""Read folders with BraTS file names: one file per scan, `<case>_flair.nii.gz` or `<case>-t2f.nii.gz`, at any depth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brats_unet.data.readers.findings import Finding, error
from brats_unet.data.readers.naming import MISNAMED_MASKS, NEW_SUFFIXES, OLD_SUFFIXES, patient_of, scan_name
from brats_unet.data.readers.tree import NiftiFile, Tree
from brats_unet.modality import Modality
from brats_unet.scan_formats import NIFTI, suffix_of
from brats_unet.volume import Case, ImageFile

OLD, NEW = "brats2018-2021", "brats2023+"
WORDS = {1: "one", 2: "two", 3: "three"}


@dataclass
class ScanFolders:
    """Result of `read_scan_folders`; the fields mean the same as in `discovery.Dataset` and `discovery.Survey`."""

    layout: str = OLD
    declared_labels: Mapping[str, int | list[int]] | None = None
    cases: list[Case] = field(default_factory=list)
    incomplete: list[Case] = field(default_factory=list)
    defects: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass
class _Files:
    """The files of one case: its scans by modality and its mask."""

    scans: dict[Modality, NiftiFile] = field(default_factory=dict)
    mask: NiftiFile | None = None
    is_new: bool = False
    separator: str = "_"


def read_scan_folders(tree: Tree, modalities: Sequence[Modality]) -> ScanFolders:
    """The cases of a folder with BraTS file names; scans and mask of one case may be in different folders.

    Args:
        tree: Files of the data folder.
        modalities: Requested modalities; a case that lacks one is put into `incomplete`, with a defect.
    """
    found = ScanFolders()
    by_id, unknown = _grouped(tree, found)
    _assign_misnamed_masks(by_id, found)
    for case_id, files in sorted(by_id.items()):
        if not files.scans:
            if files.mask:
                lonely = f"a mask without scans ({files.mask.path})."
                found.defects.append(error(case_id, lonely, "Add the scans, or remove the mask."))
            continue
        missing = [m for m in modalities if m not in files.scans]
        found.defects.extend(_missing_scan(case_id, files, m, modalities) for m in missing)
        images = {m: ImageFile(files.scans[m].path) for m in modalities if m in files.scans}
        case = Case(case_id, images, files.mask.path if files.mask else None, patient_of(case_id))
        (found.incomplete if missing else found.cases).append(case)
    _set_layout(by_id, found)
    if unknown and (found.cases or found.incomplete):
        first = unknown[0].path.name
        found.notes.append(f"{len(unknown)} NIfTI files with other names were skipped (first: {first}).")
    return found


def _grouped(tree: Tree, found: ScanFolders) -> tuple[dict[str, _Files], list[NiftiFile]]:
    """The files by case id, and the files with unknown names; two files for one scan or mask are a defect."""
    by_id: dict[str, _Files] = {}
    unknown = []
    for file in tree.files:
        name = scan_name(file.stem)
        if name is None:
            unknown.append(file)
            continue
        files = by_id.setdefault(name.id or file.folder.resolve().name, _Files())
        before = files.mask if name.modality is None else files.scans.get(name.modality)
        if before is not None:
            found.defects.append(
                error(
                    name.id or file.folder.name,
                    f"two files for its {name.modality or 'mask'}: {before.path} and {file.path}. Expected one.",
                    "Remove one, or set data.root to the folder that holds the right one.",
                )
            )
        elif name.modality is None:
            files.mask = file
        else:
            files.scans[name.modality] = file
            files.is_new |= name.is_new
            files.separator = name.separator
    return by_id, unknown


def _assign_misnamed_masks(by_id: dict[str, _Files], found: ScanFolders) -> None:
    """Assign a misnamed mask to the case in the same folder, such as W39_1998.09.19_Segm.nii of BraTS 2020 case 355."""
    cases_in: dict[Path, list[str]] = {}
    unassigned_in: dict[Path, list[str]] = {}
    for case_id, files in by_id.items():
        if files.scans:
            for folder in {file.folder for file in files.scans.values()}:
                cases_in.setdefault(folder, []).append(case_id)
        elif files.mask:
            unassigned_in.setdefault(files.mask.folder, []).append(case_id)
    for folder, orphans in unassigned_in.items():
        for orphan in orphans:
            mask = by_id[orphan].mask
            assert mask is not None
            owner = MISNAMED_MASKS.get(mask.stem)
            if owner not in by_id and len(cases_in.get(folder, [])) == 1 and len(orphans) == 1:
                owner = cases_in[folder][0]
            if owner is None or owner not in by_id or by_id[owner].mask is not None:
                continue
            by_id[owner].mask, by_id[orphan].mask = mask, None
            found.notes.append(f"{owner}: {mask.path.name} is used as its mask.")


def _missing_scan(case_id: str, files: _Files, modality: Modality, modalities: Sequence[Modality]) -> Finding:
    present = [m for m in modalities if m in files.scans]
    sibling = next(iter(files.scans.values()))
    ending = suffix_of(sibling.path) or NIFTI[0]
    table = NEW_SUFFIXES if files.is_new else OLD_SUFFIXES
    suffix = next((word for word, stands_for in table.items() if stands_for == modality), None)
    if suffix is None:
        known = ", ".join(dict.fromkeys(map(str, table.values())))
        return error(
            case_id,
            f"no {modality} scan: file names of BraTS have no such sequence, only {known}.",
            "Name its files by patterns: data=files data.files=….",
        )
    prefix = f"{case_id}{files.separator}" if files.separator else ""
    others = f"beside the other {WORDS.get(len(present), len(present))}" if present else f"in {sibling.folder}"
    return error(
        case_id,
        f"no {modality} scan. Expected {prefix}{suffix}{ending} {others}.",
        "Download the case again, or list it under data.leave_out.",
    )


def _set_layout(by_id: dict[str, _Files], found: ScanFolders) -> None:
    """Set the layout by the naming scheme; both schemes together are a defect, as their labels differ in meaning."""
    new = sorted(case_id for case_id, files in by_id.items() if files.scans and files.is_new)
    old = sorted(case_id for case_id, files in by_id.items() if files.scans and not files.is_new)
    found.layout = NEW if new else OLD
    if new and old:
        found.defects.append(
            error(
                "",
                f"{len(old)} cases have BraTS 2018-2021 names (first: {old[0]}), {len(new)} have BraTS 2023+ names "
                f"(first: {new[0]}); their labels mean different things.",
                "Set data.root to a folder with only one kind of names.",
            )
        )
