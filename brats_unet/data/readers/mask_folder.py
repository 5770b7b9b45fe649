"""Find the masks in a flat or nested folder by case id, to score one folder of masks against another."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from brats_unet.data.readers.findings import Finding, error, refuse
from brats_unet.data.readers.naming import MISNAMED_MASKS, NNUNET_NAME, ScanName, scan_name
from brats_unet.data.readers.task_folder import IMAGES
from brats_unet.data.readers.tree import NiftiFile, Tree, walk
from brats_unet.errors import DataError
from brats_unet.scan_files import ARRAYS
from brats_unet.tiff_slices import slices_in

# Names of probability and uncertainty files that prediction programs write beside their masks.
PROBABILITIES = re.compile(r".*[-_](prob(s|abilit(y|ies))?|uncertainty)([-_]\w+)?", re.IGNORECASE)


def find_masks(root: str | Path) -> dict[str, Path]:
    """Path of each mask in a folder by case id, sorted by id.

    Masks are `<id>.nii[.gz]`, `<id>_seg` and `<id>-seg`, flat or nested, `<id>/seg.nii.gz`, and the misnamed mask of
    case 355 of BraTS 2020. Scans (`<id>_flair`, `<id>-t1c`, …), the folders imagesTr and imagesTs, and probability and
    uncertainty files are skipped. If the folder also holds scans, `<id>.nii[.gz]` is a mask only if `<id>` is the id of
    a case with scans. Without such files, each folder of TIFF slices that has masks is the mask of its case; without
    slices, NumPy arrays of these names are masks.

    Raises:
        DataError: The path is not a readable folder, it holds no mask, or cases have two masks (all are listed).
    """
    root = Path(root)
    tree = walk(root, skip=lambda name: name in IMAGES)
    if tree.pictures and not tree.files:
        return _slice_folders(tree)
    if not tree.files and (arrays := sorted(root.rglob(f"*{ARRAYS}"))):
        return _arrays(root, arrays)
    defects: list[Finding] = list(tree.defects)
    named: list[tuple[NiftiFile, ScanName]] = []
    plain: list[NiftiFile] = []
    scans: list[tuple[NiftiFile, str]] = []
    for file in tree.files:
        if PROBABILITIES.fullmatch(file.stem):  # also of a region whose name is that of masks, GTV
            continue
        name = scan_name(file.stem)
        if name is None:
            plain.append(file)
        elif name.modality is None:
            named.append((file, name))
        else:
            scans.append((file, name.id or file.folder.resolve().name))
    cases = {case_id for _, case_id in scans}
    found: dict[str, Path] = {}
    for file, name in named:
        _add(found, _owner(file, name, root, scans), file, defects)
    for file in plain:
        if cases and file.stem not in cases:
            continue
        _add(found, file.stem, file, defects)
    refuse(root, defects)
    if not found:
        raise DataError(f"{root}: no mask. Expected <case>.nii.gz or <case>_seg.nii.gz, flat or in folders.")
    if all(
        NNUNET_NAME.fullmatch(case_id) and case_id.endswith(("_0000", "_0001", "_0002", "_0003")) for case_id in found
    ):
        first = {case_id[:-5] for case_id in found}
        if len(first) < len(found):  # several channels of one case
            raise DataError(f"{root}: holds nnU-Net scans (<case>_0000.nii.gz, …), not masks. Give labelsTr instead.")
    return dict(sorted(found.items()))


def _slice_folders(tree: Tree) -> dict[str, Path]:
    """The folders of slices that hold masks, by their names."""
    found = {path.parent.resolve().name: path.parent for path in tree.pictures if slices_in(path.parent, [path]).masks}
    if not found:
        raise DataError(f"{tree.root}: no mask. Expected <patient>_<n>_mask.tif beside the slices.")
    return found


def _arrays(root: Path, files: Sequence[Path]) -> dict[str, Path]:
    """NumPy arrays of masks by case id."""
    found: dict[str, Path] = {}
    for path in files:
        name = scan_name(path.stem)
        case_id = path.stem if name is None else name.id or path.parent.resolve().name
        if case_id in found:
            raise DataError(f"{root}: {case_id} has two masks: {found[case_id]} and {path}. Expected one.")
        found[case_id] = path
    return dict(sorted(found.items()))


def _owner(file: NiftiFile, name: ScanName, root: Path, scans: Iterable[tuple[NiftiFile, str]]) -> str:
    """Id of the case that a file with a mask suffix belongs to."""
    if name.id == "":
        return file.folder.resolve().name
    if name.suffix.lower() != "segm":
        return name.id
    beside = {case_id for scan, case_id in scans if scan.folder == file.folder}
    if len(beside) == 1:
        return beside.pop()
    return MISNAMED_MASKS.get(file.stem) or (name.id if file.folder == root else file.folder.name)


def _add(found: dict[str, Path], case_id: str, file: NiftiFile, defects: list[Finding]) -> None:
    if case_id in found:
        twice = f"two masks: {found[case_id]} and {file.path}. Expected one."
        defects.append(error(case_id, twice, "Remove one, or give a folder that holds only one."))
    else:
        found[case_id] = file.path
