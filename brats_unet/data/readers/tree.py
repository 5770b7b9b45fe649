"""The files of a data folder, by name only: what NIfTI files lie where, with the oddities of mirrors ironed out."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from isal import isal_zlib

from brats_unet.data.readers.findings import Finding, error
from brats_unet.errors import DataError
from brats_unet.nifti import SUFFIXES, is_nifti, stem

DEPTH = 5  # folders below the root that are looked into


@dataclass(frozen=True)
class NiftiFile:
    """A NIfTI file; in mirrors that put each file into a folder of its own, the folder counts as the file.

    Attributes:
        path: The file itself.
        stem: Its name (or its folder's) without `.nii` or `.nii.gz`.
        folder: Where it lies (or its folder does).
    """

    path: Path
    stem: str
    folder: Path


@dataclass
class Tree:
    """What lies in a folder.

    Attributes:
        root: The folder.
        files: NIfTI files, one for each (folder, stem), in the order of their paths.
        tables: CSV files.
        others: Other files, counted by the end of their names.
        defects: What cannot be used, with case "".
        notes: What was accepted on the way.
    """

    root: Path
    files: list[NiftiFile] = field(default_factory=list)
    tables: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    defects: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def walk(root: Path, skip: Callable[[str], bool] = lambda name: False) -> Tree:
    """Look through `root` and five levels of folders below it; nothing is opened, nothing is written.

    Args:
        root: A folder.
        skip: Names of folders to pass by. Hidden ones and macOS's `._*` and `__MACOSX` always are.

    Raises:
        DataError: There is no such folder, it is a file, it may not be read, or it holds nothing at all.
    """
    if not root.exists():
        near = f" {root.parent} is there." if root.parent.is_dir() and root.parent != root else ""
        raise DataError(f"{root}: there is no such folder.{near} Give the folder that holds the cases.")
    if not root.is_dir():
        raise DataError(f"{root}: is a file. Give the folder that holds the cases, or a case's own folder.")
    tree = Tree(root)
    seen: set[tuple[int, int]] = set()
    _look_inside(tree, root, 0, seen, skip)
    tree.files.sort(key=lambda file: file.path)
    tree.tables.sort()
    if not (tree.files or tree.tables or tree.others or tree.defects):
        raise DataError(f"{root}: the folder is empty. Give the folder that holds the cases.")
    _settle_twins(tree)
    return tree


def _look_inside(tree: Tree, folder: Path, depth: int, seen: set[tuple[int, int]], skip: Callable[[str], bool]) -> None:
    try:
        facts = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as problem:
        if depth == 0:
            raise DataError(f"{folder}: {problem.strerror or problem}. Give a folder that may be read.") from problem
        tree.defects.append(error("", f"{folder}: {problem.strerror or problem}.", "Make the folder readable."))
        return
    if (facts.st_dev, facts.st_ino) in seen:  # a link back to where we have been
        return
    seen.add((facts.st_dev, facts.st_ino))
    for entry in entries:
        path = Path(entry.path)
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            if entry.name.lower().endswith(SUFFIXES):
                _take_folder_as_file(tree, path, folder)
            elif depth < DEPTH and not skip(entry.name):
                _look_inside(tree, path, depth + 1, seen, skip)
        elif is_nifti(path):
            if entry.is_file():
                tree.files.append(NiftiFile(path, stem(path), folder))
            else:
                tree.defects.append(
                    error("", f"{path}: is a link to a file that is not there.", "Fetch it (git annex: `datalad get`).")
                )
        elif path.suffix.lower() == ".csv":
            tree.tables.append(path)
        else:
            tree.others[path.suffix.lower() or entry.name] += 1


def _take_folder_as_file(tree: Tree, folder: Path, parent: Path) -> None:
    """`X_t1.nii/whatever.nii` is X_t1.nii."""
    inside = [path for path in sorted(folder.iterdir()) if is_nifti(path) and path.is_file()]
    if len(inside) == 1:
        tree.files.append(NiftiFile(inside[0], stem(folder), parent))
        return
    names = ", ".join(path.name for path in inside) or "none"
    tree.defects.append(
        error(
            "",
            f"{folder}: a folder with the name of a scan that holds {len(inside)} NIfTI files ({names}). Expected one.",
            "Download it again.",
        )
    )


def _settle_twins(tree: Tree) -> None:
    """Where a scan lies there as .nii and as .nii.gz, take the .nii if both say the same, else report both."""
    by_name: dict[tuple[Path, str], list[NiftiFile]] = {}
    for file in tree.files:
        by_name.setdefault((file.folder, file.stem), []).append(file)
    kept = []
    for twins in by_name.values():
        plain = min(twins, key=lambda file: (file.path.name.lower().endswith(".gz"), file.path))
        kept.append(plain)
        others = [file for file in twins if file is not plain]
        if not others:
            continue
        if all(is_unpacked(plain.path, other.path) for other in others):
            tree.notes.append(f"{plain.path.name} and {others[0].path.name} hold the same: took {plain.path.name}.")
        else:
            names = " and ".join(str(file.path) for file in twins)
            tree.defects.append(
                error("", f"{names} are one scan by name and differ in content. Expected one of them.", "Remove one.")
            )
    tree.files = kept


def is_unpacked(plain: Path, packed: Path) -> bool:
    """Whether `plain` is what `packed` (.gz) unpacks to, by the length and CRC-32 that end a gzip file."""
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
