"""Cache of prepared volumes: each is built once, verified and memory-mapped. Nothing is written to the data folder.

    <cache>/<case>-<key>/   image.npy labels.npy brain.npy foreground_<region>.npy prepared.json

The key is a hash of the files of the case, the preparation, the scheme and the convention: a change gives a new folder.
"""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.data.prepare.case_key import case_key
from brats_unet.data.prepare.content_hash import HashMemo, file_hash
from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.plausible import edges_fit
from brats_unet.data.prepare.preprocess import Preparation, Prepared, prepare
from brats_unet.errors import DataError
from brats_unet.file_kinds.json_kinds import ManifestFile
from brats_unet.files import explain_write_errors, remove, require_free_space
from brats_unet.json_files import read_json, recorded_json, write_json
from brats_unet.processes import in_processes
from brats_unet.scan_files import read_header
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case

MANIFEST = "prepared.json"
SECONDS_EACH = 1.0  # upper estimate of the time to prepare one case
SHARES = {"brain": 0.45, "head": 0.8, "none": 1}  # upper estimate of the share of a volume in the box, by `crop`


@dataclass(frozen=True)
class PreparedCase:
    """A prepared case on disk; each array is opened at its first use.

    Attributes:
        id: Case id.
        folder: Folder that holds the arrays.
        grid: Prepared grid, and how it maps back to the grid of the case on disk.
        regions: Names of the predicted regions.
        warnings: What looks wrong; see `data.prepare.plausible`.
        mapped: True if image and labels are memory-mapped, False if they are read into memory.
        copies: Copies on the training devices, one per replica: float16, shape (X, Y, Z, M + 1), with the labels as
            the last channel. Empty unless the case comes from `pipeline.on_devices`.
    """

    id: str
    folder: Path
    grid: Grid
    regions: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    mapped: bool = True
    copies: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def image(self) -> np.ndarray:
        """Normalised scans, float16, shape (X, Y, Z, M)."""
        return np.load(self.folder / "image.npy", mmap_mode="r" if self.mapped else None, allow_pickle=False)

    @cached_property
    def labels(self) -> np.ndarray | None:
        """Labels, uint8 as in memory, shape (X, Y, Z); None if the case has no mask."""
        path = self.folder / "labels.npy"
        return np.load(path, mmap_mode="r" if self.mapped else None, allow_pickle=False) if path.exists() else None

    @cached_property
    def brain(self) -> np.ndarray:
        """Brain mask, bool, shape (X, Y, Z)."""
        return np.load(self.folder / "brain.npy", mmap_mode="r", allow_pickle=False)

    @property
    def bytes(self) -> int:
        """Size of image and labels in bytes, the same on disk and in memory."""
        paths = [self.folder / "image.npy", self.folder / "labels.npy"]
        return sum(path.stat().st_size for path in paths if path.exists())

    @cached_property
    def foreground(self) -> dict[str, np.ndarray]:
        """Up to 10,000 voxel positions of each region, int16, shape (n, 3); absent regions have no entry."""
        present = {}
        for region in self.regions:
            path = self.folder / f"foreground_{region}.npy"
            if path.exists():
                positions = np.load(path, allow_pickle=False)
                if len(positions):
                    present[region] = positions
        return present


def prepare_all(
    cases: Sequence[Case],
    preparation: Preparation,
    convention: Convention,
    folder: Path,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PreparedCase]:
    """Open the prepared cases; prepare first those that are missing, incomplete or damaged.

    The hash of a cached file is checked against the manifest once. It is checked again only if the file's size or
    modification time changes.

    Args:
        cases: Cases to prepare; the result has the same order.
        preparation: Preparation settings.
        convention: Meaning of the integers in the masks.
        folder: Cache folder; created if it does not exist.
        workers: Number of processes; 0 means one per core.
        progress: Called with the number of cases that are ready and the total number.

    Raises:
        DataError: Some cases cannot be prepared. The message lists all of them; the other cases stay in the cache.
        MachineError: The disk does not have enough free space, or the folder cannot be written.
    """
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    memo = HashMemo(folder / "hashes.json")
    targets = [folder / f"{case.id}-{case_key(case, preparation, convention, memo)}" for case in cases]
    missing = []
    for i, target in enumerate(targets):
        if not is_whole(target):
            missing.append(i)
        elif altered(target, memo.hash):
            remove(target)
            missing.append(i)
    memo.save()
    if missing:
        require_free_space(folder, sum(estimated_bytes(cases[i], preparation) for i in missing), "the prepared volumes")
    done = len(cases) - len(missing)
    progress(done, len(cases))
    problems = []
    jobs = [(cases[i], preparation, convention, targets[i]) for i in missing]
    for _, problem in in_processes(build, jobs, seconds_each=SECONDS_EACH, workers=workers):
        if problem is None:
            done += 1
            progress(done, len(cases))
        else:
            problems.append(problem)
    if problems:
        raise DataError("\n".join(sorted(problems)))
    return [open_prepared(case.id, target) for case, target in zip(cases, targets, strict=True)]


def build(job: tuple[Case, Preparation, Convention, Path]) -> str | None:
    """Prepare one case into a folder, unless another process has just done so; returns the message of a DataError."""
    case, preparation, convention, target = job
    with locked(target):
        if is_whole(target):
            return None
        try:
            write(prepare(case, preparation, convention), case.id, preparation, target)
        except DataError as problem:
            return str(problem)
    return None


def write(prepared: Prepared, case_id: str, preparation: Preparation, target: Path) -> None:
    """Write the arrays to a temporary folder, then rename it to `target`, so that `target` is always complete."""
    part = target.with_name(f".{target.name}.part")
    remove(part)
    arrays = {"image": prepared.image, "brain": prepared.brain}
    if prepared.labels is not None:
        arrays["labels"] = prepared.labels
        arrays |= {f"foreground_{region}": positions for region, positions in prepared.foreground.items()}
    with explain_write_errors(target):
        try:
            part.mkdir()
            files = {}
            for name, array in arrays.items():
                path = part / f"{name}.npy"
                np.save(path, np.ascontiguousarray(array))
                files[path.name] = {"bytes": path.stat().st_size, "blake2b": file_hash(path)}
            manifest = {
                "case": case_id,
                "preparation": preparation.as_dict(),
                "grid": prepared.grid.as_dict(),
                "regions": list(prepared.foreground),
                "warnings": list(prepared.warnings),
                "files": files,
            }
            write_json(part / MANIFEST, manifest)
            remove(target)  # an older folder that is incomplete
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def is_whole(target: Path) -> bool:
    """Whether the manifest can be read, and every file in it exists and has the size recorded there."""
    manifest = recorded_json(target / MANIFEST, ManifestFile)
    try:
        Grid.from_dict(manifest["grid"] if manifest else {})
        return all((target / name).stat().st_size == facts["bytes"] for name, facts in manifest["files"].items())
    except (OSError, ValueError, KeyError):
        return False


def altered(target: Path, content: Callable[[Path], str] = file_hash) -> list[str]:
    """Names of the files whose hash differs from the manifest; empty if the case is intact.

    Args:
        target: Folder of a complete prepared case.
        content: Function that returns the hash of a file.
    """
    return [name for name, facts in manifest_of(target)["files"].items() if content(target / name) != facts["blake2b"]]


def open_prepared(case_id: str, target: Path) -> PreparedCase:
    """Open a prepared case from its folder."""
    manifest = manifest_of(target)
    regions = tuple(manifest.get("regions", builtin().predicted))  # before there were schemes: those of glioma
    return PreparedCase(case_id, target, Grid.from_dict(manifest["grid"]), regions, tuple(manifest.get("warnings", ())))


def manifest_of(target: Path) -> dict[str, Any]:
    """Manifest of a prepared case, as `write` saved it."""
    return read_json(target / MANIFEST, ManifestFile, what=str(target), advice="Delete the folder.")


def estimated_bytes(case: Case, preparation: Preparation) -> int:
    """Estimated size of a prepared case on disk, from the header of its first scan; 0 if that is refused anyway."""
    header = read_header(next(iter(case.images.values())))
    if not edges_fit(header.spacing_mm):
        return 0
    mm3 = float(np.prod(header.shape[:3]) * np.prod(header.spacing_mm))
    voxels = mm3 / float(np.prod(preparation.spacing_mm or header.spacing_mm)) * SHARES[preparation.crop]
    return int(voxels * (2 * len(preparation.modalities) + 2)) + 200_000


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the exclusive lock of a target folder; a second process waits, then finds the case prepared.

    Lock files are never removed: two processes could hold the lock if one were removed while a process waits for it.
    """
    lock = target.parent / ".locks" / target.name
    with explain_write_errors(target):
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
    with open(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
