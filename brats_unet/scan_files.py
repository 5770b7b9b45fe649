"""Read the scans and the mask of a case from whatever its files are: see `scan_formats`, or a folder of TIFF slices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brats_unet import nifti, sitk_files, tiff_slices
from brats_unet.errors import DataError
from brats_unet.file_kinds.saved_arrays import array_in
from brats_unet.modality import Modality
from brats_unet.scan_formats import IN_ONE_FILE, ITK, NIFTI, suffix_of
from brats_unet.volume import Header, ImageFile, Spacing, Volume

CHANNELS = 3  # scans in a folder of slices
ARRAYS = ".npy"  # of masks, to score them


def files_in(path: Path) -> list[Path]:
    """The files that a path of a case stands for: itself (.mhd, .nhdr: and the voxels), or the slices of a folder.

    Raises:
        DataError: The header of a file names no file for its voxels that can be read.
    """
    if path.is_dir():
        return tiff_slices.slices_in(path).files
    return sitk_files.files_of(path) if suffix_of(path) in ITK else [path]


def stamp(path: Path) -> tuple[int, int]:
    """Bytes and modification time in ns of the files that a path stands for, both summed: a change shows in them.

    Raises:
        OSError: A file is missing.
    """
    found = [file.stat() for file in files_in(path)]
    return sum(one.st_size for one in found), sum(one.st_mtime_ns for one in found)


def spacing_known(images: Mapping[Modality, ImageFile]) -> bool:
    """Whether the voxels of the scans of a case are known in mm: always, except for slices without a given spacing."""
    return all(file.spacing_mm is not None or not file.path.is_dir() for file in images.values())


def read_scan(file: ImageFile) -> Volume:
    """One scan, shape (X, Y, Z); see `nifti.read_volume`.

    Raises:
        DataError: A file is missing or broken, or its shape is not that of a scan.
    """
    if not file.path.is_dir():
        return nifti.one_scan(read_array(file), file.path, file.channel)
    volume = read_array(file)
    if file.channel is None or file.channel >= CHANNELS:
        raise DataError(f"{file.path}: channel {file.channel}. Expected one of {CHANNELS}: slices hold three scans.")
    return replace(volume, array=volume.array[..., file.channel])


def read_array(file: ImageFile) -> Volume:
    """All that the path of a scan holds, with any number of axes; see `nifti.read_array`. Slices give (X, Y, Z, 3)."""
    if file.path.is_dir():
        return _of_slices(tiff_slices.read_scans(file.path), file.spacing_mm)
    return sitk_files.read_array(file.path) if suffix_of(file.path) in ITK else nifti.read_array(file.path)


def read_mask(path: Path, spacing_mm: Spacing | None = None) -> Volume:
    """A mask as integers, int16, shape (X, Y, Z); see `nifti.read_integers`.

    Args:
        path: File, NumPy array (.npy), or folder of slices.
        spacing_mm: Spacing of its scans (`ImageFile.spacing_mm`), which slices and arrays do not hold.

    Raises:
        DataError: A file is missing or broken, or holds no mask.
    """
    if path.is_dir():
        return _of_slices(tiff_slices.read_masks(path).astype(np.int16), spacing_mm)
    if path.suffix.lower() == ARRAYS:
        return nifti.as_integers(_of_slices(_saved_array(path), spacing_mm), path)
    return nifti.as_integers(read_array(ImageFile(path)), path) if suffix_of(path) in ITK else nifti.read_integers(path)


def _saved_array(path: Path) -> np.ndarray:
    """The array of a .npy file; only numbers are read, never objects, which could run code."""
    try:
        array = array_in(path)
    except ValueError as problem:
        raise DataError(f"{path}: {problem}. Save it again, one number per voxel.") from None
    return np.asarray(array, np.uint8 if array.dtype.kind == "b" else None)


def _of_nibabel(path: Path) -> bool:
    return not path.is_dir() and suffix_of(path) not in ITK and path.suffix.lower() != ARRAYS


def quantised_sentence(masks: Iterable[Path]) -> str:
    """That the numbers of masks are stored in small steps and were rounded, in a sentence; "" if they are integers.

    Raises:
        DataError: A file is missing or broken.
    """
    steps = {path: step for path in masks if _of_nibabel(path) and (step := nifti.quantised_by(path))}
    if not steps:
        return ""
    path, step = next(iter(steps.items()))
    more = f" and {len(steps) - 1} more masks store" if len(steps) > 1 else " stores"
    return f"{path.name}{more} labels in steps of {step:.3g}: each voxel is rounded to the nearest integer."


def read_header(file: ImageFile) -> Header:
    """Shape, affine and voxel type of a scan without its voxels; see `nifti.read_header`."""
    if not file.path.is_dir():
        return sitk_files.read_header(file.path) if suffix_of(file.path) in ITK else nifti.read_header(file.path)
    return Header(tiff_slices.size_in(file.path), _affine(file.spacing_mm), np.dtype(np.uint8))


def write_like(path: Path, array: np.ndarray, scan: ImageFile, *, slope: float = 1) -> None:
    """Write an array (X, Y, Z) on the grid of a scan, in the format of the file's name (see `mask_suffix`).

    The file of a scan with an unknown spacing gets voxels of 1 × 1 × 1 in L-P-S axes, and no unit. `slope` is for NIfTI
    alone; see `nifti.write_volume`.
    """
    if suffix_of(path) in ITK:
        sitk_files.write_volume(path, Volume(array, read_header(scan).affine))
    elif scan.path.is_dir():
        nifti.write_volume(path, _of_slices(array, scan.spacing_mm), slope=slope)
    elif suffix_of(scan.path) in ITK:
        nifti.write_volume(path, Volume(array, read_header(scan).affine), slope=slope)
    else:
        nifti.write_volume(path, Volume(array), like=scan.path, slope=slope)


def mask_suffix(setting: str, scan: Path) -> str:
    """Ending of a mask's file name.

    Args:
        setting: "nifti", or "input": the format of the scan. The mask of a header with its voxels in another file
            (.mhd, .nhdr) is one file (.mha, .nrrd); that of TIFF slices, and of .nii, is .nii.gz.
        scan: Path of the scan.
    """
    suffix = suffix_of(scan)
    if setting == "nifti" or scan.is_dir() or suffix in NIFTI or not suffix:
        return NIFTI[0]
    return IN_ONE_FILE.get(suffix, suffix)


def _of_slices(array: np.ndarray, spacing_mm: Spacing | None) -> Volume:
    return Volume(array, _affine(spacing_mm), spacing_known=spacing_mm is not None)


def _affine(spacing_mm: Sequence[float] | None) -> np.ndarray:
    x, y, z = spacing_mm or (1.0, 1.0, 1.0)
    return np.diag([-x, -y, z, 1.0])
