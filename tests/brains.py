"""Brains drawn with NumPy for tests: nearly symmetric from left to right, with folds that all contrasts share."""

import numpy as np
from scipy import ndimage

from brats_unet.data.defects.coarse import Coarse
from brats_unet.modality import Modality

SHAPE = (40, 48, 32)
EDGES_MM = (4.0, 4.0, 4.0)
TUMOUR = (slice(24, 30), slice(24, 31), slice(14, 20))  # to the patient's left


def ellipsoid() -> np.ndarray:
    """The brain, narrower in front and flat below, bool."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    return ((x / (0.72 + 0.1 * y)) ** 2 + (y / 0.85) ** 2 + (z / 0.85) ** 2 < 1) & (z > -0.6)


def scans(case: int = 0) -> dict[Modality, np.ndarray]:
    """Four scans of one patient, 0 outside the brain; patients share half of their folds."""
    brain = ellipsoid()

    def folds(seed: int) -> np.ndarray:
        field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.5)
        field = field + 0.7 * field[::-1]
        return field / field.std()

    tissue = np.clip(folds(1) + 0.7 * folds(100 + case), -2, 2)
    depth = ndimage.distance_transform_edt(brain) / 6
    tumour = np.zeros(SHAPE)
    tumour[TUMOUR] = 1
    found = {
        Modality.FLAIR: 300 + 40 * np.abs(tissue) + 30 * depth + 250 * tumour,
        Modality.T1: 300 + 60 * tissue + 20 * depth - 60 * tumour,
        Modality.T1CE: 300 + 60 * tissue + 60 * (folds(3) > 1.5) + 20 * depth + 200 * tumour,
        Modality.T2: 300 - 60 * tissue - 20 * depth + 250 * tumour,
    }
    noise = np.random.default_rng(case).normal(0, 4, SHAPE)
    return {name: np.where(brain, np.clip(scan + noise, 1, None), 0).astype(np.float32) for name, scan in found.items()}


def coarse(case: int = 0, **changed: np.ndarray) -> Coarse:
    """A case on the coarse grid with a mask of label 1 on the tumour; scans and `mask` can be replaced by name."""
    mask = np.zeros(SHAPE, np.float32)
    mask[TUMOUR] = 1
    mask = changed.pop("mask", mask)
    given = scans(case) | {Modality(name): scan for name, scan in changed.items()}
    return Coarse(given, ellipsoid(), {1: mask} if mask.any() else {}, EDGES_MM)
