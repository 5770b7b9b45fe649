"""One segmented case: labels, volumes, and pictures of them."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.errors import SettingsError
from brats_unet.files import explain_write_errors
from brats_unet.inference.confidence import entropy
from brats_unet.inference.exported import refuse_absent
from brats_unet.modality import Modality
from brats_unet.picture import AnyPath, Picture, case_picture
from brats_unet.scan_files import read_mask, read_scan, write_like
from brats_unet.scan_formats import NIFTI, WRITTEN, stem, suffix_of
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme import Scheme
from brats_unet.spelling import suggestion
from brats_unet.volume import ImageFile, spacing_mm


@dataclass(frozen=True, eq=False)
class Segmentation:
    """One segmented case, on its own grid.

    Attributes:
        case: Name of the case.
        labels: Label integers of `convention`, uint8, shape (X, Y, Z).
        probabilities: Probabilities of the regions `scheme.predicted` (of a glioma: WT, TC and ET), float32, shape
            (X, Y, Z, R), from 0 to 1; 0 outside the box around the brain.
        affine: Affine of the scans, float64, shape (4, 4): voxel indices to millimetres in R-A-S+ world axes.
        volumes_ml: Volume of each region's mask in millilitres, by the names in `regions`; 0 if the mask is empty,
            NaN if the spacing of the scans is unknown.
        mean_probability: Mean probability inside each region's mask, from 0 to 1, by region; NaN if the mask is empty.
        agreement: Dice between the predictions of networks and mirrorings, from 0 to 1, by region; NaN for a single
            prediction, if no prediction has the region, or if the networks do not predict it.
        review: Reasons to review the case, in words. Empty if there is none; the masks can still be wrong.
        scheme: What was segmented: labels and regions.
        convention: Name of the label convention.
        scans: Files, or folders of slices, that were read.
        images: The scans of the case by modality, for `show`.
    """

    case: str
    labels: np.ndarray = field(repr=False)
    probabilities: np.ndarray = field(repr=False)
    affine: np.ndarray = field(repr=False)
    volumes_ml: Mapping[str, float]
    mean_probability: Mapping[str, float] = field(repr=False)
    agreement: Mapping[str, float] = field(repr=False)
    review: tuple[str, ...]
    scheme: Scheme = field(repr=False)
    convention: str
    scans: tuple[Path, ...] = field(repr=False)
    images: Mapping[Modality, ImageFile] = field(default_factory=dict, repr=False)

    @property
    def regions(self) -> tuple[str, ...]:
        """Names of the regions that have a volume; those of a glioma are "WT", "TC" and "ET"."""
        return self.scheme.scored

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel edge lengths along x, y, z, in millimetres."""
        return spacing_mm(self.affine)

    @property
    def uncertainty(self) -> np.ndarray:
        """Entropy of each voxel divided by its maximum, float32 (X, Y, Z).

        0 if one class is certain, 1 if all are equally likely; see `inference.confidence.entropy`.
        """
        return entropy(self.probabilities, self.scheme)

    def save(self, path: AnyPath) -> Path:
        """Write the labels on the grid of the first scan, as NIfTI or in another format.

        An existing file is replaced only when the new one is complete. Missing folders are created.

        Args:
            path: File to write, with a name that ends in .nii.gz, .nii, .mgz, .mgh, .mha or .nrrd.

        Returns:
            `path`, as a `Path`.

        Raises:
            SettingsError: The name has another ending, or is that of a scan of the case.
            MachineError: The file cannot be written.
        """
        path = Path(path)
        known = dict.fromkeys((*NIFTI, *WRITTEN))
        if suffix_of(path) not in known or not stem(path):
            raise SettingsError(f"{path}: expected a file name that ends in {', '.join(known)}.")
        if any(path.resolve().parent / stem(path) == scan.resolve().parent / stem(scan) for scan in self.scans):
            raise SettingsError(f"{path} has the name of a scan of {self.case}. Choose another name.")
        with explain_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_like(path, self.labels, ImageFile(self.scans[0]))
        return path

    def show(self, reference: AnyPath | None = None) -> Picture:
        """Three planes through the tumour with the outlines of each region; a notebook displays the result.

        Args:
            reference: Expert mask in the same label convention, to outline beside the prediction.

        Raises:
            DataError: A scan or the mask cannot be read.
            MachineError: matplotlib is not installed.
        """
        return case_picture(
            self.case,
            self.images,
            self.affine,
            self.scheme,
            reference=self._reference(reference),
            prediction=self._decoded(),
        )

    def viewer(self, reference: AnyPath | None = None, *, modality: str | None = None) -> Any:
        """The scan with the labels over it, in three planes that a notebook lets turn, scroll and zoom (NiiVue).

        Args:
            reference: Expert mask in the same label convention, as a second overlay.
            modality: Scan to show; None takes the one that shows the first region best.

        Returns:
            An `ipyniivue.NiiVue` widget. Its overlays are `volumes[1]` and, with a reference, `volumes[2]`.

        Raises:
            DataError: A scan or the mask cannot be read.
            SettingsError: The case has no such scan.
            MachineError: ipyniivue is not installed.
        """
        refuse_absent("ipyniivue", wanted_by="viewer()")
        from brats_unet.widget import viewer

        wanted = modality or self.scheme.regions[self.regions[0]].seen_on
        if modality is not None and modality not in self.images:
            raise SettingsError(f"{self.case}: there is no {modality} scan. {suggestion(modality, self.images)}")
        scan = read_scan(self.images.get(Modality(wanted), next(iter(self.images.values()))))
        masks = {"prediction": self._decoded(), "reference": self._reference(reference)}
        return viewer(scan, {title: mask for title, mask in masks.items() if mask is not None}, self.scheme)

    def _decoded(self) -> np.ndarray:
        """The labels as in memory."""
        return conventions(self.scheme)[self.convention].decode(self.labels, where=self.case)

    def _reference(self, path: AnyPath | None) -> np.ndarray | None:
        """An expert mask as in memory; None for None."""
        if path is None:
            return None
        return conventions(self.scheme)[self.convention].decode(read_mask(Path(path)).array, where=str(path))

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(region)}</td><td>{self.volumes_ml[region]:.1f}</td>"
            f"<td>{self.mean_probability[region]:.2f}</td></tr>"
            for region in self.regions
        )
        check = f"<p>Check: {html.escape('; '.join(self.review))}.</p>" if self.review else ""
        head = "<tr><th></th><th>volume, mL</th><th>mean probability</th></tr>"
        return f"<b>{html.escape(self.case)}</b><table>{head}{rows}</table>{check}"
