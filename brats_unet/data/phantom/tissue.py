"""From the parts of a phantom's head to the share of each tissue in every voxel."""

import numpy as np

from brats_unet.data.phantom.fields import FieldSampler, ramp
from brats_unet.data.phantom.head import Anatomy, cortex_mm

CORTEX_MM = 2.9  # thickness of the cortex


def tissue_shares(anatomy: Anatomy, box: FieldSampler) -> dict[str, np.ndarray]:
    """Share of each tissue in the voxels of a box.

    Args:
        anatomy: Parts of the head.
        box: Voxels to sample.

    Returns:
        By name, float32 arrays of shape (Z, Y, X), each 0 to 1. "white" (white matter), "grey" (cortex), "deep" (deep
        grey matter), "fluid" (fluid in the sulci) and "pool" (fluid in the ventricles) sum to 1. "dura", "vessel" and
        "lake" (the middle of large veins) are painted over these, in this order.
    """
    a = anatomy
    x, hull, sulcus, ventricle = box(a.x), box(a.hull), box(a.sulcus), box(a.ventricle)
    reach = box(a.sulcus_depth)
    opening = (0.1 + 0.5 * a.atrophy) * np.clip(reach * reach * np.float32(1 / 220), 0.1, 2)  # deep sulci are wider
    end = box(a.sylvian_end)
    cortex = cortex_mm(x, hull, box(a.arch), box(a.sylvian), end, box(a.insula), sulcus, reach, opening)
    cerebellum, stem, callosum = box(a.cerebellum), box(a.stem), box(a.callosum)
    folds = np.minimum(cerebellum, np.abs(box(a.folia)) + np.maximum(cerebellum - 14, 0))
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
    strand = ramp(2.8 - np.maximum(first, second), 1.5) * ramp(end - 1, 2)  # in the atria of the ventricles
    plexus = 0.7 * ramp(ventricle - 1.2, 1.2) * strand
    vessel = np.maximum(
        np.maximum(in_sulcus, in_white),
        np.maximum(np.maximum(in_fissure, plexus), sinuses(x, hull, cerebellum, box(a.skull))),
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


def sinuses(x, hull, cerebellum, skull) -> np.ndarray:
    """Share of a voxel that is a venous sinus: along the midline at the top, and in the gap above the cerebellum."""
    gap = np.maximum(hull, cerebellum)
    top = ramp(4.2 - np.abs(x) - 0.8 * hull, 1.5) * (hull > cerebellum) * (hull > -3) * (skull < 9)
    under = ramp(1.0 - gap, 1.5) * (hull > -5) * (cerebellum > -3)
    return np.maximum(top, under * np.maximum(ramp(2.4 - np.abs(x), 1.5), ramp(6.5 - skull, 2)))
