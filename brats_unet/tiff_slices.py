"""Read a folder of TIFF slices as one volume, as in the LGG MRI Segmentation data set; the only module that reads TIFF.

`<name>_<n>.tif` is slice n, an RGB picture whose channels are three scans; `<name>_<n>_mask.tif` is its mask, in grey.
Columns of a picture run from the patient's right to the left, rows from anterior to posterior, and slices from inferior
to superior, as in most scans of the data set: an array (X, Y, Z) of a folder has L-P-S axes.
"""

import ctypes
import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from brats_unet.errors import DataError

SUFFIXES = (".tif", ".tiff")
NAME = re.compile(r"(?P<name>.+)_(?P<number>\d+)(?P<mask>_mask)?\.tiff?", re.IGNORECASE)
BROKEN = (OSError, ValueError, TypeError, SyntaxError)  # what Pillow raises for a broken file
SCANS, MASK = "RGB", "L"  # Pillow's names of three and of one channel of 8 bits


@dataclass
class Slices:
    """The TIFF files of one folder.

    Attributes:
        folder: The folder.
        names: The part of the file names before the number; one in a sound folder.
        images: Slices by number, in rising order.
        masks: Masks by the number of their slice, in rising order.
        twice: Pairs of files with one number ("a_01.tif" and "a_1.tif"); `images` or `masks` holds the first of each.
        others: Files with other names.
    """

    folder: Path
    names: frozenset[str] = frozenset()
    images: dict[int, Path] = field(default_factory=dict)
    masks: dict[int, Path] = field(default_factory=dict)
    twice: list[tuple[Path, Path]] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """Slices and masks, in the order of their numbers."""
        return [*self.images.values(), *self.masks.values()]


def is_tiff(path: Path) -> bool:
    """Whether the name ends in .tif or .tiff; the `._*` files of macOS do not count."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith("._")


def slices_in(folder: Path, paths: Sequence[Path] | None = None) -> Slices:
    """The TIFF files of a folder by the numbers in their names.

    Args:
        folder: The folder.
        paths: Its TIFF files, if they are known already; None lists them.

    Raises:
        DataError: The folder cannot be listed.
    """
    if paths is None:
        try:
            paths = [path for path in folder.iterdir() if is_tiff(path)]
        except OSError as problem:
            raise DataError(f"{folder}: {problem.strerror or problem}. Expected a readable folder.") from problem
    found = Slices(folder)
    names = set()
    for path in sorted(paths):
        match = NAME.fullmatch(path.name)
        if match is None:
            found.others.append(path)
            continue
        names.add(match["name"])
        group, number = found.masks if match["mask"] else found.images, int(match["number"])
        if number in group:
            found.twice.append((group[number], path))
        else:
            group[number] = path
    found.names = frozenset(names)
    found.images, found.masks = (dict(sorted(group.items())) for group in (found.images, found.masks))
    return found


def read_scans(folder: Path) -> np.ndarray:
    """The slices of a folder in the order of their numbers, uint8, shape (X, Y, Z, 3).

    Raises:
        DataError: There is no slice, one cannot be read, or one has another size or another number of channels.
    """
    return _stacked(folder, slices_in(folder).images, SCANS)


def read_masks(folder: Path) -> np.ndarray:
    """The masks of a folder in the order of their numbers, uint8, shape (X, Y, Z); see `read_scans`."""
    return _stacked(folder, slices_in(folder).masks, MASK)


def size_in(folder: Path) -> tuple[int, int, int]:
    """Voxels along X, Y, Z of a folder of slices, from the header of its first slice; see `read_scans`."""
    images = slices_in(folder).images
    if not images:
        raise _no_slice(folder, SCANS)
    (columns, rows), _ = picture_size(next(iter(images.values())))
    return columns, rows, len(images)


def picture_size(path: Path) -> tuple[tuple[int, int], str]:
    """Columns and rows of a picture and Pillow's name of its channels, from its header.

    Raises:
        DataError: The file is missing, empty or not a picture.
    """
    from PIL import Image

    _silence_pillow()
    try:
        with Image.open(path) as picture:
            return picture.size, picture.mode
    except (*BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise _unreadable(path, problem) from problem


def read_picture(path: Path, mode: str) -> np.ndarray:
    """One picture, uint8, shape (rows, columns) or, for RGB, (rows, columns, 3).

    Args:
        path: TIFF file.
        mode: Pillow's name of the channels that it must have: `SCANS` or `MASK`.

    Raises:
        DataError: The file is missing, broken or has other channels.
    """
    from PIL import Image

    _silence_pillow()
    try:
        with Image.open(path) as picture:
            if picture.mode != mode:
                raise DataError(f"{path}: channels {picture.mode}. Expected {mode}, with 8 bits a channel.")
            return np.array(picture)
    except (*BROKEN, Image.DecompressionBombError, Image.DecompressionBombWarning) as problem:
        raise _unreadable(path, problem) from problem


def _silence_pillow() -> None:
    """Ignore what Pillow says of broken tags, such as EXIF blocks: its pixels are read, or it raises an error.

    A picture of 89 million pixels and more, of which it only warns, is an error. Pillow warns where a tag is read; a
    filter is the same for all threads, unlike `warnings.catch_warnings`.
    """
    from PIL import Image

    _silence_libtiff()
    logging.getLogger("PIL.TiffImagePlugin").disabled = True
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@cache
def _silence_libtiff() -> None:
    """Let libtiff print nothing on stderr: Pillow, which offers no setting for it, raises an error as well."""
    from PIL import Image

    with suppress(OSError, AttributeError):  # a Pillow that hides or lacks libtiff
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


def _stacked(folder: Path, paths: Mapping[int, Path], mode: str) -> np.ndarray:
    if not paths:
        raise _no_slice(folder, mode)
    pictures = [read_picture(path, mode) for path in paths.values()]
    for path, picture in zip(paths.values(), pictures, strict=True):
        if picture.shape != pictures[0].shape:
            raise DataError(
                f"{path}: {_times(picture)} pixels, the first slice has {_times(pictures[0])}. Expected one size."
            )
    volume = np.stack(pictures, axis=2)  # rows, columns, slices
    return np.ascontiguousarray(volume.swapaxes(0, 1))


def _times(picture: np.ndarray) -> str:
    return f"{picture.shape[1]}×{picture.shape[0]}"


def _no_slice(folder: Path, mode: str) -> DataError:
    wanted = "<name>_<n>.tif" if mode == SCANS else "<name>_<n>_mask.tif"
    return DataError(f"{folder}: no {'slice' if mode == SCANS else 'mask'}. Expected TIFF files named {wanted}.")


def _unreadable(path: Path, problem: Exception) -> DataError:
    if isinstance(problem, OSError) and problem.strerror:
        return DataError(f"{path}: {problem.strerror}. Expected a readable TIFF file.")
    size = path.stat().st_size if path.exists() else 0
    return DataError(
        f"{path}: cannot be read as TIFF ({size:,} bytes). It is probably damaged or cut short: copy or download it "
        f"again."
    )
