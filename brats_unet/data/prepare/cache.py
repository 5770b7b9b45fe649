"""Prepared volumes on disk: memory-mapped, built once, verified; the data root itself is never written to.

    <cache>/<case>-<key>/   image.npy labels.npy brain.npy foreground_<region>.npy prepared.json

The key is the content of the case's files, the recipe and the label convention, so that whatever changes makes a new
folder and nothing stale is ever read.
"""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.anatomy import Region
from brats_unet.data.labels.convention import Convention
from brats_unet.data.prepare.content_hash import HashMemo, file_hash
from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.preprocess import Preparation, Prepared, prepare
from brats_unet.errors import DataError
from brats_unet.files import explain_write_errors, require_free_space, write_json
from brats_unet.nifti import read_header
from brats_unet.processes import in_processes
from brats_unet.volume import Case

MANIFEST = "prepared.json"
SECONDS_EACH = 1.0  # a case takes to prepare, at the most
BRAIN_SHARE = 0.45  # of a BraTS volume lies in the box around the brain; for the estimate of disk space


@dataclass(frozen=True)
class PreparedCase:
    """A prepared case on disk; arrays are opened when first asked for.

    Attributes:
        id: The case's id.
        folder: Where its arrays lie.
        grid: The way back to the case's own grid.
        mapped: Whether its image and labels are memory-mapped, or read whole.
        copies: On the devices that train, one a replica: float16 (X, Y, Z, M + 1), the labels behind the modalities;
            none unless `pipeline.on_devices` has put them there.
    """

    id: str
    folder: Path
    grid: Grid
    mapped: bool = True
    copies: tuple[Any, ...] = field(default=(), compare=False, repr=False)

    @cached_property
    def image(self) -> np.ndarray:
        """float16, shape (X, Y, Z, M)."""
        return np.load(self.folder / "image.npy", mmap_mode="r" if self.mapped else None)

    @cached_property
    def labels(self) -> np.ndarray | None:
        """uint8 of `anatomy.Label`, shape (X, Y, Z); None where the case has no mask."""
        path = self.folder / "labels.npy"
        return np.load(path, mmap_mode="r" if self.mapped else None) if path.exists() else None

    @cached_property
    def brain(self) -> np.ndarray:
        """bool, shape (X, Y, Z)."""
        return np.load(self.folder / "brain.npy", mmap_mode="r")

    @property
    def bytes(self) -> int:
        """Of image and labels, as they lie on disk and in memory."""
        paths = [self.folder / "image.npy", self.folder / "labels.npy"]
        return sum(path.stat().st_size for path in paths if path.exists())

    @cached_property
    def foreground(self) -> dict[Region, np.ndarray]:
        """Up to 10,000 voxel positions of each region that is present, int16, shape (n, 3)."""
        found = {}
        for region in Region:
            path = self.folder / f"foreground_{region}.npy"
            if path.exists():
                positions = np.load(path)
                if len(positions):
                    found[region] = positions
        return found


def prepare_all(
    cases: Sequence[Case],
    preparation: Preparation,
    convention: Convention,
    folder: Path,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PreparedCase]:
    """Prepare what is not prepared yet, is not whole or was damaged since, and open all.

    Contents are held against the manifest once for each state of a file, then sizes and times of change.

    Args:
        cases: In the order of the result.
        preparation: The recipe.
        convention: What the integers of the masks mean.
        folder: Of the cache; made if need be.
        workers: Processes; 0 takes one a core.
        progress: Told how many of how many cases are ready.

    Raises:
        DataError: Some cases cannot be prepared; all of them are named, the others stay prepared.
        MachineError: The disk has no room.
    """
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    memo = HashMemo(folder / "hashes.json")
    targets = [folder / f"{case.id}-{case_key(case, preparation, convention.name, memo)}" for case in cases]
    missing = []
    for i, target in enumerate(targets):
        if not is_whole(target):
            missing.append(i)
        elif altered(target, memo.hash):
            shutil.rmtree(target)
            missing.append(i)
    memo.save()
    if missing:
        require_free_space(folder, sum(estimated_bytes(cases[i], preparation) for i in missing), "the prepared volumes")
    done = len(cases) - len(missing)
    progress(done, len(cases))
    defects = []
    jobs = [(cases[i], preparation, convention, targets[i]) for i in missing]
    for _, problem in in_processes(_build, jobs, seconds_each=SECONDS_EACH, workers=workers):
        if problem is None:
            done += 1
            progress(done, len(cases))
        else:
            defects.append(problem)
    if defects:
        raise DataError("\n".join(sorted(defects)))
    return [open_prepared(case.id, target) for case, target in zip(cases, targets, strict=True)]


def _build(job: tuple[Case, Preparation, Convention, Path]) -> str | None:
    return build(*job)


def build(case: Case, preparation: Preparation, convention: Convention, target: Path) -> str | None:
    """Prepare one case into `target` unless another process has just done so; the sentence of a DataError, or None."""
    with locked(target):
        if is_whole(target):
            return None
        try:
            write(prepare(case, preparation, convention), case.id, preparation, target)
        except DataError as problem:
            return str(problem)
    return None


def write(prepared: Prepared, case_id: str, preparation: Preparation, target: Path) -> None:
    """Write the arrays beside `target`, then give the folder its name: it is whole or it is not there."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
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
                "files": files,
            }
            write_json(part / MANIFEST, manifest)
            shutil.rmtree(target, ignore_errors=True)  # an earlier one that was found damaged
            part.rename(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def is_whole(target: Path) -> bool:
    """Whether every file named by the manifest is there with its size."""
    try:
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        return all((target / name).stat().st_size == facts["bytes"] for name, facts in manifest["files"].items())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def altered(target: Path, content: Callable[[Path], str] = file_hash) -> list[str]:
    """Names of the files of a prepared case that are not what was written; empty if all is well.

    Args:
        target: Folder of the case, whole.
        content: Hash of a file.
    """
    return [name for name, facts in manifest_of(target)["files"].items() if content(target / name) != facts["blake2b"]]


def open_prepared(case_id: str, target: Path) -> PreparedCase:
    """A prepared case from its folder."""
    return PreparedCase(case_id, target, Grid.from_dict(manifest_of(target)["grid"]))


def manifest_of(target: Path) -> dict[str, Any]:
    """What `write` says of a prepared case."""
    return json.loads((target / MANIFEST).read_text(encoding="utf-8"))


def case_key(case: Case, preparation: Preparation, convention: str, memo: HashMemo) -> str:
    """16 hexadecimal digits for the content of the case's files, the recipe and the convention together."""
    files = [case.images[modality] for modality in preparation.modalities]
    contents = [[memo.hash(file.path), file.channel] for file in files]
    mask = memo.hash(case.mask) if case.mask else None
    text = json.dumps([contents, mask, convention, preparation.as_dict()], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def estimated_bytes(case: Case, preparation: Preparation) -> int:
    """Disk that a prepared case will take, from the header of its first scan."""
    header = read_header(case.images[preparation.modalities[0]].path)
    mm3 = float(np.prod(header.shape[:3]) * np.prod(header.spacing_mm))
    voxels = mm3 / float(np.prod(preparation.spacing_mm)) * (BRAIN_SHARE if preparation.crop == "brain" else 1)
    return int(voxels * (2 * len(preparation.modalities) + 2)) + 200_000


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the one lock of a target; whoever comes second waits, and then finds the work done.

    The lock files stay: to remove one that another process waits for would hand out two locks.
    """
    lock = target.parent / ".locks" / target.name
    with explain_write_errors(target):
        lock.parent.mkdir(exist_ok=True)
        lock.touch()
    with open(lock) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
