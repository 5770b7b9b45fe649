"""From the lattice fields of a tumour to its labels and tissues in every voxel of a box."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import cc3d
import numpy as np

from brats_unet.data.phantom.fields import FieldSampler, ramp
from brats_unet.data.phantom.tumour import Tumour

SMALLEST_MM3 = 60  # smaller separate parts of a label are left out


@dataclass(frozen=True, eq=False)
class Extent:
    """A tumour in the voxels of a box; arrays of shape (Z, Y, X), one value for each part of a voxel.

    Attributes:
        labels: Labels as in memory, uint8.
        weights: By name of a tissue in `Appearance.tissue`, its share, float32, 0 to 1.
        healthy: Share of healthy tissue.
    """

    labels: np.ndarray
    weights: dict[str, np.ndarray]
    healthy: np.ndarray


class Growth(Protocol):
    """What grows in a head."""

    def __call__(
        self, box: FieldSampler, head: np.ndarray, shares: dict[str, np.ndarray], values: Mapping[str, int]
    ) -> Extent:
        """Its extent in a box.

        Args:
            box: Voxels to compute.
            head: Mask of the skull-stripped brain, bool.
            shares: Share of each healthy tissue; changed where the tumour displaces or fills it.
            values: By name of a label, the integer that stands for it in memory.
        """


def without_dust(mask: np.ndarray, box: FieldSampler) -> np.ndarray:
    """A mask without its smallest separate parts."""
    return cc3d.dust(mask, threshold=max(1, round(SMALLEST_MM3 * box.per_mm3)), connectivity=6) > 0


def glioma_extent(
    tumour: Tumour, box: FieldSampler, head: np.ndarray, shares: dict[str, np.ndarray], values: Mapping[str, int]
) -> Extent:
    """The extent of a glioma with the labels ED, NCR and ET; the other arguments are those of `Growth`."""
    whole, core, enhancing = box(tumour.whole), box(tumour.core), box(tumour.enhancing)
    if tumour.enhancing_mm3 is not None:
        count = max(1, round(tumour.enhancing_mm3 * box.per_mm3))
        flat = np.partition(enhancing.ravel(), enhancing.size - count - 1)
        enhancing -= flat[enhancing.size - count - 1] + np.float32(1e-6)
        core = np.maximum(core, enhancing)
        whole = np.maximum(whole, enhancing)
    labels = np.zeros(head.shape, np.uint8)
    for label, field in (("ED", whole), ("NCR", core), ("ET", enhancing)):
        mask = (field > 0) & head
        if tumour.enhancing_mm3 is None or label != "ET":
            mask = without_dust(mask, box)
        labels[mask] = values[label]

    in_whole = ramp(whole - 1, 4)
    effaced = shares["fluid"] * (0.8 * in_whole)
    shares["fluid"] -= effaced
    shares["grey"] += effaced
    shares["vessel"] *= 1 - ramp(whole + 1, 2)
    w_enhancing = ramp(enhancing, 1.2)
    in_core = ramp(core, 1.5)
    w_core = in_core * (1 - w_enhancing)
    w_oedema = ramp(whole, 2.0) * np.clip(0.8 + 0.04 * whole, 0, 1) * (1 - in_core)
    w_oedema *= 1 - shares["fluid"] - shares["pool"]
    healthy = (1 - w_enhancing) * (1 - in_core) - w_oedema
    return Extent(labels, {"oedema": w_oedema, "core": w_core, "enhancing": w_enhancing}, healthy)
