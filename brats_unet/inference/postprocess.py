"""From region probabilities to labels: decision thresholds, and the clean-up whose thresholds `tune` chooses.

In this order, outermost region first: threshold; nesting; components that are small, doubtful or not the largest go;
holes are filled; too little enhancing tumour becomes necrotic core. What is taken from a region stays in the region
around it, so that a component of ET becomes core, and one of TC oedema. Plain numpy: an exported network uses it too.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import cc3d
import numpy as np

from brats_unet.anatomy import Region, labels_from_regions, region_masks
from brats_unet.data.prepare.brain import filled
from brats_unet.errors import CheckpointError
from brats_unet.geometry import bounding_box, crop, uncrop


def _each(value: float) -> dict[str, Any]:
    return {str(region): value for region in Region}


@dataclass(frozen=True)
class Postprocessing:
    """Thresholds; those of a new one change nothing but that probabilities become masks at one half.

    Attributes:
        threshold: Of each region: a voxel with so much or more belongs to it.
        least_component_mm3: Of each region: components with less volume are removed.
        least_component_probability: Of each region: components with a lower mean probability are removed.
        largest_only: Of each region: whether only its largest component stays.
        fill_holes: Of each region: whether what cannot be reached from outside through faces belongs to it.
        least_et_mm3: Where the whole of ET has less volume, it becomes necrotic core.
    """

    threshold: Mapping[str, float] = field(default_factory=lambda: _each(0.5))
    least_component_mm3: Mapping[str, float] = field(default_factory=lambda: _each(0.0))
    least_component_probability: Mapping[str, float] = field(default_factory=lambda: _each(0.0))
    largest_only: Mapping[str, bool] = field(default_factory=lambda: _each(False))
    fill_holes: Mapping[str, bool] = field(default_factory=lambda: _each(False))
    least_et_mm3: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], *, where: str = "postprocessing") -> "Postprocessing":
        """The inverse of `as_dict`; what is not named keeps its default.

        Raises:
            CheckpointError: A rule or region that does not exist, or a value of another type.
        """
        known = {rule.name: getattr(cls(), rule.name) for rule in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in plain.items():
            if name not in known:
                raise CheckpointError(f"{where}: there is no rule named {name}. Expected {', '.join(known)}.")
            per_region = isinstance(known[name], dict)
            if per_region and not (isinstance(value, Mapping) and set(value) <= set(known[name])):
                raise CheckpointError(f"{where}: {name}={value}. Expected one value for each of WT, TC and ET.")
            numbers = list(value.values()) if per_region else [value]
            if not all(isinstance(number, (bool, int, float)) and number >= 0 for number in numbers):
                raise CheckpointError(f"{where}: {name}={value}. Expected numbers of 0 or more, or true and false.")
            values[name] = {**known[name], **value} if per_region else value
        return cls(**values)

    @property
    def only_thresholds(self) -> bool:
        """Whether no component is looked at."""
        plain = Postprocessing(threshold=self.threshold)
        return self == plain


def labels_of(probabilities: np.ndarray, spacing_mm: tuple[float, float, float], rules: Postprocessing) -> np.ndarray:
    """Labels, uint8 of `anatomy.Label`, shape (X, Y, Z).

    Args:
        probabilities: Of WT, TC and ET, shape (X, Y, Z, 3).
        spacing_mm: Edge lengths of a voxel.
        rules: What to do.
    """
    labels = labels_from_regions(probabilities >= np.array([rules.threshold[r] for r in Region], np.float32))
    if rules.only_thresholds or not labels.any():
        return labels
    box = bounding_box(labels != 0)
    masks = region_masks(crop(labels, box))
    cleaned = cleaned_masks(masks, crop(probabilities, box), float(np.prod(spacing_mm)), rules)
    return uncrop(labels_from_regions(cleaned), box, labels.shape)


def cleaned_masks(masks: np.ndarray, probabilities: np.ndarray, voxel_mm3: float, rules: Postprocessing) -> np.ndarray:
    """Nested masks (X, Y, Z, 3) after all rules but the thresholds, nested again; both arrays share one grid."""
    cleaned = masks.copy()
    for index, region in enumerate(Region):
        mask = cleaned[..., index]
        if index:
            mask &= cleaned[..., index - 1]
        mask &= _kept_components(mask, probabilities[..., index], voxel_mm3, rules, region)
        if rules.fill_holes[region] and mask.any():
            mask |= filled(mask)
    for inner in range(len(Region) - 1, 0, -1):  # a filled hole of an inner region belongs to the outer ones too
        cleaned[..., inner - 1] |= cleaned[..., inner]
    enhancing = cleaned[..., list(Region).index(Region.ET)]
    if 0 < enhancing.sum() * voxel_mm3 < rules.least_et_mm3:
        enhancing[...] = False
    return cleaned


def _kept_components(
    mask: np.ndarray, probability: np.ndarray, voxel_mm3: float, rules: Postprocessing, region: Region
) -> np.ndarray:
    """The mask without the components that the rules remove."""
    least_voxels = rules.least_component_mm3[region] / voxel_mm3
    doubtful = rules.least_component_probability[region]
    if not (least_voxels or doubtful or rules.largest_only[region]) or not mask.any():
        return mask
    components = cc3d.connected_components(mask, connectivity=26)  # as BraTS 2023 counts lesions
    voxels = np.bincount(components.ravel())
    keep = voxels >= least_voxels
    if doubtful:
        total = np.bincount(components.ravel(), weights=probability.ravel())
        keep &= total >= doubtful * voxels
    keep[0] = False
    if rules.largest_only[region] and keep.any():
        largest = np.argmax(np.where(keep, voxels, 0))
        keep[:] = False
        keep[largest] = True
    return keep[components]
