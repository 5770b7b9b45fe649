"""Read and write NIfTI files; the only importer of nibabel."""

import gzip
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
from isal import igzip, igzip_lib
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from brats_unet.errors import DataError
from brats_unet.files import atomic_path
from brats_unet.volume import Volume, spacing_mm

SUFFIXES = (".nii.gz", ".nii")
GZIP_MAGIC = b"\x1f\x8b"
# What nibabel and gzip raise on files that are cut short or are no NIfTI at all.
BROKEN: tuple[type[Exception], ...] = (
    gzip.BadGzipFile,
    cast(type[Exception], igzip_lib.IsalError),  # its stub calls the class an instance
    EOFError,
    ValueError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)
CUT_SHORT: tuple[type[Exception], ...] = (*BROKEN, OSError)  # nibabel says OSError where the voxels run out
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what it has to say of a header stands in our message


@dataclass(frozen=True, eq=False)
class Header:
    """What a NIfTI file says of itself: shape, affine (voxel to R-A-S+ mm) and the type of its voxels on disk."""

    shape: tuple[int, ...]
    affine: np.ndarray
    dtype: np.dtype

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return spacing_mm(self.affine)


def stem(path: Path) -> str:
    """File name without `.nii` or `.nii.gz`, in whatever case."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def is_nifti(path: Path) -> bool:
    """Whether the name ends as NIfTI files do; macOS's `._*` shadows are none."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith("._")


def load_image(path: Path) -> Any:
    """The nibabel image of a file, its bytes already unpacked; DataError in one sentence where it is broken."""
    try:
        data = path.read_bytes()
        if data[:2] == GZIP_MAGIC:
            data = igzip.decompress(data)
        return nibabel.Nifti1Image.from_bytes(data)
    except BROKEN as problem:
        raise broken(path, problem) from problem
    except OSError as problem:
        raise unreadable(path, problem) from problem


def unreadable(path: Path, problem: OSError) -> DataError:
    """The message for a file that the system does not give us."""
    return DataError(f"{path}: {problem.strerror or problem}. Expected a readable NIfTI file.")


def broken(path: Path, problem: BaseException) -> DataError:
    """The message for a file that cannot be read as NIfTI."""
    size = path.stat().st_size if path.exists() else 0
    reason = next(iter(str(problem).splitlines()), type(problem).__name__)
    return DataError(
        f"{path}: cannot be read as NIfTI ({size:,} bytes; {reason}). "
        f"It is probably truncated: copy or download it again."
    )


def read_header(path: Path) -> Header:
    """Header only; of a .nii.gz no more than its first block is unpacked."""
    try:
        header = raw_header(path)
        shape = tuple(int(n) for n in header.get_data_shape())
        return Header(shape, header.get_best_affine().astype(float), header.get_data_dtype())
    except BROKEN as problem:
        raise broken(path, problem) from problem
    except OSError as problem:
        raise unreadable(path, problem) from problem


def raw_header(path: Path) -> nibabel.Nifti1Header:
    """nibabel's header object of a .nii or .nii.gz file."""
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    with gzip.open(path, "rb") if packed else open(path, "rb") as file:
        return nibabel.Nifti1Header.from_fileobj(file)


def read_volume(path: Path, channel: int | None = None) -> Volume:
    """A scan as stored, scaled by its slope and intercept where it has them.

    Args:
        path: .nii or .nii.gz file of rank 3, or 4 with `channel`.
        channel: Index along the fourth axis, for files that hold several scans.

    Returns:
        Volume of shape (X, Y, Z), in the file's own type unless scaled.

    Raises:
        DataError: The file is missing, truncated or of another rank.
    """
    volume = read_array(path)
    array = volume.array
    if channel is None:
        while array.ndim > 3 and array.shape[-1] == 1:
            array = array[..., 0]
        if array.ndim != 3:
            raise DataError(f"{path}: a volume of shape {array.shape}. Expected three axes: one scan a file.")
    else:
        if array.ndim != 4 or channel >= array.shape[3]:
            raise DataError(f"{path}: a volume of shape {array.shape}. Expected four axes with channel {channel}.")
        array = array[..., channel]
    return Volume(array, volume.affine)


def read_array(path: Path) -> Volume:
    """All that a file holds, of whatever rank, scaled by its slope and intercept where it has them.

    Raises:
        DataError: The file is missing or truncated, or its voxels are colours or complex numbers.
    """
    image = load_image(path)
    try:
        array = np.asanyarray(image.dataobj)
    except CUT_SHORT as problem:
        raise broken(path, problem) from problem
    if array.dtype.kind not in "iuf":
        raise DataError(f"{path}: voxels of type {array.dtype} (colours or complex). Expected one number a voxel.")
    return Volume(array, image.affine.astype(float))


def read_integers(path: Path) -> Volume:
    """A mask as stored, rounded to int16; the meaning of its integers is the label convention's business.

    Raises:
        DataError: A voxel lies further than 0.001 from an integer, is not finite, or lies outside 0-255.
    """
    volume = read_volume(path)
    if volume.array.dtype.kind in "iu":
        whole = volume.array
    else:
        whole = np.rint(volume.array)
        with np.errstate(invalid="ignore"):  # infinity less infinity: no number, and so no integer
            wrong = ~(np.abs(volume.array - whole) <= 1e-3)
        if wrong.any():
            value = volume.array[wrong].ravel()[0]
            raise DataError(f"{path}: holds {value}, not an integer. Expected a mask of labels, not a scan.")
    if whole.size and (whole.min() < 0 or whole.max() > 255):
        raise DataError(f"{path}: labels from {whole.min()} to {whole.max()}. Expected labels from 0 to 255.")
    return Volume(whole.astype(np.int16), volume.affine)


def write_volume(path: Path, volume: Volume, *, like: Path | None = None, slope: float = 1) -> None:
    """Write `volume` under its final name only once it is whole.

    Args:
        path: Ends in .nii.gz or .nii; its folder exists.
        volume: Stored in its own type, as it is.
        like: A NIfTI file whose header (affine, codes, units) is kept, so that the result overlays it in any viewer.
        slope: What readers multiply the stored numbers by.
    """
    if like is None:
        image = nibabel.Nifti1Image(volume.array, volume.affine)
        image.header.set_xyzt_units("mm")
        image.set_sform(volume.affine, code="scanner")
        image.set_qform(volume.affine, code="scanner")
    else:
        header = raw_header(like)
        image = nibabel.Nifti1Image(volume.array, header.get_best_affine(), header)
    image.set_data_dtype(volume.array.dtype)
    image.header.set_slope_inter(slope, 0)
    image.header["cal_min"] = image.header["cal_max"] = 0
    data = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        data = igzip.compress(data, 2, mtime=0)  # neither clock nor temporary name: the same mask is the same file
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
