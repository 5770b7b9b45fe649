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
from brats_unet.mask_channels import packed
from brats_unet.nifti_bytes import GZIP_MAGIC, unpacked
from brats_unet.volume import Volume, spacing_mm

SUFFIXES = (".nii.gz", ".nii")
MM_OF_UNIT = {1: 1000.0, 3: 0.001}  # of the codes for metre and micrometre; 2 is millimetre, 0 unknown
COARSEST_STEP = 0.1  # with larger steps, rounding could turn one label into another
# What nibabel and gzip raise for truncated files and for files that are not NIfTI.
BROKEN: tuple[type[Exception], ...] = (
    gzip.BadGzipFile,
    cast(type[Exception], igzip_lib.IsalError),  # its type stub declares the class as an instance
    EOFError,
    ValueError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)
CUT_SHORT: tuple[type[Exception], ...] = (*BROKEN, OSError)  # nibabel raises OSError if voxels are missing
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # our own message includes what it would log
# Header fields that say where a voxel lies; besides them, `pixdim` holds the spacing and the handedness of the qform.
GEOMETRY = (
    "xyzt_units",
    *("qform_code", "quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("sform_code", "srow_x", "srow_y", "srow_z"),
)


@dataclass(frozen=True, eq=False)
class Header:
    """The header of a NIfTI file: shape, affine (voxel indices to R-A-S+ mm) and voxel type on disk."""

    shape: tuple[int, ...]
    affine: np.ndarray
    dtype: np.dtype

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        return spacing_mm(self.affine)


def stem(path: Path) -> str:
    """File name without `.nii` or `.nii.gz`, in upper or lower case; without its last suffix if it has neither."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def is_nifti(path: Path) -> bool:
    """Whether the name ends in .nii or .nii.gz; the `._*` files of macOS do not count."""
    return path.name.lower().endswith(SUFFIXES) and not path.name.startswith("._")


def load_image(path: Path) -> Any:
    """The nibabel image of a file, with its bytes already unpacked; raises DataError if the file is broken."""
    try:
        return nibabel.Nifti1Image.from_bytes(unpacked(path))
    except BROKEN as problem:
        raise broken(path, problem) from problem
    except OSError as problem:
        raise unreadable(path, problem) from problem


def unreadable(path: Path, problem: OSError) -> DataError:
    """The error for a file that the system cannot read."""
    return DataError(f"{path}: {problem.strerror or problem}. Expected a readable NIfTI file.")


def broken(path: Path, problem: BaseException) -> DataError:
    """The error for a file that is not valid NIfTI, probably truncated."""
    size = path.stat().st_size if path.exists() else 0
    reason = next(iter(str(problem).splitlines()), type(problem).__name__)
    return DataError(
        f"{path}: cannot be read as NIfTI ({size:,} bytes; {reason}). "
        f"It is probably truncated: copy or download it again."
    )


def read_header(path: Path) -> Header:
    """Read the header only; of a .nii.gz file only the first block is unpacked.

    Raises:
        DataError: The file is missing, unreadable or not valid NIfTI.
    """
    try:
        header = raw_header(path)
        shape = tuple(int(n) for n in header.get_data_shape())
        return Header(shape, _affine_mm(header), header.get_data_dtype())
    except BROKEN as problem:
        raise broken(path, problem) from problem
    except OSError as problem:
        raise unreadable(path, problem) from problem


def _affine_mm(header: nibabel.Nifti1Header) -> np.ndarray:
    """Voxel indices to millimetres, float64; a header may say that its lengths are metres or micrometres."""
    affine = header.get_best_affine().astype(float)
    affine[:3] *= MM_OF_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return affine


def raw_header(path: Path) -> nibabel.Nifti1Header:
    """The header of a .nii or .nii.gz file as a nibabel object."""
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    with gzip.open(path, "rb") if packed else open(path, "rb") as file:
        return nibabel.Nifti1Header.from_fileobj(file)


def read_volume(path: Path, channel: int | None = None) -> Volume:
    """Read one scan; apply slope and intercept if the header sets them.

    Args:
        path: .nii or .nii.gz file with three axes, or with four and a `channel`.
        channel: Index along the fourth axis, for files that hold several scans.

    Returns:
        Volume of shape (X, Y, Z), in the voxel type of the file unless scaled.

    Raises:
        DataError: The file is missing, truncated or has another number of axes.
    """
    return _one_scan(path, read_array(path), channel)


def _one_scan(path: Path, volume: Volume, channel: int | None) -> Volume:
    array = volume.array
    if channel is None:
        while array.ndim > 3 and array.shape[-1] == 1:
            array = array[..., 0]
        if array.ndim != 3:
            raise DataError(f"{path}: a volume of shape {array.shape}. Expected three axes: one scan per file.")
    else:
        if array.ndim != 4 or channel >= array.shape[3]:
            raise DataError(f"{path}: a volume of shape {array.shape}. Expected four axes with channel {channel}.")
        array = array[..., channel]
    return Volume(array, volume.affine)


def read_array(path: Path) -> Volume:
    """Read the whole array of a file, with any number of axes; apply slope and intercept if the header sets them.

    Raises:
        DataError: The file is missing or truncated, or its voxels are colours or complex numbers.
    """
    image = load_image(path)
    try:
        array = np.asanyarray(image.dataobj)
    except CUT_SHORT as problem:
        raise broken(path, problem) from problem
    if array.dtype.kind not in "iuf":
        raise DataError(f"{path}: voxels of type {array.dtype} (colours or complex). Expected one number per voxel.")
    return Volume(array, _affine_mm(image.header))


def quantised_by(path: Path) -> float:
    """The step between stored numbers of a valid file whose slope is a small fraction, at most 0.1; else 0.0."""
    slope = raw_header(path).get_slope_inter()[0]
    return abs(float(slope)) if slope and 0 < abs(slope) <= COARSEST_STEP else 0.0


def read_integers(path: Path) -> Volume:
    """Read a mask, rounded to int16, or with its channels packed; the label convention says what its integers mean.

    A mask of numbers with a fraction that was written to small integers has a slope such as 4 / 255, and stores 2 as
    1.992: its voxels are rounded within half a step, see `quantised_by`.

    Raises:
        DataError: A voxel lies further than 0.001 and half a step from an integer, is not finite or not in 0 to 255.
    """
    volume = read_array(path)
    array = volume.array
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 4:
        try:
            return Volume(packed(array), volume.affine)
        except ValueError as problem:
            raise DataError(f"{path}: {problem}.") from None
    volume = _one_scan(path, volume, None)
    if volume.array.dtype.kind in "iu":
        whole = volume.array
    else:
        whole = np.rint(volume.array)
        with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, and so not an integer
            apart = np.abs(volume.array - whole)
        wrong = ~(apart <= 1e-3)
        if wrong.any() and (step := quantised_by(path)):
            wrong = ~(apart <= step / 2 + 1e-6)
        if wrong.any():
            value = volume.array[wrong].ravel()[0]
            raise DataError(f"{path}: holds {value}, not an integer. Expected a mask of labels, not a scan.")
    if whole.size and (whole.min() < 0 or whole.max() > 255):
        raise DataError(f"{path}: labels from {whole.min()} to {whole.max()}. Expected labels from 0 to 255.")
    return Volume(whole.astype(np.int16), volume.affine)


def write_volume(path: Path, volume: Volume, *, like: Path | None = None, slope: float = 1) -> None:
    """Write `volume` to a NIfTI file, atomically.

    Args:
        path: File to write, ending in .nii.gz or .nii.
        volume: Voxels and affine; the voxels keep their type.
        like: A NIfTI file whose affine, codes and units are copied instead of `volume.affine`, so that the result
            overlays that file in any viewer. The other fields of its header, and its extensions, may name a patient,
            a site or a path and are never copied.
        slope: Factor by which readers multiply the stored numbers.
    """
    if like is None:
        image = nibabel.Nifti1Image(volume.array, volume.affine)
        image.header.set_xyzt_units("mm" if volume.spacing_known else "unknown")
        image.set_sform(volume.affine, code="scanner")
        image.set_qform(volume.affine, code="scanner")
    else:
        header = raw_header(like)
        image = nibabel.Nifti1Image(volume.array, header.get_best_affine())
        for field in GEOMETRY:
            image.header[field] = header[field]
        image.header["pixdim"][:4] = header["pixdim"][:4]
    image.set_data_dtype(volume.array.dtype)
    image.header.set_slope_inter(slope, 0)
    image.header["cal_min"] = image.header["cal_max"] = 0
    data = image.to_bytes()
    if path.name.lower().endswith(".gz"):
        data = igzip.compress(data, 2, mtime=0)  # no time stamp: the same mask gives the same bytes
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
