"""Post-processing: from region probabilities to labels, with thresholds that `tune` can choose.

The rules apply in this order, from the outermost region inwards: threshold; nesting; removal of components that are
small, improbable or not the largest; filling of holes; replacement of a small total of enhancing tumour by necrotic
core. Voxels removed from a region stay in the region around it: a removed component of ET becomes core, one of TC
oedema. Plain NumPy, because exported networks use it too.
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
    """Rules of the post-processing. By default, probabilities are thresholded at 0.5 and nothing else is done.

    Attributes:
        threshold: Per region: a voxel belongs to the region if its probability is at least this.
        least_component_mm3: Per region: connected components of a smaller volume are removed.
        least_component_probability: Per region: connected components of a lower mean probability are removed.
        largest_only: Per region: keep only the largest connected component.
        fill_holes: Per region: fill holes, i.e. voxels that cannot be reached from outside through faces.
        least_et_mm3: If the total volume of ET is smaller, ET becomes necrotic core.
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
        """The inverse of `as_dict`; missing rules and regions keep their defaults.

        Args:
            plain: Rules by name.
            where: Origin of the rules, for error messages.

        Raises:
            CheckpointError: An unknown rule or region, or a value that is negative or of the wrong type.
        """
        known = {rule.name: getattr(cls(), rule.name) for rule in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in plain.items():
            if name not in known:
                raise CheckpointError(f"{where}: there is no rule named {name}. Expected one of {', '.join(known)}.")
            per_region = isinstance(known[name], dict)
            if per_region and not (isinstance(value, Mapping) and set(value) <= set(known[name])):
                raise CheckpointError(f"{where}: {name}={value}. Expected one value for each of WT, TC and ET.")
            numbers = list(value.values()) if per_region else [value]
            if not all(isinstance(number, (bool, int, float)) and number >= 0 for number in numbers):
                raise CheckpointError(f"{where}: {name}={value}. Expected numbers of 0 or more, or true or false.")
            values[name] = {**known[name], **value} if per_region else value
        return cls(**values)

    @property
    def only_thresholds(self) -> bool:
        """Whether every rule but the thresholds has its default, so that no component is examined."""
        plain = Postprocessing(threshold=self.threshold)
        return self == plain


def labels_of(probabilities: np.ndarray, spacing_mm: tuple[float, float, float], rules: Postprocessing) -> np.ndarray:
    """Labels from region probabilities.

    Args:
        probabilities: Probabilities of WT, TC and ET, shape (X, Y, Z, 3).
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres.
        rules: Rules to apply.

    Returns:
        `anatomy.Label` integers, uint8, shape (X, Y, Z).
    """
    labels = labels_from_regions(probabilities >= np.array([rules.threshold[r] for r in Region], np.float32))
    if rules.only_thresholds or not labels.any():
        return labels
    box = bounding_box(labels != 0)
    masks = region_masks(crop(labels, box))
    cleaned = cleaned_masks(masks, crop(probabilities, box), float(np.prod(spacing_mm)), rules)
    return uncrop(labels_from_regions(cleaned), box, labels.shape)


def cleaned_masks(masks: np.ndarray, probabilities: np.ndarray, voxel_mm3: float, rules: Postprocessing) -> np.ndarray:
    """Apply all rules but the thresholds.

    Args:
        masks: Nested masks of WT, TC and ET, bool, shape (X, Y, Z, 3).
        probabilities: Their probabilities, same shape and grid.
        voxel_mm3: Volume of a voxel.
        rules: Rules to apply.

    Returns:
        New masks, nested again, same shape.
    """
    cleaned = masks.copy()
    for index, region in enumerate(Region):
        mask = cleaned[..., index]
        if index:
            mask &= cleaned[..., index - 1]
        mask &= _kept_components(mask, probabilities[..., index], voxel_mm3, rules, region)
        if rules.fill_holes[region] and mask.any():
            mask |= filled(mask)
    for inner in range(len(Region) - 1, 0, -1):  # filled holes also belong to the outer regions
        cleaned[..., inner - 1] |= cleaned[..., inner]
    enhancing = cleaned[..., list(Region).index(Region.ET)]
    if 0 < enhancing.sum() * voxel_mm3 < rules.least_et_mm3:
        enhancing[...] = False
    return cleaned


def _kept_components(
    mask: np.ndarray, probability: np.ndarray, voxel_mm3: float, rules: Postprocessing, region: Region
) -> np.ndarray:
    """The mask without the connected components that the rules remove."""
    least_voxels = rules.least_component_mm3[region] / voxel_mm3
    least_mean = rules.least_component_probability[region]
    if not (least_voxels or least_mean or rules.largest_only[region]) or not mask.any():
        return mask
    components = cc3d.connected_components(mask, connectivity=26)  # BraTS 2023 counts lesions this way
    voxels = np.bincount(components.ravel())
    keep = voxels >= least_voxels
    if least_mean:
        total = np.bincount(components.ravel(), weights=probability.ravel())
        keep &= total >= least_mean * voxels
    keep[0] = False
    if rules.largest_only[region] and keep.any():
        largest = np.argmax(np.where(keep, voxels, 0))
        keep[:] = False
        keep[largest] = True
    return keep[components]
