"""Long because nibabel is imported here only: read and write NIfTI (1 and 2) and FreeSurfer files (.mgz, .mgh)."""

import gzip
import logging
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import nibabel
import numpy as np
from isal import igzip, igzip_lib
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer import MGHImage
from nibabel.freesurfer.mghformat import MGHError
from nibabel.nifti1 import Nifti1Extensions
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from brats_unet.errors import DataError
from brats_unet.files import atomic_path
from brats_unet.mask_channels import packed
from brats_unet.nifti_bytes import unpacked
from brats_unet.scan_formats import FREESURFER, GZIP, broken, suffix_of, unreadable
from brats_unet.volume import Header, Volume, refuse_no_place

MM_OF_UNIT = {1: 1000.0, 3: 0.001}  # of the codes for metre and micrometre; 2 is millimetre, 0 unknown
COARSEST_STEP = 0.1  # with larger steps, rounding could turn one label into another
# What nibabel and gzip raise for truncated files and for files that are not NIfTI.
BROKEN: tuple[type[Exception], ...] = (
    gzip.BadGzipFile,
    cast(type[Exception], igzip_lib.IsalError),  # its type stub declares the class as an instance
    EOFError,
    KeyError,  # a FreeSurfer header with an unknown voxel type
    OverflowError,  # an axis of more voxels than can be counted
    TypeError,  # a FreeSurfer header that is cut short
    ValueError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    MGHError,
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


class _NoExtensions(Nifti1Extensions):
    """Extensions of a NIfTI file are never used, so they are not read: damaged ones do no harm."""

    @classmethod
    def from_fileobj(cls, fileobj: Any, size: int, byteswap: bool) -> "_NoExtensions":
        return cls()


def _without_extensions(image: Any) -> Any:
    """An image class of nibabel that does not read extensions."""
    header = type(image.header_class.__name__, (image.header_class,), {"exts_klass": _NoExtensions})
    return type(image.__name__, (image,), {"header_class": header})


NIFTI1, NIFTI2 = map(_without_extensions, (nibabel.Nifti1Image, nibabel.Nifti2Image))


def load_image(path: Path) -> Any:
    """The nibabel image of a file, with its bytes already unpacked; raises DataError if the file is broken."""
    try:
        data = unpacked(path)
        with np.errstate(all="ignore"):  # numbers in the header that are not finite are found in the affine
            return _kind(data[:4]).from_bytes(data)
    except BROKEN as problem:
        raise broken(path, _reason(problem), format="NIfTI") from problem
    except OSError as problem:
        raise unreadable(path, problem) from problem


def _kind(first: bytes) -> Any:
    """The image class of nibabel for a file that begins with these four bytes: the length of its header, or 1."""
    if first == (1).to_bytes(4, "big"):
        return MGHImage
    if 540 in (int.from_bytes(first, "little"), int.from_bytes(first, "big")):
        return NIFTI2
    return NIFTI1


def _reason(problem: BaseException) -> str:
    if isinstance(problem, KeyError):
        return f"unknown voxel type {problem}"
    return next(iter(str(problem).splitlines()), type(problem).__name__)


def read_header(path: Path) -> Header:
    """Read the header only; of a packed file only the first block is unpacked.

    Raises:
        DataError: The file is missing, unreadable or not valid.
    """
    try:
        header = raw_header(path)
        shape = tuple(int(n) for n in header.get_data_shape())
        return Header(shape, _affine_mm(header, path), header.get_data_dtype())
    except BROKEN as problem:
        raise broken(path, _reason(problem), format="NIfTI") from problem
    except OSError as problem:
        raise unreadable(path, problem) from problem


def _affine_mm(header: Any, path: Path) -> np.ndarray:
    """Voxel indices to millimetres, float64; a header may say that its lengths are metres or micrometres.

    Raises:
        DataError: It is singular, not finite or absurdly large, so that the voxels lie nowhere.
    """
    with np.errstate(all="ignore"):
        affine = header.get_best_affine().astype(float)
    if "xyzt_units" in header:  # NIfTI; FreeSurfer counts millimetres
        affine[:3] *= MM_OF_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    refuse_no_place(path, affine)
    return affine


def raw_header(path: Path) -> Any:
    """The header of a file as a nibabel object."""
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP
    with gzip.open(path, "rb") if packed else open(path, "rb") as file:
        kind = _kind(file.read(4))
        file.seek(0)
        with np.errstate(all="ignore"):  # sizes that no file can have
            return kind.header_class.from_fileobj(file)


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
    return one_scan(read_array(path), path, channel)


def one_scan(volume: Volume, path: Path, channel: int | None) -> Volume:
    """One scan of all that a file holds; see `read_volume`."""
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
    return replace(volume, array=array)


def read_array(path: Path) -> Volume:
    """Read the whole array of a file, with any number of axes; apply slope and intercept if the header sets them.

    Raises:
        DataError: The file is missing or truncated, or its voxels are colours or complex numbers.
    """
    image = load_image(path)
    try:
        with np.errstate(all="ignore"):  # voxels that are not finite are found by those who use them
            array = np.asanyarray(image.dataobj)
    except CUT_SHORT as problem:
        raise broken(path, _reason(problem), format="NIfTI") from problem
    array = array.astype(array.dtype.newbyteorder("="), copy=False) if suffix_of(path) in FREESURFER else array
    if array.dtype.kind not in "iuf":
        raise DataError(f"{path}: voxels of type {array.dtype} (colours or complex). Expected one number per voxel.")
    return Volume(array, _affine_mm(image.header, path))


def quantised_by(path: Path) -> float:
    """The step between stored numbers of a valid file whose slope is a small fraction, at most 0.1; else 0.0."""
    header = raw_header(path)
    slope = header.get_slope_inter()[0] if "scl_slope" in header else None
    return abs(float(slope)) if slope and 0 < abs(slope) <= COARSEST_STEP else 0.0


def read_integers(path: Path) -> Volume:
    """Read a mask, rounded to int16, or with its channels packed; the label convention says what its integers mean.

    A mask of numbers with a fraction that was written to small integers has a slope such as 4 / 255, and stores 2 as
    1.992: its voxels are rounded within half a step, see `quantised_by`.

    Raises:
        DataError: A voxel lies further than 0.001 and half a step from an integer, is not finite or not in 0 to 255.
    """
    return as_integers(read_array(path), path)


def as_integers(volume: Volume, path: Path) -> Volume:
    """All that a file holds as a mask of integers; see `read_integers`."""
    array = volume.array
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim == 4:
        try:
            return replace(volume, array=packed(array))
        except ValueError as problem:
            raise DataError(f"{path}: {problem}.") from None
    volume = one_scan(volume, path, None)
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
    return replace(volume, array=whole.astype(np.int16))


def write_volume(path: Path, volume: Volume, *, like: Path | None = None, slope: float = 1) -> None:
    """Write `volume` to a file, atomically.

    Args:
        path: File to write, ending in .nii.gz, .nii, .mgz or .mgh.
        volume: Voxels and affine; the voxels keep their type.
        like: A file whose affine, and in NIfTI whose codes and units, are copied instead of `volume.affine`, so that
            the result overlays that file in any viewer. The other fields of its header, and its extensions, may name a
            patient, a site or a path and are never copied.
        slope: Factor by which readers multiply the stored numbers; 1 for a FreeSurfer file, which has none.
    """
    header = None if like is None else raw_header(like)
    affine = volume.affine if header is None else header.get_best_affine()
    if suffix_of(path) in FREESURFER:
        image: Any = MGHImage(volume.array, affine)
    else:
        image = nibabel.Nifti1Image(volume.array, affine)
        if isinstance(header, nibabel.Nifti1Header):  # of both versions
            for field in GEOMETRY:
                image.header[field] = header[field]
            image.header["pixdim"][:4] = header["pixdim"][:4]
        else:
            image.header.set_xyzt_units("mm" if volume.spacing_known else "unknown")
            image.set_sform(affine, code="scanner")
            image.set_qform(affine, code="scanner")
        image.set_data_dtype(volume.array.dtype)
        image.header.set_slope_inter(slope, 0)
        image.header["cal_min"] = image.header["cal_max"] = 0
    data = image.to_bytes()
    if suffix_of(path) in (".nii.gz", ".mgz"):
        data = igzip.compress(data, 2, mtime=0)  # no time stamp: the same mask gives the same bytes
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
