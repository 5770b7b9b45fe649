"""Content hashes of files, cached by path, size and modification time so that each file is read only once."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.errors import DataError
from brats_unet.json_files import recorded_json, write_json
from brats_unet.scan_files import files_in, read_scan, stamp
from brats_unet.volume import ImageFile

DIGEST_BYTES = 16


def file_hash(path: Path) -> str:
    """BLAKE2b hash of a file's bytes, 32 hexadecimal digits; of several files, of their names and hashes.

    Several are a folder of slices, and a header with its voxels in another file (.mhd, .nhdr).
    """
    files = files_in(path)
    if files != [path]:
        names = "".join(f"{file.name} {_hash(file)}\n" for file in files)
        return hashlib.blake2b(names.encode(), digest_size=DIGEST_BYTES).hexdigest()
    return _hash(path)


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=DIGEST_BYTES)).hexdigest()


def voxel_hash(array: np.ndarray) -> str:
    """BLAKE2b hash of an array's values, dtype and shape, 32 hexadecimal digits; independent of memory order."""
    digest = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=DIGEST_BYTES)
    digest.update(np.asfortranarray(array).T.data)  # NIfTI voxel order, so no copy is made
    return digest.hexdigest()


class HashMemo:
    """File hashes that are computed again only if the size or modification time of the file has changed.

    Args:
        file: JSON file that stores the hashes, in the cache folder. It is read if it exists and written by `save`. An
            unreadable or malformed file counts as empty: the hashes are computed again.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.known: dict[str, list[Any]] = _read(file)
        self.changed = False

    def hash(self, path: Path) -> str:
        """Hash of a file's bytes; see `file_hash`.

        Raises:
            DataError: The file cannot be read.
        """
        return self._remembered("bytes", path, lambda: file_hash(path))

    def voxels(self, path: Path, channel: int | None = None) -> str:
        """Hash of the voxels of a scan; it does not depend on the header or the compression.

        Args:
            path: NIfTI file, or folder of slices.
            channel: Channel of a 4-D file or of slices; None for a 3-D file.

        Raises:
            DataError: The file cannot be read as a scan.
        """
        kind = "voxels" if channel is None else f"voxels {channel}"
        return self._remembered(kind, path, lambda: voxel_hash(read_scan(ImageFile(path, channel)).array))

    def _remembered(self, kind: str, path: Path, digest: Callable[[], str]) -> str:
        try:
            state = list(stamp(path))
            key = _key(kind, str(path.resolve()))
            before = self.known.get(key)
            if before is not None and before[:2] == state:
                return str(before[2])
            content = digest()
        except OSError as problem:
            raise DataError(f"{path}: {problem.strerror or problem}. Expected a readable file.") from problem
        self.known[key] = [*state, content]
        self.changed = True
        return content

    def save(self) -> None:
        """Write new hashes to the file and keep those that another process has added since it was read.

        Raises:
            MachineError: The disk is full, or the folder is not writable.
        """
        if not self.changed:
            return
        self.known = {**_read(self.file), **self.known}
        write_json(self.file, self.known)
        self.changed = False


def _key(kind: str, path: str) -> str:
    """Key of a file in the memo, which names no folder."""
    return f"{kind}:{hashlib.blake2b(os.fsencode(path), digest_size=DIGEST_BYTES).hexdigest()}"


def _read(file: Path) -> dict[str, list[Any]]:
    content = recorded_json(file, dict[str, Any]) or {}
    known = {key: value for key, value in content.items() if isinstance(value, list) and len(value) == 3}
    parted = {key: key.partition(":") for key in known}
    # Earlier versions wrote paths into the keys.
    return {_key(kind, path) if path.startswith("/") else key: known[key] for key, (kind, _, path) in parted.items()}
