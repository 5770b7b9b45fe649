"""Find the cases of a data folder in any known layout; scans are found by their names, without decoding a scan.

Supported layouts: BraTS 2018-2021 and BraTS 2023+ naming (flat or nested up to five folders deep; any format of
`scan_formats`; also files inside a folder with the file's own name), MSD Task01 and nnU-Net raw folders, and the TIFF
slices of the LGG MRI Segmentation data set; and any folder by patterns of file names. Nothing is written to the folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brats_unet.data.readers import task_folder
from brats_unet.data.readers.file_patterns import FILES, Patterns
from brats_unet.data.readers.file_presets import MASK
from brats_unet.data.readers.findings import Finding, error, refuse
from brats_unet.data.readers.grades import folder_grade, grade_table, lgg_strata
from brats_unet.data.readers.mask_folder import find_masks
from brats_unet.data.readers.pattern_folders import PatternFolders, read_pattern_folders
from brats_unet.data.readers.pattern_guess import guessed_settings
from brats_unet.data.readers.scan_folders import ScanFolders, read_scan_folders
from brats_unet.data.readers.slice_folders import LGG, SliceFolders, read_slice_folders
from brats_unet.data.readers.task_folder import Labels, TaskCases
from brats_unet.data.readers.tree import Tree, walk
from brats_unet.data.readers.unknown_folder import nothing_recognised
from brats_unet.errors import DataError, SettingsError
from brats_unet.modality import Modality, in_order
from brats_unet.scan_files import spacing_known
from brats_unet.volume import Case, Spacing

__all__ = ["Dataset", "Survey", "find_cases", "find_masks", "survey"]


@dataclass(frozen=True)
class Dataset:
    """The cases of a data folder.

    Attributes:
        root: The data folder.
        layout: "brats2018-2021", "brats2023+", "msd", "nnunet", "lgg" or "files".
        cases: Cases sorted by id; each has every requested modality, in the order of `in_order`; the mask may be None.
        declared_labels: "labels" of dataset.json: name -> integer, or the integers of a region; None if there are none.
        notes: Sentences about irregularities that were accepted.
    """

    root: Path
    layout: str
    cases: tuple[Case, ...]
    declared_labels: Labels | None = None
    notes: tuple[str, ...] = ()

    @property
    def spacing_known(self) -> bool:
        """Whether the voxels of its scans are known in mm: always, except for slices without a given spacing."""
        return all(spacing_known(case.images) for case in self.cases)


@dataclass(frozen=True)
class Survey:
    """A data folder with all of its defects.

    Attributes:
        dataset: The data folder with its complete cases.
        incomplete: Cases that lack a requested scan, with the scans that they have.
        defects: Errors that stop training, in the order of the cases.
        broken: Ids of cases whose slices are missing or broken: `defects` holds what is wrong with them.
    """

    dataset: Dataset
    incomplete: tuple[Case, ...]
    defects: tuple[Finding, ...]
    broken: frozenset[str] = frozenset()


def slice_spacing_mm(reader: str, spacing_mm: Sequence[float] | None) -> Sequence[float] | None:
    """The settings data.name and data.spacing_mm as the spacing of slices; phantoms are made with it, and hold it."""
    return None if reader == "phantom" else spacing_mm


def find_cases(
    root: str | Path,
    *,
    modalities: Sequence[Modality],
    leave_out: Sequence[str] = (),
    masks_required: bool = False,
    spacing_mm: Sequence[float] | None = None,
    slices: bool = False,
    patterns: Patterns | None = None,
) -> Dataset:
    """The cases of a data folder or of the folder of a single case; any defects are listed in one error message.

    Args:
        root: The data folder.
        modalities: Scans that each case must have; scans of other modalities are ignored.
        leave_out: Ids of cases to skip, defective or not.
        masks_required: Whether a case without a mask is a defect.
        spacing_mm: Edge lengths of a voxel along L, P, S, in millimetres, for scans that do not hold them (TIFF); None
            if they are unknown.
        slices: Whether the scans must be TIFF slices, as with data=lgg.
        patterns: Patterns of the file names, for a folder in none of the known layouts.

    Raises:
        SettingsError: `spacing_mm` is given, but the scans hold their spacing, or it is not three lengths; or there are
            NIfTI files where slices are expected.
        DataError: The path does not exist, is a file or an empty folder, holds no recognised case, or has defects.
    """
    found = survey(
        root, modalities=modalities, leave_out=leave_out, spacing_mm=spacing_mm, slices=slices, patterns=patterns
    )
    defects = list(found.defects)
    if masks_required:
        for case in found.dataset.cases:
            if case.mask is None:
                defects.append(error(case.id, "no mask.", "Add it, or list the case under data.leave_out."))
    refuse(found.dataset.root, defects)
    return found.dataset


def survey(
    root: str | Path,
    *,
    modalities: Sequence[Modality],
    leave_out: Sequence[str] = (),
    spacing_mm: Sequence[float] | None = None,
    slices: bool = False,
    patterns: Patterns | None = None,
    key: str = "data.files",
) -> Survey:
    """Like `find_cases`, but defects of cases are returned; only defects of the whole folder raise DataError.

    `key` is the setting of the current command that takes patterns, for messages.
    """
    root = Path(root)
    wanted = in_order(modalities)
    tree, base = (walk(root), None) if patterns else _tree_of(root)
    found: TaskCases | ScanFolders | SliceFolders | PatternFolders
    if slices and tree.files:
        where = "beside TIFF files" if tree.pictures else "and no TIFF files"
        raise SettingsError(
            f"data=lgg reads folders of TIFF slices, but {root} holds {len(tree.files)} NIfTI files {where}. Set "
            f"data=brats, or give a folder of slices alone."
        )
    if tree.pictures and not tree.files and patterns is None:
        found = read_slice_folders(tree, wanted, three_lengths(spacing_mm))
    elif spacing_mm is not None:
        raise SettingsError(
            f"spacing_mm is set, but {root} holds NIfTI files, which have their own spacing. Set it to null."
        )
    elif patterns is not None:
        found = read_pattern_folders(tree, patterns, wanted)
    elif base is not None:
        found = task_folder.read_task(tree, base, wanted)
    else:
        found = read_scan_folders(tree, wanted)
    if not (found.cases or found.incomplete):
        refuse(root, [*tree.defects, *found.defects])
        raise DataError(f"{root}: {nothing_recognised(tree, slices=slices, key=key)}")

    left_out = set(leave_out)
    known = {case.id for case in (*found.cases, *found.incomplete)}
    notes = [*found.notes]
    if absent := sorted(left_out - known):
        verb = "is" if len(absent) == 1 else "are"
        notes.append(f"data.leave_out names {', '.join(absent)}, which {verb} not in this folder.")
    cases = [case for case in found.cases if case.id not in left_out]
    incomplete = tuple(case for case in found.incomplete if case.id not in left_out)
    defects = [*tree.defects, *(defect for defect in found.defects if defect.case not in left_out)]
    if not cases and not incomplete:
        raise DataError(f"{root}: data.leave_out names all {len(known)} cases. Remove at least one from the list.")
    if found.layout != FILES:
        defects = _merged(defects, [*cases, *incomplete], wanted, found.layout, tree, key)
        if not any(case.mask for case in (*cases, *incomplete)) and (way := guessed_settings(tree, key, [MASK])):
            notes.append(f"No file is named like a mask of BraTS. These settings may find the masks: {way}")
    without = sum(case.mask is None for case in cases)
    if 0 < without < len(cases):
        notes.append(f"{without} of {len(cases)} cases have no mask: they can only be used for prediction.")
    if found.layout == LGG:
        strata = lgg_strata(tree, [*cases, *incomplete])
        cases = [replace(case, stratum=strata.get(case.id)) for case in cases]
        incomplete = tuple(replace(case, stratum=strata.get(case.id)) for case in incomplete)
    else:
        cases = _graded(tree, cases, notes)
    told = (*tree.notes, *notes)  # reading the tables has added to the tree's
    dataset = Dataset(root, found.layout, tuple(sorted(cases, key=lambda c: c.id)), found.declared_labels, told)
    broken = frozenset(found.broken if isinstance(found, SliceFolders) else ())
    return Survey(dataset, incomplete, tuple(defects), broken)


def _tree_of(root: Path) -> tuple[Tree, Path | None]:
    """The files to read, and the MSD or nnU-Net dataset folder that they belong to; None for other layouts."""
    if (
        root.absolute().name in task_folder.IMAGES and root.is_dir()
    ):  # only imagesTr was given: its masks are in labelsTr beside it
        root = root.absolute()
        whole = walk(root.parent, skip=lambda name: name in task_folder.FOLDERS and name not in (root.name, "labelsTr"))
        masks = whole.root / "labelsTr" if root.name == "imagesTr" else None
        whole.files = [file for file in whole.files if file.folder in (whole.root / root.name, masks)]
        return whole, root.parent
    tree = walk(root)
    bases = task_folder.task_bases(tree)
    if len(bases) > 1:
        names = ", ".join(str(base.relative_to(root)) for base in bases[:5]) + (", …" if len(bases) > 5 else "")
        raise DataError(f"{root}: holds {len(bases)} datasets ({names}). Set data.root to one of them.")
    return tree, bases[0] if bases else None


def three_lengths(spacing_mm: Sequence[float] | None) -> Spacing | None:
    """The setting `spacing_mm` as three lengths; refuses another number of them."""
    if spacing_mm is None:
        return None
    if len(spacing_mm) != 3:
        raise SettingsError(f"spacing_mm={list(spacing_mm)} is not three lengths in mm, along x, y and z.")
    x, y, z = spacing_mm
    return x, y, z


def _graded(tree: Tree, cases: list[Case], notes: list[str]) -> list[Case]:
    """The cases with their grade as stratum: from `name_mapping.csv`, or a folder named HGG or LGG; else None."""
    table = grade_table(tree)
    graded = []
    for case in cases:
        first = next(iter(case.images.values())).path
        graded.append(replace(case, stratum=table.get(case.id) or folder_grade(tree.root, first.parent)))
    known = sum(case.stratum is not None for case in graded)
    if 0 < known < len(graded):
        notes.append(f"The grade is known for {known} of {len(graded)} cases.")
    return graded


def _merged(
    defects: list[Finding],
    cases: Sequence[Case],
    modalities: Sequence[Modality],
    layout: str,
    tree: Tree,
    key: str,
) -> list[Finding]:
    """The defects, with one for the whole folder instead of one per case if no case has a requested modality."""
    lacking = [m for m in modalities if len(cases) > 1 and not any(m in case.images for case in cases)]
    if not lacking:
        return defects
    kept = [d for d in defects if not any(d.found.startswith(f"no {modality} scan.") for modality in lacking)]
    rest = ",".join(m for m in modalities if m not in lacking)
    remedy = f"Set {'data=lgg, or ' if layout == LGG else ''}data.modalities=[{rest}]."
    if way := guessed_settings(tree, key, lacking):
        remedy += f" Or read the folder by patterns: {way}"
    whole = error("", f"None of the {len(cases)} cases has a {' or '.join(lacking)} scan.", remedy)
    return [whole, *kept]
