"""A head with what grows in it, before it is scanned; and those with a glioma."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from brats_unet.data.phantom.contrast import Appearance, appearances
from brats_unet.data.phantom.extent import Growth, glioma_extent
from brats_unet.data.phantom.fields import lattice_axes, random_field
from brats_unet.data.phantom.head import Anatomy, grow_head
from brats_unet.data.phantom.tumour import Lesion, Variety, draw_lesions, grow_tumour, without_mass_effect
from brats_unet.modality import Modality

Positions = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Patient:
    """A head, what grows in it, and how it looks in each modality."""

    anatomy: Anatomy
    growth: Growth
    appearance: dict[Modality, Appearance]


def grow_around(rng: np.random.Generator, lesions: tuple[Lesion, ...]) -> tuple[Anatomy, Positions]:
    """Draw a head of random size, tilt and shape that gives way to lesions.

    Returns:
        The head, and the position (x, y, z) of each lattice cell in the atlas frame, without mass effect, in mm.
    """
    z, y, x = lattice_axes()
    size = rng.normal(1, 0.03, 3)
    tilt = rng.normal(0, 0.025, 3)  # radians
    shift = rng.normal(0, 1.5, 3)
    z, y, x = z - 75 + shift[0], y - 130 + shift[1], x + shift[2]
    x, y = x + tilt[0] * y, y - tilt[0] * x
    y, z = y + tilt[1] * z, z - tilt[1] * y
    x, z = x + tilt[2] * z, z - tilt[2] * x
    warp = [2.0 * random_field(rng, 70) for _ in range(3)]
    x, y, z = (
        (p * s + c + w).astype(np.float32) for p, s, c, w in zip((x, y, z), size, (0, 130, 75), warp, strict=True)
    )
    anatomy = grow_head(rng, *without_mass_effect(x, y, z, lesions), atrophy=float(rng.beta(2, 2)))
    return anatomy, (x, y, z)


def with_glioma(rng: np.random.Generator, variety: str, labels: Sequence[str]) -> Patient:
    """Draw a patient with a glioma before surgery.

    Args:
        rng: Random number generator.
        variety: One of `tumour.Variety`.
        labels: Ignored; a glioma has ED, NCR and ET.
    """
    kind = Variety(variety)
    lesions = draw_lesions(rng, kind)
    anatomy, positions = grow_around(rng, lesions)
    tumour = grow_tumour(rng, kind, lesions, positions, anatomy)
    return Patient(anatomy, partial(glioma_extent, tumour), glioma_appearances(rng, kind))


def glioma_appearances(rng: np.random.Generator, variety: Variety) -> dict[Modality, Appearance]:
    """Draw the appearance of a patient with a glioma of this variety."""
    return appearances(rng, variety is Variety.TINY_ET, variety in (Variety.NO_ET, Variety.TINY_ET))
