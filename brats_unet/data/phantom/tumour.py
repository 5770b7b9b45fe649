"""Gliomas for phantoms: where they sit, how far core, rim and oedema reach."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import ndimage

from brats_unet.data.phantom.fields import PITCH_MM, ramp, random_field, smooth_max
from brats_unet.data.phantom.head import Anatomy, cerebrum, cortex_mm, ventricles


class Variety(StrEnum):
    """What kind of tumour a phantom has."""

    RING = "ring"  # necrotic core in an enhancing rim
    TINY_ET = "tiny_et"  # 76-97 mm3 of enhancing tumour beside a larger core
    SEVERAL = "several"  # two or three lesions
    NO_ET = "no_et"  # low grade: a non-enhancing core, nothing that enhances
    PATCHY = "patchy"  # enhancement in patches through a solid core
    BROKEN_RING = "broken_ring"  # a rim with wide gaps


# Case i is of variety i modulo 6; 6 and 5 share no factor, so five folds of neighbours or of every fifth case see each.
CYCLE = tuple(Variety)
GRADES = {variety: "LGG" if variety is Variety.NO_ET else "HGG" for variety in Variety}


@dataclass(frozen=True)
class Lesion:
    """One seat of tumour; millimetres in the frame of the atlas.

    Attributes:
        centre: x, y, z.
        core_mm: Mean radius of the core.
        oedema_mm: How far oedema reaches beyond it.
        stretch: Relative extent along x, y, z.
        push_mm: How far the tissue at its edge was displaced.
    """

    centre: tuple[float, float, float]
    core_mm: float
    oedema_mm: float
    stretch: tuple[float, float, float]
    push_mm: float


@dataclass(eq=False)
class Tumour:
    """Lattice fields, float32, depths in mm, positive inside.

    Attributes:
        core: Below the surface of the tumour core (necrotic, non-enhancing and enhancing).
        enhancing: Below the surface of what enhances, where it lies in the core.
        whole: Below the edge of the oedema, core included.
        enhancing_mm3: Its volume where the variety fixes it, else None.
    """

    core: np.ndarray
    enhancing: np.ndarray
    whole: np.ndarray
    enhancing_mm3: float | None


def place(
    rng: np.random.Generator, margin_mm: float, apart_from: tuple[Lesion, ...] = ()
) -> tuple[float, float, float]:
    """A point in cerebral white matter, at least `margin_mm` below the surface and 5 mm from the ventricles."""
    while True:
        side = 1 if rng.random() < 0.5 else -1
        x, y, z = (np.array([rng.uniform(a, b)], np.float32) for a, b in ((17, 52), (76, 190), (46, 116)))
        point = (side * float(x[0]), float(y[0]), float(z[0]))
        far = all(
            np.hypot(np.hypot(*(np.subtract(point, o.centre)[:2])), point[2] - o.centre[2]) > 34 for o in apart_from
        )
        if cerebrum(x, y, z)[0] > margin_mm and ventricles(x, y, z, 1.0)[0] < -5 and far:
            return point


def lesions(rng: np.random.Generator, variety: Variety) -> tuple[Lesion, ...]:
    """Seats and sizes of a case's tumour."""
    low, high = {
        Variety.RING: (15, 22),
        Variety.TINY_ET: (11, 16),
        Variety.SEVERAL: (11, 16),
        Variety.NO_ET: (16, 27),
        Variety.PATCHY: (14, 20),
        Variety.BROKEN_RING: (15, 23),
    }[variety]
    count = int(rng.integers(2, 4)) if variety is Variety.SEVERAL else 1
    found: tuple[Lesion, ...] = ()
    for _ in range(count):
        core = float(rng.uniform(low, high))
        reach = float(rng.uniform(4, 9)) if variety is Variety.NO_ET else float(rng.uniform(9, 20))
        stretch = tuple(float(v) for v in rng.uniform(0.82, 1.25, 3))
        push = float(rng.uniform(0, 0.3)) * core
        found += (Lesion(place(rng, 9 + 0.3 * core, found), core, reach, stretch, push),)  # type: ignore[arg-type]
    return found


def pushed(x, y, z, seats: tuple[Lesion, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the tissue now at (x, y, z) would lie without the tumours: mass effect, fading to the skull."""
    room = np.clip(cerebrum(np.abs(x), y, z) * np.float32(1 / 18), 0, 1)
    for seat in seats:
        dx, dy, dz = (p - np.float32(c) for p, c in zip((x, y, z), seat.centre, strict=True))
        r = np.sqrt(dx * dx + dy * dy + dz * dz) + np.float32(1)
        amount = room * np.float32(seat.push_mm) * np.minimum(r / seat.core_mm, np.exp((seat.core_mm - r) / 22)) / r
        x, y, z = x - amount * dx, y - amount * dy, z - amount * dz
    return x, y, z


def spread(rng: np.random.Generator, variety: Variety, seats: tuple[Lesion, ...], place_mm, anatomy: Anatomy) -> Tumour:
    """How far the tumour reaches at each lattice cell.

    Args:
        rng: Where its shape comes from.
        variety: What kind it is.
        seats: Its lesions.
        place_mm: x, y, z of each cell, without mass effect.
        anatomy: What it grows in.
    """
    x, y, z = place_mm
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
    for seat in seats:
        radius = np.sqrt(
            sum(
                ((p - np.float32(c)) / np.float32(s)) ** 2
                for p, c, s in zip((x, y, z), seat.centre, seat.stretch, strict=True)
            )
        )
        wobble = seat.core_mm * (np.float32(0.17) * broad + np.float32(0.075) * fine)
        depth = seat.core_mm - radius + wobble
        side = np.float32(np.sign(seat.centre[0]))
        across = np.maximum(side * x - 1.5, anatomy.callosum)
        depth = np.minimum(depth, np.minimum(across, anatomy.hull - 0.5))
        reach = seat.core_mm + seat.oedema_mm * np.clip(1 + np.float32(0.55) * finger, 0.1, 2.5) - radius
        reach = reach + wobble - near_grey * np.float32(0.45 * seat.oedema_mm)
        reach = np.maximum(np.minimum(np.minimum(reach, across), -anatomy.ventricle - 0.3), depth + 0.5)
        core, whole = np.maximum(core, depth), np.maximum(whole, reach)
        living = enhancement(variety, seat, depth, radius, fine, patch, gap)
        enhancing = np.maximum(enhancing, living)
    whole = np.minimum(whole, anatomy.hull - 0.2)
    if variety not in (Variety.NO_ET, Variety.TINY_ET):  # oedema all around, as about most rims
        edge_mm = ndimage.distance_transform_edt(whole > 0).astype(np.float32) * np.float32(PITCH_MM)
        enhancing = np.minimum(enhancing, edge_mm - 5)
    volume = float(rng.uniform(76, 97)) if variety is Variety.TINY_ET else None
    return Tumour(core, np.minimum(enhancing, core), whole, volume)


def enhancement(variety: Variety, seat: Lesion, depth, radius, fine, patch, gap) -> np.ndarray:
    """Depth below the surface of what enhances in one lesion, by its variety; -99 where nothing does."""
    if variety is Variety.NO_ET:
        return np.full_like(depth, -99)
    if variety is Variety.TINY_ET:  # a bead at the core's edge; its size is fixed on the voxels
        cells = np.where((depth > 2) & (depth < 5), patch, -99)
        at = np.unravel_index(int(np.argmax(cells)), cells.shape)
        grids = np.indices(depth.shape, dtype=np.float32)
        return 8 - 2 * np.sqrt(sum((g - a) ** 2 for g, a in zip(grids, at, strict=True))) + 0.4 * fine
    thickness = np.maximum(np.float32(0.24 * seat.core_mm) * (1 + np.float32(0.45) * patch), 3)
    if variety is Variety.PATCHY:
        return np.minimum(depth, 3 * fine + 1.5 * patch + 0.5)
    if variety is Variety.BROKEN_RING:
        thickness = thickness * np.clip(1.6 - 1.6 * gap, 0, 1.3)
    return smooth_max(np.minimum(depth, thickness - depth), np.minimum(depth, 4 * patch - 6), 1)
