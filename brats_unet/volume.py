"""Cases (paths of the files) and volumes (their content), and reorientation to L-P-S axes and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from brats_unet.errors import DataError
from brats_unet.modality import Modality

Spacing = tuple[float, float, float]
FARTHEST_MM = 1e6  # no scan lies a kilometre away


@dataclass(frozen=True)
class ImageFile:
    """One scan on disk.

    Attributes:
        path: File of a format in `scan_formats`, or folder of TIFF slices.
        channel: Channel of a 4-D file, as in the Medical Segmentation Decathlon, or of RGB slices; None for a 3-D file.
        spacing_mm: Edge lengths of a voxel of slices, which do not hold them, along L, P, S, in millimetres; None if
            they are unknown, and for other files.
    """

    path: Path
    channel: int | None = None
    spacing_mm: Spacing | None = None


@dataclass(frozen=True)
class Case:
    """One scan session of one patient: the paths of its files, and what is known without reading them.

    Attributes:
        id: Unique in its dataset; also the file name of the prediction.
        images: The scans by modality; discovery refuses cases that lack a requested one.
        mask: The expert mask (a file or a folder of slices), or None for a case to predict.
        patient: All cases of one patient are in the same fold; equals `id` if the names do not show the patient.
        stratum: Group that every fold gets its share of: the grade "HGG" or "LGG" if a name mapping or a folder name
            shows it, institution and grade in the LGG MRI Segmentation data set; None if it is unknown.
        absent: Requested scans that the data set itself lacks for this case; each becomes a channel of zeros.
    """

    id: str
    images: Mapping[Modality, ImageFile]
    mask: Path | None = None
    patient: str = ""
    stratum: str | None = None
    absent: tuple[Modality, ...] = ()

    def __post_init__(self) -> None:
        if not self.patient:
            object.__setattr__(self, "patient", self.id)

    @property
    def spacing_mm(self) -> Spacing | None:
        """Spacing of its scans if they are slices, see `ImageFile.spacing_mm`."""
        return given_spacing_mm(self.images)


def given_spacing_mm(images: Mapping[Modality, ImageFile] | None) -> Spacing | None:
    """Spacing that a setting gives to the scans of a case, and so to its mask; see `ImageFile.spacing_mm`."""
    return next((file.spacing_mm for file in (images or {}).values()), None)


@dataclass(frozen=True, eq=False)
class Header:
    """The header of a scan or mask: shape, affine (voxel indices to R-A-S+ mm) and voxel type on disk."""

    shape: tuple[int, ...]
    affine: np.ndarray
    dtype: np.dtype

    @property
    def spacing_mm(self) -> Spacing:
        return spacing_mm(self.affine)


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels and their position in the scanner.

    Attributes:
        array: Shape (X, Y, Z) or (X, Y, Z, M).
        affine: float64, shape (4, 4): maps voxel indices to millimetres in R-A-S+ world axes, as in NIfTI.
        spacing_known: False for slices of unknown spacing: the affine's unit is then a voxel, not a millimetre.
    """

    array: np.ndarray
    affine: np.ndarray = field(default_factory=lambda: np.diag([-1.0, -1.0, 1.0, 1.0]))
    spacing_known: bool = True

    @property
    def spacing_mm(self) -> Spacing:
        return spacing_mm(self.affine)

    @property
    def known_spacing_mm(self) -> Spacing | None:
        """The spacing, or None if it is unknown."""
        return self.spacing_mm if self.spacing_known else None


def spacing_mm(affine: np.ndarray) -> Spacing:
    """Edge lengths of a voxel along the three voxel axes, in millimetres."""
    lengths = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    return (float(lengths[0]), float(lengths[1]), float(lengths[2]))


def corners_apart_mm(shape: tuple[int, ...], affine: np.ndarray, other: np.ndarray) -> float:
    """Largest distance between the positions that two affines give the same corner voxel, in mm; -0.0 equals 0.0."""
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape[:3]], indexing="ij")).reshape(3, -1)
    moved = (affine - other)[:3] @ np.vstack([corners, np.ones(corners.shape[1])])
    return float(np.sqrt((moved**2).sum(axis=0)).max())


@dataclass(frozen=True)
class Turn:
    """A permutation of the three voxel axes, followed by reversals: reorients an array to L-P-S axes.

    Attributes:
        axes: Entry i is the input axis that becomes output axis i.
        reverse: Entry i says whether output axis i is reversed.
    """

    axes: tuple[int, int, int]
    reverse: tuple[bool, bool, bool]

    def apply(self, array: np.ndarray) -> np.ndarray:
        """View of `array` with its first three axes permuted and reversed; later axes stay."""
        turned = array.transpose(*self.axes, *range(3, array.ndim))
        return turned[tuple(slice(None, None, -1) if r else slice(None) for r in self.reverse)]

    def undo(self, array: np.ndarray) -> np.ndarray:
        """The exact inverse of `apply`."""
        back = array[tuple(slice(None, None, -1) if r else slice(None) for r in self.reverse)]
        return back.transpose(*np.argsort(self.axes), *range(3, array.ndim))

    def indices(self, shape: tuple[int, ...]) -> np.ndarray:
        """Maps indices of the output, of this shape, to those of the input: float64, shape (4, 4)."""
        matrix = np.zeros((4, 4))
        matrix[3, 3] = 1
        for output, (axis, reverse) in enumerate(zip(self.axes, self.reverse, strict=True)):
            matrix[axis, output] = -1 if reverse else 1
            matrix[axis, 3] = shape[output] - 1 if reverse else 0
        return matrix


def turned_like(volume: Volume, affine: np.ndarray) -> Volume:
    """The same voxels, with axes in the order and direction of another affine; nothing is interpolated.

    Args:
        volume: Array of shape (X, Y, Z) or (X, Y, Z, M).
        affine: Voxel indices to millimetres of the wanted axes, shape (4, 4); its spacing and origin do not matter.

    Raises:
        ValueError: An affine is singular or not finite.
    """
    to_lps, wanted = turn_to_lps(volume.affine), turn_to_lps(affine)
    turned = to_lps.apply(volume.array)
    array = wanted.undo(turned)
    lps = volume.affine @ to_lps.indices(turned.shape)
    return replace(volume, array=array, affine=lps @ np.linalg.inv(wanted.indices(turned.shape)))


def refuse_no_place(path: Path, affine: np.ndarray) -> None:
    """Raise DataError if an affine is singular, not finite or absurdly large, so that it places no voxel."""
    try:
        if np.isfinite(affine).all() and np.abs(affine).max() > FARTHEST_MM:
            raise ValueError(f"The affine holds {np.abs(affine).max():g} mm.")
        turn_to_lps(affine)
    except ValueError as problem:
        raise DataError(f"{path}: {problem} Correct the affine in its header.") from None


def turn_to_lps(affine: np.ndarray) -> Turn:
    """The turn after which the voxel axes point as nearly as possible to Left, Posterior, Superior, as in BraTS files.

    Raises:
        ValueError: The affine is singular or not finite.
    """
    matrix = np.asarray(affine, float)[:3, :3]
    if not np.isfinite(affine).all() or abs(np.linalg.det(matrix)) < 1e-12:
        raise ValueError("The affine is singular or not finite: it gives no orientation.")
    directions = matrix / np.sqrt((matrix**2).sum(axis=0))  # world (R, A, S) x voxel axis
    left = np.abs(directions).copy()
    axes = [0, 0, 0]
    for _ in range(3):  # greedy: assign the best aligned axis first, for oblique scans
        world, voxel = np.unravel_index(np.argmax(left), left.shape)
        axes[world] = int(voxel)
        left[world, :] = -1
        left[:, voxel] = -1
    wanted = (-1, -1, 1)  # L and P are the negative ends of R and A
    reverse = tuple(bool(directions[w, axes[w]] * wanted[w] < 0) for w in range(3))
    return Turn((axes[0], axes[1], axes[2]), (reverse[0], reverse[1], reverse[2]))
