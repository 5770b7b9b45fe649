"""From the parts of a phantom's head to the share of each tissue in a voxel."""

import numpy as np

from brats_unet.data.phantom.fields import FieldSampler, ramp
from brats_unet.data.phantom.head import Anatomy, cortex_mm

CORTEX_MM = 2.9  # thickness


def tissue_shares(anatomy: Anatomy, box: FieldSampler) -> dict[str, np.ndarray]:
    """Share of each voxel of `box` that is white, grey, deep (grey), fluid (in sulci), pool (in ventricles); and dura,
    vessel, lake.

    The first five sum to 1; dura lies on top of them, then vessel, then lake, the middle of large veins.

    Args:
        anatomy: The parts.
        box: The voxels.
    """
    a = anatomy
    x, hull, sulcus, ventricle = box(a.x), box(a.hull), box(a.sulcus), box(a.ventricle)
    reach = box(a.sulcus_depth)
    opening = (0.1 + 0.5 * a.atrophy) * np.clip(reach * reach * np.float32(1 / 220), 0.1, 2)  # deep sulci gape
    end = box(a.sylvian_end)
    cortex = cortex_mm(x, hull, box(a.arch), box(a.sylvian), end, box(a.insula), sulcus, reach, opening)
    small, stem, callosum = box(a.cerebellum), box(a.stem), box(a.callosum)
    folds = np.minimum(small, np.abs(box(a.folia)) + np.maximum(small - 14, 0))
    soft = np.maximum(np.maximum(cortex, callosum), np.maximum(folds, stem))
    pool = ramp(ventricle, 1.2)
    fluid = np.maximum(1 - ramp(soft, 1.2), pool)
    white = np.maximum(ramp(cortex - CORTEX_MM, 1.6), ramp(callosum, 1.5))
    white = np.maximum(white, np.maximum(ramp(stem - 0.5, 1.5), ramp(folds - 1.0, 1.2)))
    solid = 1 - fluid
    deep = np.maximum(ramp(box(a.deep_grey), 1.5), 0.5 * ramp(box(a.pallidum), 1.5)) * solid
    white = white * (solid - deep)
    grey = solid - deep - white

    first, second = (np.abs(box(sheet)) for sheet in a.vessels)
    in_sulcus = ramp(0.75 - np.maximum(np.abs(sulcus) * (cortex < 6), second), 1.2) * (hull > -2) * fluid
    in_white = 0.6 * ramp(0.5 - np.maximum(first, second), 1.2)
    in_fissure = ramp(0.8 - np.abs(x), 1.2) * np.maximum(0.2, ramp(0.9 - np.minimum(first, second), 2))
    in_fissure *= (cortex < 1) & (hull > -1) & (stem < 0) & (ventricle < 0)
    strand = ramp(2.8 - np.maximum(first, second), 1.5) * ramp(end - 1, 2)  # in the atria
    plexus = 0.7 * ramp(ventricle - 1.2, 1.2) * strand
    vessel = np.maximum(
        np.maximum(in_sulcus, in_white),
        np.maximum(np.maximum(in_fissure, plexus), sinuses(x, hull, small, box(a.skull))),
    )
    cavernous = box(a.cavernous)
    vessel = np.maximum(vessel, 0.9 * ramp(cavernous, 1.5))
    lake = np.maximum(ramp(cavernous - 1, 1.5), vessel * ramp(1.6 - np.abs(x), 1.5) * (box(a.skull) < 6))
    thickness = box(a.dura)
    dura = ramp(thickness - box(a.head), 1.2) * (thickness > 0.3)
    return {
        "white": white, "grey": grey, "deep": deep, "fluid": fluid - pool, "pool": pool,
        "dura": dura, "vessel": vessel, "lake": lake,
    }  # fmt: skip


def sinuses(x, hull, small, skull) -> np.ndarray:
    """Share of a voxel that is a venous sinus: along the top of the midline, and in the gap above the cerebellum."""
    gap = np.maximum(hull, small)
    top = ramp(4.2 - np.abs(x) - 0.8 * hull, 1.5) * (hull > small) * (hull > -3) * (skull < 9)
    under = ramp(1.0 - gap, 1.5) * (hull > -5) * (small > -3)
    return np.maximum(top, under * np.maximum(ramp(2.4 - np.abs(x), 1.5), ramp(6.5 - skull, 2)))
