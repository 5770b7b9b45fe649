"""A healthy head for phantoms: depths of its parts on the lattice, after the proportions of the BraTS atlas."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from brats_unet.data.phantom_fields import (
    at_positions,
    capsule,
    ellipsoid,
    random_field,
    signed_distance,
    slopes,
    smooth_max,
)


@dataclass(eq=False)
class Anatomy:
    """Lattice fields, float32, in mm; depths are positive inside.

    Attributes:
        x: Distance from the midline, positive to the left.
        head: Below the edge of the skull-stripped mask.
        hull: Below the smooth surface of the cerebrum; negative in cerebellum and brainstem.
        arch: Below the outer edge of the callosum seen from the side: where the fissure between the hemispheres ends.
        sylvian, sylvian_end: Signed distance to the sheet of the Sylvian fissure, and distance beyond its ends.
        sulcus: Signed distance to the sheet of the nearest sulcus.
        sulcus_depth: How deep sulci cut there.
        ventricle, deep_grey, pallidum, callosum, cerebellum, stem: Below the surface of each.
        folia: Signed distance to the sheet of the nearest cerebellar fold.
        vessels: Signed distances to two random sheets; where both are near 0, a vessel runs.
        atrophy: 0 young and tight, 1 old, with wide sulci and ventricles.
    """

    x: np.ndarray
    head: np.ndarray
    hull: np.ndarray
    arch: np.ndarray
    sylvian: np.ndarray
    sylvian_end: np.ndarray
    sulcus: np.ndarray
    sulcus_depth: np.ndarray
    ventricle: np.ndarray
    deep_grey: np.ndarray
    pallidum: np.ndarray
    callosum: np.ndarray
    cerebellum: np.ndarray
    stem: np.ndarray
    folia: np.ndarray
    vessels: tuple[np.ndarray, np.ndarray]
    atrophy: float


def cortex_mm(x, hull, arch, sylvian, sylvian_end, sulcus, sulcus_depth, opening) -> np.ndarray:
    """Depth below the folded surface of the cerebrum, on any grid.

    Args:
        x, hull, arch, sylvian, sylvian_end, sulcus, sulcus_depth: See `Anatomy`.
        opening: Half the width of a sulcus, mm.
    """
    ax = np.abs(x)
    inside = np.maximum(arch, 0)
    outer = np.minimum(hull, np.sqrt(x * x + inside * inside) - 0.5 - 0.5 * opening)
    below = np.maximum(outer - sulcus_depth, 0)
    walls = np.sqrt(sulcus * sulcus + below * below) - opening * (1 + 0.9 * np.exp(outer * -0.25))
    end2 = sylvian_end * sylvian_end
    short = np.maximum(38 - ax, 0)
    stem = np.sqrt(sylvian * sylvian + short * short + end2)
    tall = np.maximum(np.abs(sylvian) - 11, 0)
    island = np.sqrt((ax - 38.5) ** 2 + tall * tall + end2)
    return np.minimum(np.minimum(outer, walls), np.minimum(stem, island) - 0.4 - opening)


def tentorium_mm(ax: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Height of the tent between cerebrum and cerebellum; highest at the midline in front."""
    rise = np.clip((208 - y) / 50, 0, 1)
    return 44 + 25 * np.exp(-((ax / 24) ** 2)) * rise * rise * (3 - 2 * rise)


def cerebrum(ax, y, z) -> np.ndarray:
    """Depth below the smooth surface of both hemispheres together; `ax` is |x|."""
    narrowing = 1 + 0.0016 * np.clip(146 - y, 0, 100) + 0.0008 * np.clip(y - 150, 0, 80)  # slimmer in front
    body = ellipsoid(ax * narrowing, y, z, (0, 131, 75), (69, 86, 61))
    body = np.minimum(body, z - np.where(y < 118, np.float32(56), np.float32(0)))
    body = np.minimum(body, z - tentorium_mm(ax, y) - 1 + np.clip(132 - y, 0, 15) * 3)
    temporal = ellipsoid(ax, y, z, (45, 116, 49), (21, 42, 18))
    return smooth_max(body, temporal, 4)


def cerebellum(ax, y, z) -> np.ndarray:
    """Depth below the smooth surface of the cerebellum."""
    lobes = ellipsoid(ax, y, z, (23, 168, 31), (28, 31, 24))
    vermis = ellipsoid(ax, y, z, (0, 171, 38), (13, 30, 28))
    return np.minimum(smooth_max(lobes, vermis, 5), tentorium_mm(ax, y) - 2.5 - z)


def brainstem(ax, y, z) -> np.ndarray:
    """Depth below the surface of midbrain, pons and medulla with the middle peduncles."""
    stem = ellipsoid(ax, y, z, (0, 128, 41), (17, 13, 15))
    stem = smooth_max(stem, ellipsoid(ax, y, z, (0, 128, 60), (17, 13, 14)), 5)
    stem = smooth_max(stem, capsule(ax, y, z, (0, 133, 30), (0, 144, -8), 9.5, 7.5), 5)
    return smooth_max(stem, ellipsoid(ax, y, z, (17, 142, 36), (12, 17, 7)), 4)


def ventricles(ax, y, z, width: float) -> np.ndarray:
    """Depth below the walls of the lateral, third and fourth ventricles; `width` scales the lateral ones."""
    path = [
        ((13, 86, 79), 2.5),
        ((9, 99, 84), 5.0),
        ((8, 118, 89), 4.5),
        ((12, 136, 87), 4.5),
        ((20, 150, 80), 6.0),
        ((26, 160, 71), 6.0),
    ]
    horns = [((26, 160, 71), 5.5, (22, 182, 72), 2.0), ((26, 158, 68), 4.0, (33, 141, 54), 2.2)]
    horns.append(((33, 141, 54), 2.2, (31, 117, 47), 2.0))
    rods = [(a, ra, b, rb) for (a, ra), (b, rb) in pairwise(path)] + horns
    depth = np.full_like(y, -50)
    for a, ra, b, rb in rods:
        depth = np.maximum(depth, capsule(ax, y, z, a, b, ra * width, rb * width))
    depth = np.minimum(depth, ax - 0.9)  # the septum stays
    third = np.minimum(ellipsoid(np.float32(0) * ax, y, z, (0, 122, 67), (9, 15, 12)), 1.3 * width - ax)
    fourth = ellipsoid(ax, y, z, (0, 150, 37), (6 * width, 5, 10))
    return np.maximum(np.maximum(depth, third), fourth)


def deep_grey(ax, y, z) -> np.ndarray:
    """Depth below the surface of thalamus, caudate, putamen, hippocampus."""
    depth = ellipsoid(ax, y, z, (11.5, 129, 74), (9.5, 15, 10))
    for centre, radii in (
        ((14.5, 97, 80), (5.5, 11, 9)),
        ((27.5, 108, 70), (5, 17, 11)),
        ((27, 125, 44), (5, 17, 5)),
    ):
        depth = np.maximum(depth, ellipsoid(ax, y, z, centre, radii))
    return np.maximum(depth, capsule(ax, y, z, (16.5, 102, 87), (21, 138, 89), 3.2, 2.0))


def grow(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, z: np.ndarray, atrophy: float) -> Anatomy:
    """The parts of one head.

    Args:
        rng: Where its folding and vessels come from.
        x, y, z: Position of each lattice cell in the frame of the atlas, mm: the head's own warp, given.
        atrophy: 0 young and tight, 1 old, with wide sulci and ventricles.
    """
    ax = np.abs(x)
    rough = random_field(rng, 14, 0.6)
    hull = cerebrum(ax, y, z)
    small = cerebellum(ax, y, z)
    stem = brainstem(ax, y, z)
    arch = ellipsoid(np.float32(0) * ax, y, z, (0, 117, 72), (30, 36, 22))
    inside = np.maximum(arch, (66 - z) * np.float32(0.8))
    medial = np.sqrt(ax * ax + np.maximum(inside, 0) ** 2)

    outer = np.minimum(hull, medial)
    gz, gy, gx = slopes(outer)
    pull = np.float32(0.8) * np.clip(outer, 0, 25)
    wander = np.float32(2.2)
    labyrinth = at_positions(
        random_field(rng, 21, 0.22),
        x - pull * gx + wander * rough,
        y - pull * gy + wander * np.roll(rough, 20, 1),
        z - pull * gz + wander * np.roll(rough, 30, 2),
    )
    angle = np.arctan2(z - 36, y - 146)
    leaf = np.sqrt((z - 36) ** 2 + (y - 146) ** 2)
    folia = np.sin(13 * angle + 0.02 * leaf + 1.2 * rough + 0.06 * ax) * leaf * np.float32(1 / 13)
    vessels = (
        signed_distance(random_field(rng, 26, 0.4), 8),
        signed_distance(random_field(rng, 30, 0.4), 8),
    )
    return Anatomy(
        x=x,
        head=smooth_max(smooth_max(hull, small, 3), stem, 4) + 0.9 + 0.5 * rough,
        hull=hull,
        arch=inside,
        sylvian=z - (56 + 0.36 * (y - 90)) - 1.5 * rough,
        sylvian_end=np.maximum(np.maximum(86 - y, y - 152), 0),
        sulcus=signed_distance(labyrinth, 12),
        sulcus_depth=12 + 4 * random_field(rng, 25),
        ventricle=ventricles(ax, y, z, 0.8 + 0.6 * atrophy) + 0.4 * rough,
        deep_grey=deep_grey(ax, y, z) + 0.4 * rough,
        pallidum=ellipsoid(ax, y, z, (20, 112, 67), (4, 9, 7)),
        callosum=np.minimum(np.minimum(arch, 6 - arch), z - 72),
        cerebellum=small,
        stem=stem,
        folia=folia,
        vessels=vessels,
        atrophy=atrophy,
    )
