"""Healthy head of a phantom: depths of its parts on the lattice, with the proportions of the BraTS atlas."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from brats_unet.data.phantom.fields import (
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
    """Parts of one head as lattice fields, float32, in mm; depths are positive inside.

    Attributes:
        x: Distance from the midline, positive to the patient's left.
        head: Depth below the edge of the skull-stripped brain mask.
        hull: Depth below the smooth surface of the cerebrum; negative in cerebellum and brainstem.
        arch: Depth below the outer edge of the corpus callosum in side view, where the interhemispheric fissure ends.
        sylvian: Signed distance to the surface of the Sylvian fissure.
        sylvian_end: Distance beyond the front or back end of the Sylvian fissure; 0 between the ends.
        insula: Signed distance to the surface of the insula, where the Sylvian fissure ends.
        sulcus: Signed distance to the middle surface of the nearest sulcus.
        sulcus_depth: Depth to which sulci reach.
        ventricle: Depth below the surface of the ventricles.
        deep_grey: Depth below the surface of thalamus, caudate, putamen and hippocampus.
        pallidum: Depth below the surface of the pallidum.
        callosum: Depth below the surface of the corpus callosum.
        cerebellum: Depth below the smooth surface of the cerebellum.
        stem: Depth below the surface of the brainstem.
        cavernous: Depth below the surface of the cavernous sinuses.
        skull: Approximate depth below the inner surface of the skull.
        dura: Thickness of the meninges that skull-stripping left on the surface; negative where it left none.
        folia: Signed distance to the surface of the nearest cerebellar fold.
        vessels: Signed distances to two random surfaces; a vessel runs where both are near 0.
        atrophy: Brain atrophy: 0 for a young brain, 1 for an old brain with wide sulci and ventricles.
    """

    x: np.ndarray
    head: np.ndarray
    hull: np.ndarray
    arch: np.ndarray
    sylvian: np.ndarray
    sylvian_end: np.ndarray
    insula: np.ndarray
    sulcus: np.ndarray
    sulcus_depth: np.ndarray
    ventricle: np.ndarray
    deep_grey: np.ndarray
    pallidum: np.ndarray
    callosum: np.ndarray
    cerebellum: np.ndarray
    stem: np.ndarray
    cavernous: np.ndarray
    skull: np.ndarray
    dura: np.ndarray
    folia: np.ndarray
    vessels: tuple[np.ndarray, np.ndarray]
    atrophy: float


def cortex_mm(x, hull, arch, sylvian, sylvian_end, insula, sulcus, sulcus_depth, opening) -> np.ndarray:
    """Depth below the folded surface of the cerebrum, on any grid.

    Args:
        x, hull, arch, sylvian, sylvian_end, insula, sulcus, sulcus_depth: Fields of `Anatomy` on that grid.
        opening: Half the width of a sulcus, in mm.
    """
    ax = np.abs(x)
    inside = np.maximum(arch, 0)
    outer = np.minimum(hull, np.sqrt(x * x + inside * inside) - 0.2 - 0.6 * opening)
    below = np.maximum(outer - sulcus_depth, 0)
    walls = np.sqrt(sulcus * sulcus + below * below) - opening - np.clip(1.1 - 0.25 * outer, 0, 1.1)
    end2 = sylvian_end * sylvian_end
    short = np.maximum(38 - ax, 0)
    stem = np.sqrt(sylvian * sylvian + short * short + end2)
    tall = np.maximum(np.abs(sylvian) - 10, 0)
    island = np.sqrt(insula * insula + tall * tall + end2)
    return np.minimum(np.minimum(outer, walls), np.minimum(stem, island) - 0.2 - opening)


def tentorium_mm(ax: np.ndarray, y: np.ndarray) -> np.ndarray:
    """z position of the tentorium, between cerebrum and cerebellum; highest at the midline in front."""
    rise = np.clip((208 - y) / 50, 0, 1)
    return 44 + 23 * np.exp(-((ax / 19) ** 2)) * rise * rise * (3 - 2 * rise)


def cerebrum(ax, y, z) -> np.ndarray:
    """Depth below the smooth surface of both hemispheres together; `ax` is |x|."""
    narrowing = 1 + 0.0022 * np.clip(140 - y, 0, 100) + 0.0008 * np.clip(y - 155, 0, 80)  # narrower in front
    body = ellipsoid(ax * narrowing, y, z, (0, 131, 74), (69, 86, 62))
    front = (
        z - 55 - 0.06 * np.clip(90 - y, 0, 60) - 0.005 * (ax - 22) ** 2 * (ax > 22) + 6 * np.clip((y - 112) * 0.1, 0, 4)
    )
    body = -smooth_max(-body, -front, 14)
    back = z - tentorium_mm(ax, y) - 1 + np.clip(136 - y, 0, 20) * 3
    body = -smooth_max(-body, -back, 5)
    temporal = capsule(ax, y, z, (42, 92, 47), (46, 140, 52), 16, 16)
    return smooth_max(body, temporal, 6)


def cerebellum(ax, y, z) -> np.ndarray:
    """Depth below the smooth surface of the cerebellum."""
    lobes = ellipsoid(ax, y, z, (24, 167, 31), (29, 32, 25))
    vermis = ellipsoid(ax, y, z, (0, 166, 38), (17, 28, 29))
    return -smooth_max(-smooth_max(lobes, vermis, 5), z + 1.5 - tentorium_mm(ax, y), 4)


def brainstem(ax, y, z) -> np.ndarray:
    """Depth below the surface of midbrain, pons, medulla and middle cerebellar peduncles."""
    stem = ellipsoid(ax, y, z, (0, 129, 40), (18, 14, 15))
    stem = smooth_max(stem, ellipsoid(ax, y, z, (0, 131, 60), (18, 15, 15)), 6)
    stem = smooth_max(stem, capsule(ax, y, z, (0, 133, 30), (0, 143, -8), 9.5, 7.5), 5)
    return smooth_max(stem, capsule(ax, y, z, (10, 134, 38), (20, 154, 35), 7, 6), 5)


def ventricles(ax, y, z, width: float) -> np.ndarray:
    """Depth below the walls of the lateral, third and fourth ventricles; `width` scales the lateral ones."""
    path = [
        ((12, 84, 79), 2.5),
        ((9, 97, 84), 7.5),
        ((8, 118, 89), 7.0),
        ((13, 138, 87), 6.5),
        ((21, 152, 79), 7.5),
        ((27, 160, 71), 6.0),
    ]
    horns = [((27, 160, 71), 5.5, (23, 184, 71), 1.5), ((27, 158, 68), 4.0, (33, 141, 54), 2.2)]
    horns.append(((33, 141, 54), 2.2, (31, 117, 47), 2.0))
    rods = [(a, ra, b, rb) for (a, ra), (b, rb) in pairwise(path)] + horns
    depth = np.full_like(y, -50)
    for a, ra, b, rb in rods:
        depth = np.maximum(depth, capsule(ax, y, z, a, b, ra * width, rb * width))
    depth = np.minimum(depth, ax - 0.9)  # keep the septum
    # Stay below the corpus callosum.
    depth = np.minimum(depth, ellipsoid(np.float32(0) * ax, y, z, (0, 118, 70), (30, 90, 22)) - 1)
    # Caudate and thalamus bulge into the lateral ventricles.
    bulge = np.maximum(ellipsoid(ax, y, z, (17, 99, 77), (8, 14, 11)), ellipsoid(ax, y, z, (12, 129, 74), (11, 16, 11)))
    depth = np.minimum(depth, -bulge)
    third = np.minimum(ellipsoid(np.float32(0) * ax, y, z, (0, 122, 67), (9, 15, 12)), 1.3 * width - ax)
    fourth = ellipsoid(ax, y, z, (0, 150, 37), (6 * width, 5, 10))
    return np.maximum(np.maximum(depth, third), fourth)


def deep_grey(ax, y, z) -> np.ndarray:
    """Depth below the surface of thalamus, caudate, putamen and hippocampus."""
    depth = ellipsoid(ax, y, z, (11.5, 129, 74), (9.5, 15, 10))
    for centre, radii in (
        ((16, 98, 79), (6, 12, 9)),
        ((27.5, 108, 70), (5, 17, 11)),
        ((27, 125, 44), (5, 17, 5)),
    ):
        depth = np.maximum(depth, ellipsoid(ax, y, z, centre, radii))
    return np.maximum(depth, capsule(ax, y, z, (16.5, 102, 87), (21, 138, 89), 3.2, 2.0))


def grow_head(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, z: np.ndarray, atrophy: float) -> Anatomy:
    """Build the parts of one head.

    Args:
        rng: Random number generator for the folding and the vessels.
        x, y, z: Position of each lattice cell in the atlas frame after the warp of this head, in mm.
        atrophy: Brain atrophy: 0 for a young brain, 1 for an old brain with wide sulci and ventricles.
    """
    ax = np.abs(x)
    rough = random_field(rng, 14, 0.6)
    hull = cerebrum(ax, y, z)
    cerebellum_depth = cerebellum(ax, y, z)
    stem = brainstem(ax, y, z)
    fan = (y - 117) * (1 - 0.0004 * ax * ax)  # the forceps of the callosum reach forwards and backwards
    arch = ellipsoid(np.float32(0) * ax, fan, z, (0, 0, 71), (30, 37, 23))
    inside = np.maximum(arch, (66 - z) * np.float32(0.8))
    medial = np.sqrt(ax * ax + np.maximum(inside, 0) ** 2)

    outer = np.minimum(hull, medial)
    gz, gy, gx = slopes(ndimage.uniform_filter(outer, 5))
    pull = np.clip(outer, 0, 25) / (np.sqrt(gz * gz + gy * gy + gx * gx) + np.float32(0.1))
    wander = np.float32(1.2)
    # The left side reads the field 67 mm further back, so that it folds differently from the right.
    labyrinth = at_positions(
        random_field(rng, 20, 0.2),
        x - pull * gx + wander * rough,
        y - pull * gy + wander * np.roll(rough, 20, 1) + np.where(x > 0, np.float32(67), np.float32(0)),
        z - pull * gz + wander * np.roll(rough, 30, 2),
    )
    sulcus = signed_distance(labyrinth, 12)
    sylvian = z - (56 + 0.36 * (y - 90)) - 2.2 * rough
    angle = np.arctan2(z - 36, y - 146)
    leaf = np.sqrt((z - 36) ** 2 + (y - 146) ** 2)
    folia = np.sin(22 * angle + 0.8 * rough + 0.07 * ax) * leaf * np.float32(1 / 22)
    vessels = (
        signed_distance(random_field(rng, 26, 0.4), 8),
        signed_distance(random_field(rng, 30, 0.4), 8),
    )
    # Notches where a sulcus meets the surface.
    notch = np.exp(sulcus * sulcus * -0.4) * (1.7 + 0.8 * rough) * np.clip(z * 0.1 - 6, 0, 1)
    cavernous = ellipsoid(ax, y, z, (10, 107, 53), (4, 9, 4)) + 0.5 * rough
    cisterns = ellipsoid(ax, y, z, (0, 148, 58), (26, 17, 13))
    head = np.maximum(smooth_max(smooth_max(hull - notch, cerebellum_depth, 12), stem, 9), cisterns)
    dura = 1.5 * random_field(rng, 40) + np.float32(rng.uniform(0.2, 0.9))
    dura = np.clip(np.minimum(dura, z * 0.2 - 3), -3, 3.5)
    head = head + np.maximum(dura, 0) + np.float32(0.6 + 2.4 * atrophy * atrophy)  # meninges, and fluid under them
    return Anatomy(
        x=x,
        head=np.minimum(smooth_max(head, cavernous, 2) + 0.1 + 0.5 * rough, z - 3),
        hull=hull,
        arch=inside,
        sylvian=sylvian,
        sylvian_end=np.maximum(np.maximum(86 - y, y - 152), 0),
        insula=ax - 39 - 0.03 * sylvian * sylvian + 0.006 * (y - 116) ** 2 + 2.2 * np.roll(rough, 15, 1) - 0.2 * sulcus,
        sulcus=sulcus,
        sulcus_depth=14 + 5 * random_field(rng, 25),
        ventricle=ventricles(ax, y, z, 0.85 + 0.65 * atrophy) + 0.4 * rough,
        deep_grey=deep_grey(ax, y, z) + 0.4 * rough,
        pallidum=ellipsoid(ax, y, z, (20, 112, 67), (4, 9, 7)),
        callosum=np.minimum(np.minimum(arch + 0.5, 5.5 - arch), np.minimum(z - 70, 24 - ax)),
        cerebellum=cerebellum_depth,
        stem=stem,
        cavernous=cavernous,
        skull=ellipsoid(ax, y, z, (0, 131, 74), (69, 86, 62)),
        dura=dura,
        folia=folia,
        vessels=vessels,
        atrophy=atrophy,
    )
