"""BraTS 2023's scores of one region, following the challenge's script step by step, with cc3d and surface-distance.

This is an oracle: slow, literal, and independent of brats_unet.metrics. It follows rachitsaluja/BraTS-2023-Metrics with
the settings of BraTS-GLI, with a list instead of the pandas table.
"""

import cc3d
import numpy as np
import surface_distance
from scipy import ndimage

DILATIONS, IGNORED_MM3, FAR_MM = 3, 50, 374
ELEMENT = ndimage.generate_binary_structure(3, 2)


def region_scores(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> dict:
    """The row of the script's table, by the metric names of brats-unet."""
    both_empty = not reference.any() and not prediction.any()
    tp = np.sum(reference & prediction)
    fp, fn, tn = prediction.sum() - tp, reference.sum() - tp, np.sum(~reference & ~prediction)
    eps = np.finfo(float).eps
    lesions, false, found, missed = _lesions(reference, prediction, spacing)
    n = len(lesions) + false
    return {
        "dice": 1.0 if both_empty else _dice(reference, prediction),
        "hd95": 0.0 if both_empty else _hd95(reference, prediction, spacing),
        "sensitivity": 1.0 if both_empty else tp / (tp + fn + eps),
        "specificity": tn / (tn + fp + eps),
        "volume_reference": reference.sum() * np.prod(spacing),
        "volume_prediction": prediction.sum() * np.prod(spacing),
        "lesion_dice": sum(dice for dice, _ in lesions) / n if n else 1.0,
        "lesion_hd95": (sum(distance for _, distance in lesions) + false * FAR_MM) / n if n else 0.0,
        "lesions_found": found,
        "lesions_missed": missed,
        "lesions_false": false,
    }


def _lesions(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> tuple:
    grown = ndimage.binary_dilation(reference, structure=ELEMENT, iterations=DILATIONS)
    merged = cc3d.connected_components(grown, connectivity=26).astype(int) * reference
    components = cc3d.connected_components(prediction, connectivity=26)
    scored, touched, found, missed = [], set(), 0, 0
    for number in range(1, merged.max() + 1):
        lesion = merged == number
        reach = ndimage.binary_dilation(lesion, structure=ELEMENT, iterations=DILATIONS)
        partners = [component for component in np.unique(components * reach) if component]
        touched.update(partners)
        union = np.isin(components, partners)
        if lesion.sum() * np.prod(spacing) > IGNORED_MM3:
            scored.append((_dice(lesion, union), _hd95(lesion, union, spacing)))
            found, missed = found + bool(partners), missed + (not partners)
    return scored, len(set(np.unique(components)) - {0} - touched), found, missed


def _dice(reference: np.ndarray, prediction: np.ndarray) -> float:
    return 2.0 * np.sum(reference & prediction) / (reference.sum() + prediction.sum())


def _hd95(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> float:
    if not reference.any() or not prediction.any():
        return FAR_MM  # the package returns infinity, which the script replaces by 374
    distances = surface_distance.compute_surface_distances(reference, prediction, spacing)
    return surface_distance.compute_robust_hausdorff(distances, 95)
