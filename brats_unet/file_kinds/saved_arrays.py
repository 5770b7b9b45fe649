"""Arrays in .npy and .npz files of NumPy: numbers only, and never more than the file holds."""

import math
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np

from brats_unet.files import MOST_PACKED

# What NumPy raises for headers that are none, and zipfile for archives that are none.
BROKEN = (
    *(OSError, ValueError, TypeError, KeyError, EOFError, RuntimeError, OverflowError, RecursionError, MemoryError),
    *(SyntaxError, tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)


def array_in(path: Path) -> np.ndarray:
    """The array of a .npy file, memory-mapped; never objects, which could run code.

    Raises:
        ValueError: It cannot be read, or holds something else than numbers.
    """
    try:
        with open(path, "rb") as file:
            _refuse_false_promise(path.name, file, path.stat().st_size)
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except BROKEN as problem:
        raise ValueError(f"cannot be read as a NumPy array of numbers ({_reason(problem)})") from None
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb":
        raise ValueError("does not hold one number per voxel")
    return array


def arrays_in(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """The arrays of a .npz file with these names, of numbers or text.

    Raises:
        ValueError: It cannot be read, lacks one, or promises more than it holds.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return [_member(archive, f"{name}.npy") for name in names]
    except BROKEN as problem:
        raise ValueError(f"not readable as arrays of numbers ({_reason(problem)})") from None


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    member = archive.getinfo(name)
    if member.file_size > MOST_PACKED * max(member.compress_size, 1):
        raise ValueError(f"{name} unpacks to {member.file_size:,} bytes from {member.compress_size:,}")
    with archive.open(member) as file:
        _refuse_false_promise(name, file, member.file_size)
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _refuse_false_promise(name: str, file: IO[bytes], held: int) -> None:
    """Raise ValueError if the header of an array promises more bytes than the file has."""
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, _, dtype = read(file)
    size = dtype.itemsize * math.prod(shape)
    if min(shape, default=0) < 0 or size > held:
        raise ValueError(f"{name} promises {size:,} bytes, {held:,} are there")


def _reason(problem: BaseException) -> str:
    return next(iter(str(problem).splitlines()), type(problem).__name__)[:200]
