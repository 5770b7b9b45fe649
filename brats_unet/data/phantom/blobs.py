"""Lesions of schemes that are not those of gliomas: the labels of a scheme as irregular shells around each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from brats_unet.data.phantom.contrast import appearances
from brats_unet.data.phantom.extent import Extent, without_dust
from brats_unet.data.phantom.fields import FieldSampler, ramp, random_field
from brats_unet.data.phantom.head import Anatomy
from brats_unet.data.phantom.patient import Patient, Positions, grow_around
from brats_unet.data.phantom.tumour import Lesion, draw_centre
from brats_unet.modality import Modality

SHELL_MM = 3.0  # least mean thickness of a shell
MODALITIES = (Modality.FLAIR, Modality.T1, Modality.T1CE, Modality.T2)
# Signal of each label relative to the tissue around it, in the order of `MODALITIES`; label i has row i modulo 8. Any
# two rows differ by 0.3 or more in a modality.
CONTRASTS = (
    (0.48, -0.12, -0.10, 0.55),
    (0.15, -0.32, -0.36, 1.00),
    (0.38, -0.08, 0.60, 0.50),
    (-0.36, -0.38, -0.34, 1.15),
    (0.55, 0.08, 0.26, 0.16),
    (-0.28, 0.30, 0.34, -0.28),
    (0.22, -0.42, 0.38, 0.22),
    (-0.46, -0.20, -0.26, -0.42),
)


class Spread(StrEnum):
    """How many lesions a phantom has, and how large or faint they are."""

    SINGLE = "single"
    SEVERAL = "several"
    LARGE = "large"
    SMALL = "small"
    FAINT = "faint"
    NONE = "none"


RADIUS_MM = {
    Spread.SINGLE: (16, 25),
    Spread.SEVERAL: (10, 16),
    Spread.LARGE: (25, 32),
    Spread.SMALL: (7, 11),
    Spread.FAINT: (16, 26),
}


@dataclass(frozen=True, eq=False)
class Shells:
    """Labels as shells around each other; an `extent.Growth`.

    Attributes:
        depths: By label, from the outermost inwards, the depth below its outer surface, a lattice field in mm; a
            label ends where the next one begins.
    """

    depths: Mapping[str, np.ndarray]

    def __call__(
        self, box: FieldSampler, head: np.ndarray, shares: dict[str, np.ndarray], values: Mapping[str, int]
    ) -> Extent:
        labels = np.zeros(head.shape, np.uint8)
        tissue = 1 - shares["fluid"] - shares["pool"]
        weights: dict[str, np.ndarray] = {}
        healthy = np.ones(head.shape, np.float32)
        for name, field in self.depths.items():
            depth = box(field)
            labels[without_dust((depth > 0) & head, box)] = values[name]
            inside = ramp(depth, 2.0) * np.clip(0.7 + 0.05 * depth, 0, 1) * tissue
            weights = {outer: weight * (1 - inside) for outer, weight in weights.items()}
            weights[tissue_of(name)] = inside
            healthy = healthy * (1 - inside)
        return Extent(labels, weights, healthy)


def tissue_of(label: str) -> str:
    """Name of a label in `Appearance.tissue`, where no healthy tissue has it."""
    return f"label {label}"


def with_lesions(rng: np.random.Generator, variety: str, labels: Sequence[str]) -> Patient:
    """Draw a patient with lesions that are made of labels.

    A lesion holds as many labels as its size allows, next to each other in the given order, the first of them outside.
    Up to eight labels all lie in every lesion of the variety `LARGE`; of more, a random part.

    Args:
        rng: Random number generator.
        variety: One of `Spread`.
        labels: Names of the labels.
    """
    spread = Spread(variety)
    count = {Spread.NONE: 0, Spread.SEVERAL: int(rng.integers(2, 5))}.get(spread, 1)
    lesions: tuple[Lesion, ...] = ()
    for _ in range(count):
        radius = float(rng.uniform(*RADIUS_MM[spread]))
        x, y, z = (float(v) for v in rng.uniform(0.8, 1.25, 3))
        centre = draw_centre(rng, 7 + 0.3 * radius, lesions)
        lesions += (Lesion(centre, radius, 0.0, (x, y, z), float(rng.uniform(0, 0.25)) * radius),)
    anatomy, positions = grow_around(rng, lesions)
    depths = grow_shells(rng, lesions, labels, positions, anatomy)
    appearance = appearances(rng, tiny_enhancing=False, solid_core=True)
    strength = float(rng.uniform(0.4, 0.6)) if spread is Spread.FAINT else float(rng.uniform(0.65, 1.05))
    for index, name in enumerate(labels):
        own = CONTRASTS[index % len(CONTRASTS)]
        for modality, contrast in zip(MODALITIES, own, strict=True):
            appearance[modality].tissue[tissue_of(name)] = 1 + strength * float(rng.uniform(0.8, 1.2)) * contrast
    return Patient(anatomy, Shells(depths), appearance)


def grow_shells(
    rng: np.random.Generator,
    lesions: tuple[Lesion, ...],
    labels: Sequence[str],
    positions: Positions,
    anatomy: Anatomy,
) -> dict[str, np.ndarray]:
    """The fields of `Shells`."""
    depths = {name: np.full_like(anatomy.hull, -99) for name in labels}
    limits = np.minimum(anatomy.hull - 0.2, -anatomy.ventricle - 0.3)
    broad, fine, finger = (random_field(rng, wavelength) for wavelength in (44, 16, 30))
    for lesion in lesions:
        distance = np.sqrt(
            sum(
                ((p - np.float32(c)) / np.float32(s)) ** 2
                for p, c, s in zip(positions, lesion.centre, lesion.stretch, strict=True)
            )
        )
        side = np.maximum(np.float32(np.sign(lesion.centre[0])) * anatomy.x - 1.5, anatomy.callosum)
        held = min(len(labels), max(1, int(lesion.core_mm / SHELL_MM)))
        first = int(rng.integers(len(labels) - held + 1))
        wobble = np.float32(0.2) * broad + np.float32(0.08) * fine
        depth = np.float32(lesion.core_mm) * (1 + wobble + np.float32(0.2) * np.maximum(finger, 0)) - distance
        outer = depth = np.minimum(np.minimum(depth, side), limits)
        thickness = 0.9 * max(float(depth.max()), 0.0) / held
        for shell, name in enumerate(labels[first : first + held]):
            uneven = np.clip(1 + 0.25 * random_field(rng, 26), 0.6, 1.15).astype(np.float32)
            depth = np.minimum(depth, outer - np.float32(shell * thickness) * uneven)
            depths[name] = np.maximum(depths[name], depth)
    return depths
