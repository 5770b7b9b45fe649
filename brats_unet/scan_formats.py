"""Names of the file formats of scans and masks, and what a file is that has none of them."""

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

from brats_unet.errors import DataError

NIFTI = (".nii.gz", ".nii")
FREESURFER = (".mgz", ".mgh")
ITK = (".mha", ".mhd", ".nrrd", ".nhdr")  # MetaImage and NRRD: read by SimpleITK
SUFFIXES = (*NIFTI, *FREESURFER, *ITK)
IN_ONE_FILE = {".mhd": ".mha", ".nhdr": ".nrrd"}  # the same formats with header and voxels together
WRITTEN = (".nii.gz", ".mgz", ".mgh", ".mha", ".nrrd")  # of masks that commands write
GZIP = b"\x1f\x8b"
HEAD = 1024  # bytes that tell formats apart
CONVERT = "Convert the arrays with nibabel: nibabel.save(nibabel.Nifti1Image(array, affine), 'scan.nii.gz')."
DOWNLOAD = "Download it again, signed in if the site asks for it."


@dataclass(frozen=True)
class Foreign:
    """A kind of file that holds no readable scan.

    Attributes:
        one: Such a file in words, with its article.
        many: Several of them in words.
        way: What to do, in a sentence.
        starts: First bytes, each with its offset; one of them decides.
        suffixes: Endings of their names, in lower case.
        rightly: Endings of names with which such a file is no foreign one.
    """

    one: str
    many: str
    way: str
    starts: tuple[tuple[int, bytes], ...] = ()
    suffixes: tuple[str, ...] = ()
    rightly: tuple[str, ...] = ()


TWICE = Foreign("packed with gzip twice", "", "Unpack it once: gunzip -c FILE > NEW, with a new name in .nii.gz.")
KINDS = (
    Foreign(
        "a Git LFS pointer, not the scan itself",
        "Git LFS pointers",
        "Fetch the scans: git lfs pull.",
        ((0, b"version https://git-lfs"),),
    ),
    Foreign(
        "a git-annex pointer, not the scan itself",
        "git-annex pointers",
        "Fetch the scans: datalad get, or git annex get.",
        ((0, b"/annex/objects/"),),
    ),
    Foreign(
        "a web page, not a scan",
        "web pages",
        DOWNLOAD,
        ((0, b"<!doctype"), (0, b"<html"), (0, b"<?xml"), (0, b"<head")),
        (".html", ".htm"),
    ),
    Foreign(
        "DICOM", "DICOM files", "Convert the series with dcm2niix: dcm2niix -z y FOLDER.", ((128, b"DICM"),), (".dcm",)
    ),
    Foreign("HDF5", "HDF5 files", CONVERT, ((0, b"\x89HDF\r\n\x1a\n"),), (".h5", ".hdf5")),
    Foreign("a NumPy array", "NumPy arrays", CONVERT, ((0, b"\x93NUMPY"),), (".npy", ".npz")),
    Foreign(
        "an archive",
        "archives",
        "Unpack it first.",
        ((0, b"PK\x03\x04"), (0, b"7z\xbc\xaf\x27\x1c"), (0, b"Rar!"), (257, b"ustar")),
        (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"),
    ),
    Foreign(
        "a MetaImage file",
        "MetaImage files",
        "Rename it: its name must end in .mha.",
        ((0, b"ObjectType"),),
        rightly=(".mha", ".mhd"),
    ),
    Foreign(
        "an NRRD file",
        "NRRD files",
        "Rename it: its name must end in .nrrd.",
        ((0, b"NRRD000"),),
        rightly=(".nrrd", ".nhdr"),
    ),
    Foreign(
        "an Analyze or NIfTI pair",
        "Analyze or NIfTI pairs",
        "Convert them to .nii.gz, each pair to one file.",
        (),
        (".hdr", ".img"),
    ),
    Foreign("a picture", "pictures", "", ((0, b"\x89PNG"), (0, b"\xff\xd8\xff"))),
)


def suffix_of(path: Path) -> str:
    """The ending of a file name that says its format, in lower case, such as ".nii.gz"; "" if it is none of ours."""
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")


def stem(path: Path) -> str:
    """File name without the ending of its format (`SUFFIXES`, upper or lower case); else without its last suffix."""
    return path.name[: -len(suffix)] if (suffix := suffix_of(path)) else path.stem


def is_scan(path: Path) -> bool:
    """Whether the name ends in that of a format of scans; the `._*` files of macOS do not count."""
    return bool(suffix_of(path)) and not path.name.startswith("._")


def foreign(path: Path) -> Foreign | None:
    """What a file is that cannot be read as a scan, by its first bytes, else by its name; None if that is unknown.

    A gzip file is judged by what is packed in it. A file that cannot be opened is judged by its name.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
        if head[:2] == GZIP:
            with gzip.open(path) as file:
                head = file.read(HEAD)
            if head[:2] == GZIP:
                return TWICE
    except (OSError, EOFError, zlib.error):
        head = b""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for kind in KINDS:
        for offset, start in kind.starts:
            if head[offset : offset + len(start)] == start or (offset == 0 and text.startswith(start.lower())):
                return None if suffix_of(path) in kind.rightly else kind
    return next((kind for kind in KINDS if path.suffix.lower() in kind.suffixes and not is_scan(path)), None)


def broken(path: Path, reason: str, *, format: str = "") -> DataError:
    """The error for a file that cannot be read as a scan: it says what the file is, else that it is truncated.

    Args:
        path: The file.
        reason: What its reader said.
        format: Name of the format that it was read as.
    """
    if kind := foreign(path):
        return DataError(f"{path}: is {kind.one}. {kind.way}".rstrip())
    size = path.stat().st_size if path.exists() else 0
    read_as = f" as {format}" if format else ""
    return DataError(
        f"{path}: cannot be read{read_as} ({size:,} bytes; {reason}). It is probably damaged or cut short: copy or "
        f"download it again."
    )


def unreadable(path: Path, problem: OSError) -> DataError:
    """The error for a file that the system cannot open."""
    return DataError(f"{path}: {problem.strerror or problem}. Expected a readable file with a scan or a mask.")
