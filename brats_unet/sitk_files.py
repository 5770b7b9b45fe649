"""Read and write MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr); the only importer of SimpleITK.

ITK counts millimetres in L-P-S+ world axes, NIfTI in R-A-S+: the first two rows of an affine change their sign.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from brats_unet.errors import DataError, MachineError
from brats_unet.file_kinds.itk_headers import fields_of, refuse_false_promise
from brats_unet.files import atomic_path, is_file
from brats_unet.scan_formats import broken, suffix_of
from brats_unet.volume import Header, Volume, refuse_no_place

READERS = {".mha": "MetaImageIO", ".mhd": "MetaImageIO", ".nrrd": "NrrdImageIO", ".nhdr": "NrrdImageIO"}
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
DATA_FILES = ("ElementDataFile", "data file", "datafile")  # fields that name the file of the voxels


def files_of(path: Path) -> list[Path]:
    """The files that hold an image: itself and, for .mhd and .nhdr, the file of the voxels that its header names.

    Raises:
        DataError: The header names no plain file in its own folder.
    """
    fields = fields_of(path)
    name = next((fields[key] for key in DATA_FILES if key in fields), "LOCAL")
    if name.upper() == "LOCAL":
        return [path]
    if name.upper().startswith("LIST") or "%" in name or any(mark in name for mark in "/\\:\0") or name in ("", ".."):
        raise DataError(
            f"{path}: its voxels are in {name!r}. Expected one file in the same folder. Convert it to .nii.gz, .mha or "
            f".nrrd, which hold header and voxels together."
        )
    return [path, path.parent / name]


def read_header(path: Path) -> Header:
    """Shape, affine (to R-A-S+ mm) and voxel type of a file, without its voxels.

    Raises:
        DataError: The file is missing, broken or not of this format.
        MachineError: SimpleITK is not installed.
    """
    sitk, reader = _reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError as problem:
        raise broken(path, _reason(problem)) from problem
    components = reader.GetNumberOfComponents()
    shape = (*map(int, reader.GetSize()), *([components] if components > 1 else []))
    dtype = sitk.GetArrayViewFromImage(sitk.Image([1] * len(reader.GetSize()), reader.GetPixelID())).dtype
    return Header(shape, _affine(reader, path), dtype)


def read_array(path: Path) -> Volume:
    """The whole array of a file, shape (X, Y, Z), or (X, Y, Z, M) if it has four axes or several numbers a voxel.

    Raises:
        DataError: The file is missing, truncated or not of this format.
        MachineError: SimpleITK is not installed.
    """
    sitk, reader = _reader(path)
    try:
        image = reader.Execute()
    except RuntimeError as problem:
        raise broken(path, _reason(problem)) from problem
    array = sitk.GetArrayFromImage(image)
    axes = image.GetDimension()
    array = array.transpose(*reversed(range(axes)), *range(axes, array.ndim))
    if array.dtype.kind not in "iuf":
        raise DataError(f"{path}: voxels of type {array.dtype}. Expected one number per voxel.")
    return Volume(array, _affine(image, path))


def write_volume(path: Path, volume: Volume) -> None:
    """Write a volume (X, Y, Z), compressed and atomically; its affine must have right angles between its axes.

    Args:
        path: File to write, ending in .mha or .nrrd.
        volume: Voxels and affine; the voxels keep their type.

    Raises:
        MachineError: SimpleITK is not installed, or the file cannot be written.
    """
    sitk = _simpleitk(path)
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.transpose()))
    lps = TO_RAS @ volume.affine
    image.SetSpacing(volume.spacing_mm)
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / volume.spacing_mm).ravel().tolist())
    with atomic_path(path) as temporary, TemporaryDirectory() as folder:
        whole = Path(folder) / f"volume{suffix_of(path)}"  # ITK chooses the format by the ending
        try:
            sitk.WriteImage(image, str(whole), True)
        except RuntimeError as problem:
            raise MachineError(f"{path} cannot be written ({_reason(problem)}). Make room for it.") from problem
        temporary.write_bytes(whole.read_bytes())


def _simpleitk(path: Path) -> Any:
    try:
        import SimpleITK
    except ImportError as problem:
        raise MachineError(
            f"{path}: {suffix_of(path)} files are read with SimpleITK, which is not installed. Install it: "
            f"pip install 'brats-unet[formats]'."
        ) from problem
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def _reader(path: Path) -> tuple[Any, Any]:
    """SimpleITK and its reader of a file, bound to the format of its name: no other reader opens it."""
    sitk = _simpleitk(path)
    files = files_of(path)
    for file in files:
        if not is_file(file):
            raise DataError(f"{path}: there is no {file}, which holds its voxels. Put it beside the header.")
    refuse_false_promise(files)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(READERS[suffix_of(path)])
    reader.SetFileName(str(path))
    return sitk, reader


def _affine(image: Any, path: Path) -> np.ndarray:
    """Affine of the first three axes, to R-A-S+ mm."""
    axes = len(image.GetSize())
    if axes < 3:
        raise DataError(f"{path}: an image of {axes} axes. Expected three: one scan per file.")
    direction = np.array(image.GetDirection()).reshape(axes, axes)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array(image.GetSpacing()[:3])
    affine[:3, 3] = image.GetOrigin()[:3]
    affine = TO_RAS @ affine
    refuse_no_place(path, affine)
    return affine


def _reason(problem: Exception) -> str:
    """The last line of ITK's message, without the addresses of its objects and its place in the source."""
    last = next((line for line in reversed(str(problem).splitlines()) if line.strip()), type(problem).__name__)
    return re.sub(r"^.*ERROR: (?:\w+\(0x\w+\): )?", "", last).strip(" .")
