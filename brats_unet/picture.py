"""A case in three planes, as a picture that a notebook displays."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np

from brats_unet.files import atomic_path
from brats_unet.inference.exported import refuse_absent
from brats_unet.modality import Modality
from brats_unet.scan_files import read_scan
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import ImageFile, spacing_mm, turn_to_lps

AnyPath = str | PathLike[str]


@dataclass(frozen=True)
class Picture:
    """A picture that a notebook displays.

    Attributes:
        png: The content of a PNG file.
    """

    png: bytes = field(repr=False)

    def save(self, path: AnyPath) -> Path:
        """Write the PNG file; returns its path. Raises MachineError if it cannot be written."""
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(self.png)
        return Path(path)

    def _repr_png_(self) -> bytes:
        return self.png


def case_picture(
    name: str,
    images: Mapping[Modality, ImageFile],
    affine: np.ndarray,
    scheme: Scheme,
    *,
    reference: np.ndarray | None,
    prediction: np.ndarray | None,
) -> Picture:
    """Three planes through the regions of a case, with the outlines of each.

    Args:
        name: Title of the picture.
        images: Scans of the case by modality.
        affine: Affine of the scans, shape (4, 4).
        scheme: What the labels mean.
        reference: Labels as in memory, shape (X, Y, Z), or None.
        prediction: Labels as in memory, same shape, or None.

    Raises:
        DataError: A scan cannot be read.
        MachineError: matplotlib is not installed.
    """
    refuse_absent("matplotlib", wanted_by="show()")
    from brats_unet.report.figures import case_figure

    turn = turn_to_lps(affine)
    scans = {modality: read_scan(file) for modality, file in images.items()}
    x, y, z = (spacing_mm(affine)[axis] for axis in turn.axes)
    with tempfile.TemporaryDirectory() as folder:
        case_figure(
            {modality: turn.apply(scan.array) for modality, scan in scans.items()},
            None if reference is None else turn.apply(reference),
            None if prediction is None else turn.apply(prediction),
            {},
            file := Path(folder) / "case.png",
            name,
            scheme=scheme,
            spacing_mm=(x, y, z),
            spacing_known=all(scan.spacing_known for scan in scans.values()),
        )
        return Picture(file.read_bytes())
