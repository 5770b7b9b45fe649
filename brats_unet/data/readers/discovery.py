"""Find the cases of a data folder, whatever BraTS-family layout it has, without opening a scan.

Read: BraTS 2018-2021 and 2023+ naming (nested up to five folders deep or flat; .nii, .nii.gz, files inside folders of
their own name), MSD Task01 and nnU-Net raw folders. The folder is only ever read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brats_unet.anatomy import Modality
from brats_unet.data.readers import task_folder
from brats_unet.data.readers.findings import Finding, error, refuse
from brats_unet.data.readers.grades import folder_grade, grade_table
from brats_unet.data.readers.mask_folder import find_masks
from brats_unet.data.readers.scan_folders import ScanFolders, read_scan_folders
from brats_unet.data.readers.task_folder import Labels, TaskCases
from brats_unet.data.readers.tree import Tree, walk
from brats_unet.errors import DataError
from brats_unet.volume import Case

__all__ = ["Dataset", "Survey", "find_cases", "find_masks", "survey"]
NEEDS_CONVERSION = {
    ".mha": "MetaImage files, as BRATS 2012-2015 has them",
    ".dcm": "DICOM files",
    ".nrrd": "NRRD files",
}
NEEDS_UNPACKING = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")


@dataclass(frozen=True)
class Dataset:
    """A data folder as found.

    Attributes:
        root: The folder.
        layout: "brats2018-2021", "brats2023+", "msd" or "nnunet".
        cases: Sorted by id; each has every modality asked for, in the order of `Modality`; the mask may be None.
        declared_labels: "labels" of dataset.json as name -> integer or integers of a region, None without one.
        notes: What was accepted on the way, in sentences.
    """

    root: Path
    layout: str
    cases: tuple[Case, ...]
    declared_labels: Labels | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """A data folder with all that is wrong with it.

    Attributes:
        dataset: Its sound cases.
        incomplete: Cases that lack a scan that was asked for, with those they have.
        defects: What would stop a training, in the order of the cases.
    """

    dataset: Dataset
    incomplete: tuple[Case, ...]
    defects: tuple[Finding, ...]


def find_cases(
    root: str | Path, *, modalities: Sequence[Modality], leave_out: Sequence[str] = (), masks_required: bool = False
) -> Dataset:
    """The cases of a folder (or of one case's own folder), or one message that lists every defect.

    Args:
        root: The folder.
        modalities: Scans that each case must have; others are passed over.
        leave_out: Ids of cases to pass over, broken or not.
        masks_required: Whether a case without a mask is a defect.

    Raises:
        DataError: A wrong path, a file, an empty folder, nothing recognised, or defects, all of them listed.
    """
    found = survey(root, modalities=modalities, leave_out=leave_out)
    defects = list(found.defects)
    if masks_required:
        for case in found.dataset.cases:
            if case.mask is None:
                defects.append(error(case.id, "no mask.", "Add it, or list the case under data.leave_out."))
    refuse(found.dataset.root, defects)
    return found.dataset


def survey(root: str | Path, *, modalities: Sequence[Modality], leave_out: Sequence[str] = ()) -> Survey:
    """Like `find_cases`, but defects of cases are returned, not raised: those of the whole folder still are."""
    root = Path(root)
    wanted = [modality for modality in Modality if modality in set(modalities)]
    tree, base = _tree_of(root)
    found: TaskCases | ScanFolders
    if base is not None:
        found = task_folder.read_task(tree, base, wanted)
    else:
        found = read_scan_folders(tree, wanted)
    if not (found.cases or found.incomplete):
        refuse(root, [*tree.defects, *found.defects])
        raise DataError(f"{root}: {nothing_recognised(tree)}")

    left_out = set(leave_out)
    here = {case.id for case in (*found.cases, *found.incomplete)}
    notes = [*tree.notes, *found.notes]
    if absent := sorted(left_out - here):
        notes.append(f"data.leave_out names {', '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} not here.")
    cases = [case for case in found.cases if case.id not in left_out]
    incomplete = tuple(case for case in found.incomplete if case.id not in left_out)
    defects = [*tree.defects, *(defect for defect in found.defects if defect.case not in left_out)]
    if not cases and not incomplete:
        raise DataError(f"{root}: data.leave_out names all of its {len(here)} cases. Leave some in.")
    defects = _joined(defects, [*cases, *incomplete], wanted)
    without = sum(case.mask is None for case in cases)
    if 0 < without < len(cases):
        notes.append(f"{without} of {len(cases)} cases have no mask: they are for prediction only.")
    cases = _graded(tree, cases, notes)
    dataset = Dataset(root, found.layout, tuple(sorted(cases, key=lambda c: c.id)), found.declared_labels, tuple(notes))
    return Survey(dataset, incomplete, tuple(defects))


def _tree_of(root: Path) -> tuple[Tree, Path | None]:
    """The files to read, and the folder of the MSD or nnU-Net dataset they belong to, if they do."""
    if root.absolute().name in task_folder.IMAGES and root.is_dir():  # given by itself: its masks lie beside it
        root = root.absolute()
        whole = walk(root.parent, skip=lambda name: name in task_folder.FOLDERS and name not in (root.name, "labelsTr"))
        masks = whole.root / "labelsTr" if root.name == "imagesTr" else None
        whole.files = [file for file in whole.files if file.folder in (whole.root / root.name, masks)]
        return whole, root.parent
    tree = walk(root)
    bases = task_folder.task_bases(tree)
    if len(bases) > 1:
        names = ", ".join(str(base.relative_to(root)) for base in bases[:5]) + (", …" if len(bases) > 5 else "")
        raise DataError(f"{root}: holds {len(bases)} datasets ({names}). Give data.root=… one of them.")
    return tree, bases[0] if bases else None


def _graded(tree: Tree, cases: list[Case], notes: list[str]) -> list[Case]:
    """The cases with their grades: from the table, else from a folder HGG or LGG."""
    table = grade_table(tree)
    graded = []
    for case in cases:
        first = next(iter(case.images.values())).path
        graded.append(replace(case, grade=table.get(case.id) or folder_grade(tree.root, first.parent)))
    known = sum(case.grade is not None for case in graded)
    if 0 < known < len(graded):
        notes.append(f"The grade is known of {known} of {len(graded)} cases.")
    return graded


def _joined(defects: list[Finding], cases: Sequence[Case], modalities: Sequence[Modality]) -> list[Finding]:
    """One defect instead of hundreds where no case at all has a modality that was asked for."""
    lacking = [m for m in modalities if len(cases) > 1 and not any(m in case.images for case in cases)]
    if not lacking:
        return defects
    kept = [d for d in defects if not any(d.found.startswith(f"no {modality} scan.") for modality in lacking)]
    rest = ",".join(m for m in modalities if m not in lacking)
    whole = error(
        "", f"None of the {len(cases)} cases has a {' or '.join(lacking)} scan.", f"Set data.modalities=[{rest}]."
    )
    return [whole, *kept]


def nothing_recognised(tree: Tree) -> str:
    """What a folder without cases holds, and what to do: the end of a sentence that opens with its path."""
    wanted = "Expected cases named as BraTS names them (<case>_flair.nii.gz or <case>-t2f.nii.gz), or imagesTr/"
    if tree.files:
        names = ", ".join(file.path.name for file in tree.files[:3])
        return f"{len(tree.files)} NIfTI files, none named as a scan of a case ({names}, …). {wanted}"
    for ending, what in NEEDS_CONVERSION.items():
        if count := tree.others[ending]:
            return f"no NIfTI file, but {count} {what} ({ending}). Convert them to .nii.gz first."
    for ending in NEEDS_UNPACKING:
        if count := tree.others[ending]:
            return f"no NIfTI file, but {count} archives ({ending}). Unpack them first."
    return f"no NIfTI file within five folders. {wanted}"
