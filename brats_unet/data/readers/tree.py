"""List the files of a data folder by name, and correct for the irregular file layouts of dataset mirrors."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from isal import isal_zlib

from brats_unet.data.readers.findings import Finding, error
from brats_unet.errors import DataError
from brats_unet.files import is_file
from brats_unet.scan_formats import NIFTI, is_scan, stem, suffix_of
from brats_unet.tiff_slices import is_tiff

DEPTH = 5  # levels of folders below the root that are searched


@dataclass(frozen=True)
class NiftiFile:
    """A scan or mask: NIfTI or another format of `scan_formats`.

    If a mirror put it into a folder of its own, named like a file (`X_t1.nii/`), the folder counts.

    Attributes:
        path: Path of the file itself.
        stem: Name of the file, or of its folder named like a file, without the ending of its format.
        folder: Folder that contains the file, or its folder named like a file.
    """

    path: Path
    stem: str
    folder: Path


@dataclass
class Tree:
    """The files of a data folder.

    Attributes:
        root: The data folder.
        files: Scans and masks, one for each (folder, stem), sorted by path.
        pictures: TIFF files, sorted by path.
        tables: CSV files, sorted by path.
        others: Number of other files by their suffix, or by their name if they have none.
        first: The first file of each entry of `others`.
        deeper: Folders below the last level that is searched, in the order they were met.
        defects: Files and folders that cannot be used, as errors with case "".
        notes: Sentences about irregularities that were accepted.
    """

    root: Path
    files: list[NiftiFile] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    first: dict[str, Path] = field(default_factory=dict)
    deeper: list[Path] = field(default_factory=list)
    defects: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def walk(root: Path, skip: Callable[[str], bool] = lambda name: False) -> Tree:
    """List the files of `root` and of five levels of folders below it.

    Nothing is written, and files are read only to compare a .nii with a .nii.gz of the same name.

    Args:
        root: The data folder.
        skip: Whether to skip a folder of that name. Names that start with "." and `__MACOSX` are always skipped.

    Raises:
        DataError: The folder does not exist, is a file, cannot be read, is empty, or has files only below five levels.
    """
    if not root.exists():
        near = f" {root.parent} exists." if root.parent.is_dir() and root.parent != root else ""
        raise DataError(f"{root}: there is no such folder.{near} Give the folder that holds the cases.")
    if not root.is_dir():
        raise DataError(f"{root}: is a file. Give the folder that holds the cases, or a case's own folder.")
    tree = Tree(root)
    seen: set[tuple[int, int]] = set()
    _collect_files(tree, root, 0, seen, skip)
    tree.files.sort(key=lambda file: file.path)
    tree.pictures.sort()
    tree.tables.sort()
    if not (tree.files or tree.pictures or tree.tables or tree.others or tree.defects):
        if tree.deeper:
            first = tree.deeper[0].relative_to(root)
            raise DataError(
                f"{root}: no file up to five folders deep, and deeper folders are not searched (such as {first}). "
                f"Give a folder nearer to the cases: {tree.deeper[0].parent}."
            )
        raise DataError(f"{root}: the folder is empty. Give the folder that holds the cases.")
    if tree.deeper:
        first = tree.deeper[0].relative_to(root)
        more = f"{len(tree.deeper)} folders lie" if len(tree.deeper) > 1 else "1 folder lies"
        tree.notes.append(f"{more} more than five levels deep: not searched (first: {first}).")
    _resolve_twins(tree)
    return tree


def _collect_files(
    tree: Tree, folder: Path, depth: int, seen: set[tuple[int, int]], skip: Callable[[str], bool]
) -> None:
    try:
        facts = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as problem:
        if depth == 0:
            raise DataError(f"{folder}: {problem.strerror or problem}. Give a readable folder.") from problem
        tree.defects.append(_unreadable(folder, problem))
        return
    if (facts.st_dev, facts.st_ino) in seen:  # a link to a folder that was already visited
        return
    seen.add((facts.st_dev, facts.st_ino))
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if _leads_to(entry.is_dir):
            if suffix_of(path):
                _take_folder_as_file(tree, path, folder)
            elif skip(entry.name):
                continue
            elif depth < DEPTH:
                _collect_files(tree, path, depth + 1, seen, skip)
            else:
                tree.deeper.append(path)
        elif is_scan(path):
            if _leads_to(entry.is_file):
                tree.files.append(NiftiFile(path, stem(path), folder))
            else:
                tree.defects.append(
                    error("", f"{path}: is a link to a missing file.", "Fetch it (git annex: `datalad get`).")
                )
        elif is_tiff(path):
            tree.pictures.append(path)
        elif path.suffix.lower() == ".csv":
            tree.tables.append(path)
        else:
            kind = path.suffix.lower() or entry.name
            tree.others[kind] += 1
            tree.first.setdefault(kind, path)


def _leads_to(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of a kind or a link to one; False for a link that leads in a circle or where none may look.

    Args:
        kind: `is_dir` or `is_file` of the entry, which ask the disk for links only.
    """
    try:
        return kind()
    except OSError:
        return False


def _unreadable(folder: Path, problem: OSError) -> Finding:
    return error("", f"{folder}: {problem.strerror or problem}.", "Make the folder readable.")


def _take_folder_as_file(tree: Tree, folder: Path, parent: Path) -> None:
    """Add the only NIfTI file inside a folder named like a file: `X_t1.nii/any_name.nii` counts as X_t1.nii."""
    try:
        inside = [path for path in sorted(folder.iterdir()) if is_scan(path) and is_file(path)]
    except OSError as problem:
        tree.defects.append(_unreadable(folder, problem))
        return
    if len(inside) == 1:
        tree.files.append(NiftiFile(inside[0], stem(folder), parent))
        return
    names = ", ".join(path.name for path in inside) or "none"
    tree.defects.append(
        error(
            "",
            f"{folder}: is a folder named like a scan, but holds {len(inside)} NIfTI files ({names}). Expected one.",
            "Download it again.",
        )
    )


def _resolve_twins(tree: Tree) -> None:
    """If a scan exists both as .nii and .nii.gz, keep the .nii; different content is a defect.

    NIfTI files go before the same scan in another format.
    """
    by_name: dict[tuple[Path, str], list[NiftiFile]] = {}
    for file in tree.files:
        by_name.setdefault((file.folder, file.stem), []).append(file)
    kept = []
    for twins in by_name.values():
        standard = [file for file in twins if suffix_of(file.path) in NIFTI]
        if standard and len(standard) < len(twins):
            other = next(file for file in twins if file not in standard)
            tree.notes.append(f"{standard[0].path.name} is used, not {other.path.name} beside it.")
            twins = standard
        plain = min(twins, key=lambda file: (file.path.name.lower().endswith(".gz"), file.path))
        kept.append(plain)
        others = [file for file in twins if file is not plain]
        if not others:
            continue
        if all(is_unpacked(plain.path, other.path) for other in others):
            tree.notes.append(
                f"{plain.path.name} and {others[0].path.name} have the same content: {plain.path.name} is used."
            )
        else:
            names = " and ".join(str(file.path) for file in twins)
            tree.defects.append(
                error("", f"{names} have the same scan name but different content. Expected one.", "Remove one.")
            )
    tree.files = kept


def is_unpacked(plain: Path, packed: Path) -> bool:
    """Whether `plain` equals the decompressed `packed` (.gz), judged by the CRC-32 and length at the end of the gzip.

    False if either file cannot be read or `packed` is not gzip.
    """
    try:
        with open(packed, "rb") as file:
            if file.read(2) != b"\x1f\x8b":
                return False
            file.seek(-8, os.SEEK_END)
            trailer = file.read(8)
        data = plain.read_bytes()
    except OSError:
        return False
    ending = isal_zlib.crc32(data).to_bytes(4, "little") + (len(data) % 2**32).to_bytes(4, "little")
    return trailer == ending
