"""What `grad_cam` returns: a map of a case, and its picture."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brats_unet.inference.exported import refuse_absent
from brats_unet.modality import Modality
from brats_unet.picture import AnyPath, Picture
from brats_unet.scan_files import write_like
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import ImageFile


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Which parts of a case make the networks predict a region.

    Attributes:
        case: Name of the case.
        region: The region.
        layer: Layer of features.
        values: float32 (X, Y, Z) on the case's grid, from 0 to 1, the largest value (of each slice, for a network of
            slices); 0 outside the tile.
        probability: Probability of the region, float32 (X, Y, Z).
        affine: Affine of the scans, float64, shape (4, 4).
        scheme: What was segmented: labels and regions.
        images: The scans of the case by modality.
    """

    case: str
    region: str
    layer: str
    values: np.ndarray = field(repr=False)
    probability: np.ndarray = field(repr=False)
    affine: np.ndarray = field(repr=False)
    scheme: Scheme = field(repr=False)
    images: Mapping[Modality, ImageFile] = field(repr=False)

    def show(self) -> Picture:
        """The map over the scan that shows the region best, in three planes, with the outline of the prediction.

        Raises:
            DataError: The scan cannot be read.
            MachineError: matplotlib is not installed.
        """
        refuse_absent("matplotlib", wanted_by="show()")
        from brats_unet.report.heat_figure import draw_heat

        with tempfile.TemporaryDirectory() as folder:
            draw_heat(
                self.images,
                self.affine,
                self.values,
                self.probability,
                file := Path(folder) / "heat.png",
                f"{self.case}: what raises {self.region}",
                scheme=self.scheme,
                region=self.region,
                layer=self.layer,
            )
            return Picture(file.read_bytes())

    def save(self, path: AnyPath) -> Path:
        """Write the values on the grid of the first scan, as NIfTI; returns the path.

        Raises:
            MachineError: The file cannot be written.
        """
        write_like(Path(path), self.values.astype(np.float32), next(iter(self.images.values())))
        return Path(path)

    def _repr_png_(self) -> bytes:
        return self.show().png
