"""Scores by lesion as in BraTS 2023: every tumour of a case counts the same, and so does every false one."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from brats_unet.metrics.components import numbered_components
from brats_unet.metrics.counts import require_masks
from brats_unet.metrics.protocols import LesionRules
from brats_unet.metrics.surface import Surfaces
from brats_unet.metrics.surface_points import Spacing


@dataclass(frozen=True)
class LesionScores:
    """Scores of the lesions of one region of one case.

    Attributes:
        dice: Mean over lesions, 0 to 1, higher is better; 1 if there is no lesion and none is predicted.
        hd95_mm: Mean over lesions, area-weighted, lower is better; 0 if there is no lesion and none is predicted.
        found: Lesions of the reference that a predicted component touches; small ones are left out.
        missed: Lesions of the reference that no predicted component touches; small ones are left out.
        false: Predicted components of any size that touch no lesion of the reference, not even a small one.
    """

    dice: float
    hd95_mm: float
    found: int
    missed: int
    false: int

    @property
    def f1(self) -> float:
        """2 found / (2 found + missed + false), 0 to 1; 1 if there is no lesion and none is predicted."""
        lesions = 2 * self.found + self.missed + self.false
        return 2 * self.found / lesions if lesions else 1.0


def lesion_scores(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing, *, rules: LesionRules
) -> LesionScores:
    """Match the lesions of two masks and score each.

    A lesion is all voxels of the reference inside one 26-connected component of the dilated reference, so pieces that
    are close together are one lesion. Predicted components are 26-connected. Each lesion is compared with the union of
    all whole components that touch its dilation; a component may be matched with several lesions. A lesion that no
    component touches, and a component that touches no lesion, score Dice 0 and the penalty distance. Lesions up to
    `ignored_mm3` are left out of the means, but a component that touches them is not false.

    Both masks may be cropped to any box that contains them: dilation beyond the box joins no lesions that it does not
    join inside.

    Args:
        reference: Expert mask, bool, shape (X, Y, Z).
        prediction: Model mask, same shape and grid.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres.
        rules: Rules of the challenge.

    Returns:
        Means and counts; see `LesionScores`.

    Raises:
        ValueError: The masks do not share one grid.

    Source:
        rachitsaluja/BraTS-2023-Metrics, the challenge's own script; it compares its threshold of 50 "voxels" with mm³.
    """
    require_masks(reference, prediction)
    components, last = numbered_components(prediction)
    if not reference.any():
        return _means([], missed=0, false=last, found=0, rules=rules)
    # The dilation of a lesion is the component that it was taken from, so one dilation is enough for all.
    zones, lesions = numbered_components(grown(reference, rules.dilations))
    touching = np.unique(zones[prediction].astype(np.int64) * (last + 1) + components[prediction])
    touching = touching[touching > last]  # zone 0 is outside every lesion
    partners: dict[int, list[int]] = {}
    for zone, component in zip(touching // (last + 1), touching % (last + 1), strict=True):
        partners.setdefault(int(zone), []).append(int(component))
    false = last - len(set(touching % (last + 1)))

    labels = zones * reference
    voxels = np.bincount(labels.ravel(), minlength=lesions + 1)
    zone_boxes, component_boxes = find_objects(labels), find_objects(components)
    scores: list[tuple[float, float]] = []
    found = missed = 0
    for lesion in range(1, lesions + 1):
        if voxels[lesion] * float(np.prod(spacing_mm)) <= rules.ignored_mm3:
            continue
        mine = partners.get(lesion, [])
        if not mine:
            missed += 1
            continue
        found += 1
        box = _joint([zone_boxes[lesion - 1], *(component_boxes[component - 1] for component in mine)])
        one, two = labels[box] == lesion, np.isin(components[box], mine)
        overlap = np.count_nonzero(one & two)
        dice = 2 * overlap / (np.count_nonzero(one) + np.count_nonzero(two))
        scores.append((dice, Surfaces(one, two, spacing_mm).hausdorff95_mm("area_weighted")))
    return _means(scores, found=found, missed=missed, false=false, rules=rules)


def grown(mask: np.ndarray, steps: int) -> np.ndarray:
    """`mask` dilated `steps` times by a voxel's 18 neighbours that share a face or an edge; bool, same shape."""
    for _ in range(steps):
        along_x, along_y = _spread(mask, 0), _spread(mask, 1)
        mask = _spread(along_x, 1) | _spread(along_x, 2) | _spread(along_y, 2)
    return mask


def _spread(mask: np.ndarray, axis: int) -> np.ndarray:
    """`mask` dilated by one voxel in both directions along an axis."""
    wider = mask.copy()
    low, high = [slice(None)] * 3, [slice(None)] * 3
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    wider[tuple(high)] |= mask[tuple(low)]
    wider[tuple(low)] |= mask[tuple(high)]
    return wider


def _joint(boxes: list[tuple[slice, ...]]) -> tuple[slice, ...]:
    return tuple(
        slice(min(box[axis].start for box in boxes), max(box[axis].stop for box in boxes)) for axis in range(3)
    )


def _means(
    scores: list[tuple[float, float]], *, found: int, missed: int, false: int, rules: LesionRules
) -> LesionScores:
    lost = missed + false
    lesions = len(scores) + lost
    if lesions == 0:
        return LesionScores(1.0, 0.0, found, missed, false)
    return LesionScores(
        dice=sum(dice for dice, _ in scores) / lesions,
        hd95_mm=(sum(distance for _, distance in scores) + lost * rules.penalty_mm) / lesions,
        found=found,
        missed=missed,
        false=false,
    )
