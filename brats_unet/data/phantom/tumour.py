"""Gliomas of phantoms: their positions, and the extent of core, enhancing tumour and oedema."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import ndimage

from brats_unet.data.phantom.fields import PITCH_MM, ramp, random_field, smooth_max
from brats_unet.data.phantom.head import Anatomy, cerebrum, cortex_mm, ventricles


class Variety(StrEnum):
    """Kind of tumour in a phantom."""

    RING = "ring"  # a necrotic core inside an enhancing rim
    TINY_ET = "tiny_et"  # 76-97 mm3 of enhancing tumour beside a larger core
    SEVERAL = "several"  # two or three lesions
    NO_ET = "no_et"  # low grade: a non-enhancing core and no enhancing tumour
    PATCHY = "patchy"  # patches of enhancement throughout a solid core
    BROKEN_RING = "broken_ring"  # an enhancing rim with wide gaps


# Case i has variety i modulo 6. With 30 cases, each of five folds has every variety: 5 and 6 have no common factor.
CYCLE = tuple(Variety)
GRADES = {variety: "LGG" if variety is Variety.NO_ET else "HGG" for variety in Variety}


@dataclass(frozen=True)
class Lesion:
    """Position and size of one lesion, in the atlas frame.

    Attributes:
        centre: Centre (x, y, z), in mm.
        core_mm: Mean radius of the core, in mm.
        oedema_mm: Mean distance that oedema reaches beyond the core, in mm.
        stretch: Relative extent along x, y, z.
        push_mm: Displacement of the tissue at the edge of the core (mass effect), in mm.
    """

    centre: tuple[float, float, float]
    core_mm: float
    oedema_mm: float
    stretch: tuple[float, float, float]
    push_mm: float


@dataclass(eq=False)
class Tumour:
    """Extent of a tumour: lattice fields of depth, float32, in mm, positive inside.

    Attributes:
        core: Depth below the surface of the tumour core (necrotic, non-enhancing and enhancing).
        enhancing: Depth below the surface of the enhancing tumour; never larger than `core`.
        whole: Depth below the edge of the whole tumour (core and oedema).
        enhancing_mm3: Volume of the enhancing tumour if the variety fixes it, else None.
    """

    core: np.ndarray
    enhancing: np.ndarray
    whole: np.ndarray
    enhancing_mm3: float | None


def draw_centre(
    rng: np.random.Generator, margin_mm: float, apart_from: tuple[Lesion, ...] = ()
) -> tuple[float, float, float]:
    """Draw the centre (x, y, z) of a lesion in the white matter of the cerebrum, in mm.

    Args:
        rng: Random number generator.
        margin_mm: Smallest depth below the surface of the cerebrum; the distance to the ventricles is at least 5 mm.
        apart_from: Other lesions, whose centres must be more than 34 mm away.
    """
    while True:
        side = 1 if rng.random() < 0.5 else -1
        x, y, z = (np.array([rng.uniform(a, b)], np.float32) for a, b in ((17, 52), (76, 190), (46, 116)))
        point = (side * float(x[0]), float(y[0]), float(z[0]))
        far = all(
            np.hypot(np.hypot(*(np.subtract(point, o.centre)[:2])), point[2] - o.centre[2]) > 34 for o in apart_from
        )
        if cerebrum(x, y, z)[0] > margin_mm and ventricles(x, y, z, 1.0)[0] < -5 and far:
            return point


def draw_lesions(rng: np.random.Generator, variety: Variety) -> tuple[Lesion, ...]:
    """Draw positions and sizes of the lesions of a case: two or three for `SEVERAL`, else one."""
    low, high = {
        Variety.RING: (15, 22),
        Variety.TINY_ET: (11, 16),
        Variety.SEVERAL: (11, 16),
        Variety.NO_ET: (16, 27),
        Variety.PATCHY: (14, 20),
        Variety.BROKEN_RING: (15, 23),
    }[variety]
    count = int(rng.integers(2, 4)) if variety is Variety.SEVERAL else 1
    lesions: tuple[Lesion, ...] = ()
    for _ in range(count):
        core = float(rng.uniform(low, high))
        reach = float(rng.uniform(4, 9)) if variety is Variety.NO_ET else float(rng.uniform(9, 20))
        stretch = tuple(float(v) for v in rng.uniform(0.82, 1.25, 3))
        push = float(rng.uniform(0, 0.3)) * core
        lesions += (Lesion(draw_centre(rng, 9 + 0.3 * core, lesions), core, reach, stretch, push),)  # type: ignore[arg-type]
    return lesions


def without_mass_effect(x, y, z, lesions: tuple[Lesion, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Position that the tissue at (x, y, z) had before the lesions pushed it; the push fades towards the skull."""
    mobility = np.clip(cerebrum(np.abs(x), y, z) * np.float32(1 / 18), 0, 1)
    for lesion in lesions:
        dx, dy, dz = (p - np.float32(c) for p, c in zip((x, y, z), lesion.centre, strict=True))
        r = np.sqrt(dx * dx + dy * dy + dz * dz) + np.float32(1)
        amount = (
            mobility
            * np.float32(lesion.push_mm)
            * np.minimum(r / lesion.core_mm, np.exp((lesion.core_mm - r) / 22))
            / r
        )
        x, y, z = x - amount * dx, y - amount * dy, z - amount * dz
    return x, y, z


def grow_tumour(
    rng: np.random.Generator, variety: Variety, lesions: tuple[Lesion, ...], positions_mm, anatomy: Anatomy
) -> Tumour:
    """Build the extent of a tumour on the lattice.

    Args:
        rng: Random number generator for its shape.
        variety: Kind of tumour.
        lesions: Positions and sizes of its lesions.
        positions_mm: Position (x, y, z) of each lattice cell in the atlas frame, without mass effect, in mm.
        anatomy: Head in which it grows.
    """
    x, y, z = positions_mm
    broad, fine, patch, gap, finger = (random_field(rng, w) for w in (44, 18, 22, 50, 32))
    cortex = cortex_mm(
        anatomy.x,
        anatomy.hull,
        anatomy.arch,
        anatomy.sylvian,
        anatomy.sylvian_end,
        anatomy.insula,
        anatomy.sulcus,
        anatomy.sulcus_depth,
        0.5,
    )
    near_grey = ndimage.uniform_filter(ramp(3.0 - cortex, 3.0), 3)
    core = np.full_like(x, -99)
    whole = np.full_like(x, -99)
    enhancing = np.full_like(x, -99)
    for lesion in lesions:
        radius = np.sqrt(
            sum(
                ((p - np.float32(c)) / np.float32(s)) ** 2
                for p, c, s in zip((x, y, z), lesion.centre, lesion.stretch, strict=True)
            )
        )
        wobble = lesion.core_mm * (np.float32(0.17) * broad + np.float32(0.075) * fine)
        depth = lesion.core_mm - radius + wobble
        side = np.float32(np.sign(lesion.centre[0]))
        across = np.maximum(side * x - 1.5, anatomy.callosum)
        depth = np.minimum(depth, np.minimum(across, anatomy.hull - 0.5))
        reach = lesion.core_mm + lesion.oedema_mm * np.clip(1 + np.float32(0.55) * finger, 0.1, 2.5) - radius
        reach = reach + wobble - near_grey * np.float32(0.45 * lesion.oedema_mm)
        reach = np.maximum(np.minimum(np.minimum(reach, across), -anatomy.ventricle - 0.3), depth + 0.5)
        core, whole = np.maximum(core, depth), np.maximum(whole, reach)
        enhancing = np.maximum(enhancing, enhancement(variety, lesion, depth, fine, patch, gap))
    whole = np.minimum(whole, anatomy.hull - 0.2)
    if variety not in (Variety.NO_ET, Variety.TINY_ET):  # most enhancing rims have oedema on all sides
        edge_mm = ndimage.distance_transform_edt(whole > 0).astype(np.float32) * np.float32(PITCH_MM)
        enhancing = np.minimum(enhancing, edge_mm - 5)
    volume = float(rng.uniform(76, 97)) if variety is Variety.TINY_ET else None
    return Tumour(core, np.minimum(enhancing, core), whole, volume)


def enhancement(variety: Variety, lesion: Lesion, depth, fine, patch, gap) -> np.ndarray:
    """Depth below the surface of the enhancing tumour in one lesion; -99 where nothing enhances.

    Args:
        variety: Kind of tumour.
        lesion: Position and size of the lesion.
        depth: Depth below the surface of its core, in mm.
        fine, patch, gap: Random fields for the surface, the thickness and the gaps of the rim.
    """
    if variety is Variety.NO_ET:
        return np.full_like(depth, -99)
    if variety is Variety.TINY_ET:  # a small ball at the edge of the core; `paint` sets its volume
        cells = np.where((depth > 2) & (depth < 5), patch, -99)
        at = np.unravel_index(int(np.argmax(cells)), cells.shape)
        grids = np.indices(depth.shape, dtype=np.float32)
        return 8 - 2 * np.sqrt(sum((g - a) ** 2 for g, a in zip(grids, at, strict=True))) + 0.4 * fine
    thickness = np.maximum(np.float32(0.24 * lesion.core_mm) * (1 + np.float32(0.45) * patch), 3)
    if variety is Variety.PATCHY:
        return np.minimum(depth, 3 * fine + 1.5 * patch + 0.5)
    if variety is Variety.BROKEN_RING:
        thickness = thickness * np.clip(1.6 - 1.6 * gap, 0, 1.3)
    return smooth_max(np.minimum(depth, thickness - depth), np.minimum(depth, 4 * patch - 6), 1)
