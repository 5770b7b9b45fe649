"""Gliomas after surgery: a resection cavity with fluid and a rim, beside what is left of the tumour."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from brats_unet.data.phantom.extent import Extent, glioma_extent, without_dust
from brats_unet.data.phantom.fields import FieldSampler, ramp, random_field
from brats_unet.data.phantom.head import Anatomy, cerebrum, ventricles
from brats_unet.data.phantom.patient import Patient, Positions, glioma_appearances, grow_around
from brats_unet.data.phantom.tumour import Lesion, Tumour, Variety, draw_lesions, grow_tumour
from brats_unet.modality import Modality

GAP_MM = 0.7  # between the cavity and the tumour core


class AfterSurgery(StrEnum):
    """What surgery left in a phantom."""

    RING = "cavity_ring"
    TINY_ET = "cavity_tiny_et"
    ALONE = "cavity_alone"  # the whole core was removed; oedema is left
    SEVERAL = "cavity_several"
    UNTOUCHED = "no_cavity"
    NO_ET = "cavity_no_et"


TUMOUR_OF = {
    AfterSurgery.RING: Variety.RING,
    AfterSurgery.TINY_ET: Variety.TINY_ET,
    AfterSurgery.ALONE: Variety.RING,
    AfterSurgery.SEVERAL: Variety.SEVERAL,
    AfterSurgery.UNTOUCHED: Variety.BROKEN_RING,
    AfterSurgery.NO_ET: Variety.NO_ET,
}


@dataclass(frozen=True, eq=False)
class Operated:
    """A tumour with a resection cavity; a `extent.Growth`.

    Attributes:
        tumour: What is left of the tumour.
        cavity: Depth below the wall of the cavity, a lattice field in mm.
        rim_mm: Thickness of the rim around the cavity, a lattice field; 0 where there is none.
    """

    tumour: Tumour
    cavity: np.ndarray
    rim_mm: np.ndarray

    def __call__(
        self, box: FieldSampler, head: np.ndarray, shares: dict[str, np.ndarray], values: Mapping[str, int]
    ) -> Extent:
        tissue = 1 - shares["fluid"] - shares["pool"]
        extent = glioma_extent(self.tumour, box, head, shares, values)
        cavity, rim_mm = box(self.cavity), box(self.rim_mm)
        mask = without_dust((cavity > 0) & head & ~np.isin(extent.labels, (values["NCR"], values["ET"])), box)
        extent.labels[mask] = values["RC"]
        fluid = ramp(cavity, 1.5)
        rim = ramp(cavity + rim_mm, 1.0) * np.clip(rim_mm, 0, 1) * tissue * (1 - fluid)
        rim *= 1 - extent.weights["enhancing"]
        left = (1 - fluid) * (1 - rim)
        weights = {name: weight * left for name, weight in extent.weights.items()}
        return Extent(extent.labels, {**weights, "cavity": fluid, "rim": rim}, extent.healthy * left)


def with_operated_glioma(rng: np.random.Generator, variety: str, labels: Sequence[str]) -> Patient:
    """Draw a patient with a glioma after surgery.

    Args:
        rng: Random number generator.
        variety: One of `AfterSurgery`.
        labels: Ignored; the labels are ED, NCR, ET and RC.
    """
    left = AfterSurgery(variety)
    kind = TUMOUR_OF[left]
    lesions = draw_lesions(rng, kind)
    anatomy, positions = grow_around(rng, lesions)
    tumour = grow_tumour(rng, kind, lesions, positions, anatomy)
    appearance = glioma_appearances(rng, kind)
    for modality, signals in fluid_signals(rng).items():
        appearance[modality].tissue.update(signals)
    cavity = np.full_like(tumour.core, -99)
    if left is not AfterSurgery.UNTOUCHED:
        cavity = grow_cavity(rng, lesions[0], left is AfterSurgery.ALONE, positions, anatomy)
    return Patient(anatomy, resect(rng, tumour, cavity, left, anatomy), appearance)


def grow_cavity(
    rng: np.random.Generator, lesion: Lesion, in_its_place: bool, positions: Positions, anatomy: Anatomy
) -> np.ndarray:
    """Depth below the wall of a cavity of irregular shape, on the lattice, in mm.

    Args:
        rng: Random number generator.
        lesion: The lesion that was operated on.
        in_its_place: Whether the cavity replaces the core; else it lies beside the core, or cuts into it.
        positions: Position of each lattice cell without mass effect, in mm.
        anatomy: The head.
    """
    radius = lesion.core_mm if in_its_place else float(rng.uniform(10, 19))
    centre = lesion.centre if in_its_place else beside(rng, lesion, radius)
    stretch = rng.uniform(0.75, 1.3, 3)
    distance = np.sqrt(
        sum(((p - np.float32(c)) / np.float32(s)) ** 2 for p, c, s in zip(positions, centre, stretch, strict=True))
    )
    wobble = np.float32(0.26 * radius) * random_field(rng, 36) + np.float32(0.12 * radius) * random_field(rng, 16)
    depth = np.float32(radius) - distance + wobble
    across = np.maximum(np.float32(np.sign(lesion.centre[0])) * anatomy.x - 1.5, anatomy.callosum)
    return np.minimum(np.minimum(depth, across), np.minimum(anatomy.hull, -anatomy.ventricle - 0.5))


def beside(rng: np.random.Generator, lesion: Lesion, radius: float) -> tuple[float, float, float]:
    """Centre of a ball that touches or overlaps the core of a lesion; most of it lies in the cerebrum."""
    step = float(rng.uniform(0.6, 1)) * (lesion.core_mm + radius)
    while True:
        towards = rng.standard_normal(3)
        x, y, z = (float(v) for v in np.add(lesion.centre, step * towards / np.sqrt((towards**2).sum())))
        ax, py, pz = (np.array([v], np.float32) for v in (abs(x), y, z))
        if x * lesion.centre[0] > 0 and cerebrum(ax, py, pz)[0] > 0.6 * radius and ventricles(ax, py, pz, 1.0)[0] < -3:
            return x, y, z
        step *= 0.97  # the centre of the lesion itself fits


def resect(
    rng: np.random.Generator, tumour: Tumour, cavity: np.ndarray, left: AfterSurgery, anatomy: Anatomy
) -> Operated:
    """What is left of a tumour: the cavity cuts into the core, except where the enhancing tumour is tiny."""
    core = np.full_like(cavity, -99) if left is AfterSurgery.ALONE else tumour.core
    if left is AfterSurgery.TINY_ET:
        cavity = np.minimum(cavity, -core - GAP_MM - 2)
    else:
        core = np.minimum(core, -cavity - GAP_MM)
    reach = float(rng.uniform(9, 20)) if rng.random() < 0.35 else float(rng.uniform(1, 5))
    around = cavity + reach * np.clip(1 + np.float32(0.6) * random_field(rng, 32), 0.1, 2.5)
    around = np.minimum(np.minimum(around, anatomy.hull - 0.2), -anatomy.ventricle - 0.3)
    rim = float(rng.uniform(1.2, 2.8)) * np.clip(0.7 + 0.8 * random_field(rng, 40), 0, 1.4)
    remaining = Tumour(core, np.minimum(tumour.enhancing, core), np.maximum(tumour.whole, around), tumour.enhancing_mm3)
    return Operated(remaining, cavity, rim.astype(np.float32))


def fluid_signals(rng: np.random.Generator) -> dict[Modality, dict[str, float]]:
    """Draw the signals of the cavity and its rim, relative to the median of the brain.

    The fluid looks like that of the ventricles, or, in three of ten cases, holds protein: then it is brighter in FLAIR
    and T1. The rim enhances in half of the cases.
    """
    protein = float(rng.uniform(0.4, 1)) if rng.random() < 0.3 else float(rng.uniform(0, 0.12))
    enhancing = float(rng.uniform(0.25, 0.65)) if rng.random() < 0.5 else 0.0
    blood = float(rng.uniform(0, 1))  # old blood: bright in T1, dark in T2
    t1 = float(rng.uniform(0.40, 0.52)) + 0.35 * protein
    return {
        Modality.FLAIR: {
            "cavity": float(rng.uniform(0.34, 0.52)) + 0.9 * protein, "rim": float(rng.uniform(1.0, 1.45)),
        },
        Modality.T1: {"cavity": t1, "rim": 0.85 + 0.3 * blood},
        Modality.T1CE: {"cavity": t1 + 0.04, "rim": 0.9 + 0.25 * blood + enhancing},
        Modality.T2: {"cavity": float(rng.uniform(1.9, 2.6)) - 0.4 * protein, "rim": 1.35 - 0.6 * blood},
    }  # fmt: skip
