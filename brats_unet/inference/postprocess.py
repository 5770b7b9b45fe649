"""Post-processing: from region probabilities to labels, with thresholds that `tune` can choose.

The rules apply in this order: threshold; then, region by region in the order of `Scheme.predicted`, so that a region
comes before those inside it: removal of components that are small, improbable or not the largest, and filling of holes;
last, removal of regions of a small total volume. Voxels removed from a region stay in the regions around it: in a
glioma, a removed component of ET becomes core, one of TC oedema. Plain NumPy, because exported networks use it too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brats_unet.data.prepare.brain import filled
from brats_unet.errors import CheckpointError
from brats_unet.geometry import bounding_box, crop, uncrop
from brats_unet.metrics.components import numbered_components
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin

# Value of each rule with which it changes nothing: that of a region for which a rule has no entry.
NEUTRAL: dict[str, float] = {
    "threshold": 0.5,
    "least_component_mm3": 0.0,
    "least_component_probability": 0.0,
    "largest_only": False,
    "fill_holes": False,
    "least_total_mm3": 0.0,
}
EARLIER = "least_et_mm3"  # least_total_mm3 in files from before there were schemes: one number


@dataclass(frozen=True)
class Postprocessing:
    """Rules of the post-processing, each by region. A region without an entry has the value of `NEUTRAL`.

    By default, probabilities are thresholded at 0.5 and nothing else is done. Entries that change nothing are dropped,
    so that rules with the same effect are equal.

    Attributes:
        threshold: A voxel belongs to the region if its probability is at least this.
        least_component_mm3: Connected components of a smaller volume are removed.
        least_component_probability: Connected components of a lower mean probability are removed.
        largest_only: Keep only the largest connected component.
        fill_holes: Fill holes, i.e. voxels that cannot be reached from outside through faces.
        least_total_mm3: If the total volume of the region is smaller, it is removed; only for `Scheme.small_total`.
    """

    threshold: Mapping[str, float] = field(default_factory=dict)
    least_component_mm3: Mapping[str, float] = field(default_factory=dict)
    least_component_probability: Mapping[str, float] = field(default_factory=dict)
    largest_only: Mapping[str, bool] = field(default_factory=dict)
    fill_holes: Mapping[str, bool] = field(default_factory=dict)
    least_total_mm3: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for rule, neutral in NEUTRAL.items():
            given = getattr(self, rule)
            object.__setattr__(self, rule, {name: given[name] for name in sorted(given) if given[name] != neutral})

    def of(self, rule: str, region: str) -> float:
        """Value of a rule, a key of `NEUTRAL`, for one region."""
        return getattr(self, rule).get(region, NEUTRAL[rule])

    def as_dict(self, scheme: Scheme) -> dict[str, Any]:
        """Plain types, for JSON: every rule with the value of every region that it may be set for."""
        return {rule: {name: self.of(rule, name) for name in regions_of(rule, scheme)} for rule in NEUTRAL}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], scheme: Scheme, *, where: str = "postprocessing") -> "Postprocessing":
        """The inverse of `as_dict`; missing rules and regions keep their defaults.

        Args:
            plain: Rules by name.
            scheme: Scheme whose regions the rules are for.
            where: Origin of the rules, for error messages.

        Raises:
            CheckpointError: An unknown rule or region, or a value that is negative or of the wrong type.
        """
        values: dict[str, Any] = {}
        if not isinstance(plain, Mapping):
            raise CheckpointError(f"{where}: the post-processing is {plain!r:.200}. Expected rules by name.")
        for name, value in named_as_now(plain).items():
            if name not in NEUTRAL:
                raise CheckpointError(f"{where}: there is no rule named {name}. Expected one of {', '.join(NEUTRAL)}.")
            regions = regions_of(name, scheme)
            if not (isinstance(value, Mapping) and set(value) <= set(regions)):
                raise CheckpointError(
                    f"{where}: {name}={value}. Expected one value for each region of the scheme {scheme.name} that has "
                    f"this rule: {', '.join(regions) or 'none has it'}."
                )
            if not all(isinstance(number, (bool, int, float)) and 0 <= number < math.inf for number in value.values()):
                raise CheckpointError(f"{where}: {name}={value}. Expected numbers of 0 or more, or true or false.")
            values[name] = value
        return cls(**values)

    @property
    def in_mm3(self) -> list[str]:
        """Names of the rules in mm³ that do something."""
        return [rule for rule in NEUTRAL if rule.endswith("_mm3") and getattr(self, rule)]

    @property
    def only_thresholds(self) -> bool:
        """Whether every rule but the thresholds has its default, so that no component is examined."""
        return self == Postprocessing(threshold=self.threshold)


def named_as_now(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Rules in plain types, with the rule of an earlier name under that of today."""
    rules = dict(plain)
    if EARLIER in rules:
        rules["least_total_mm3"] = dict.fromkeys(builtin().small_total, rules.pop(EARLIER))
    return rules


def regions_of(rule: str, scheme: Scheme) -> tuple[str, ...]:
    """The regions that a rule may be set for, in the order of `Scheme.predicted`."""
    if rule != "least_total_mm3":
        return scheme.predicted
    return tuple(name for name in scheme.predicted if name in scheme.small_total)


def labels_of(
    probabilities: np.ndarray, spacing_mm: tuple[float, float, float], rules: Postprocessing, scheme: Scheme
) -> np.ndarray:
    """Labels from region probabilities.

    Args:
        probabilities: Probabilities of the predicted regions, shape (X, Y, Z, R).
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres.
        rules: Rules to apply.
        scheme: What the regions and the labels are.

    Returns:
        Labels as in memory, uint8, shape (X, Y, Z).
    """
    thresholds = np.array([rules.of("threshold", name) for name in scheme.predicted], np.float32)
    masks = probabilities >= thresholds
    labels = scheme.labels_from_masks(masks)
    if rules.only_thresholds or not labels.any():
        return labels
    box = bounding_box(labels != 0)
    voxel_mm3 = float(np.prod(spacing_mm))
    cleaned = cleaned_masks(crop(masks, box), crop(probabilities, box), voxel_mm3, rules, scheme)
    return uncrop(scheme.labels_from_masks(cleaned), box, labels.shape)


def cleaned_masks(
    masks: np.ndarray, probabilities: np.ndarray, voxel_mm3: float, rules: Postprocessing, scheme: Scheme
) -> np.ndarray:
    """Apply all rules but the thresholds.

    Args:
        masks: Masks of the predicted regions, bool, shape (X, Y, Z, R). A voxel in a region counts as in the regions
            around it.
        probabilities: Their probabilities, same shape and grid.
        voxel_mm3: Volume of a voxel.
        rules: Rules to apply.
        scheme: What the regions are.

    Returns:
        New masks, same shape; every region lies inside the regions around it.
    """
    cleaned = masks.copy()
    mask_of = {name: cleaned[..., index] for index, name in enumerate(scheme.predicted)}
    for region, mask in mask_of.items():
        for outer in scheme.around(region):
            mask_of[outer] |= mask
    for index, (region, mask) in enumerate(mask_of.items()):
        for outer in scheme.around(region):
            mask &= mask_of[outer]
        mask &= _kept_components(mask, probabilities[..., index], voxel_mm3, rules, region)
        if rules.of("fill_holes", region) and mask.any():
            mask |= filled(mask)
            for outer in scheme.around(region):
                mask_of[outer] |= mask
    for region in regions_of("least_total_mm3", scheme):
        if 0 < mask_of[region].sum() * voxel_mm3 < rules.of("least_total_mm3", region):
            for name, mask in mask_of.items():
                if name == region or region in scheme.around(name):
                    mask[...] = False
    return cleaned


def _kept_components(
    mask: np.ndarray, probability: np.ndarray, voxel_mm3: float, rules: Postprocessing, region: str
) -> np.ndarray:
    """The mask without the connected components that the rules remove."""
    least_voxels = rules.of("least_component_mm3", region) / voxel_mm3
    least_mean = rules.of("least_component_probability", region)
    largest_only = rules.of("largest_only", region)
    if not (least_voxels or least_mean or largest_only) or not mask.any():
        return mask
    components, _ = numbered_components(mask)  # 26-connected, as BraTS 2023 counts lesions
    voxels = np.bincount(components.ravel())
    keep = voxels >= least_voxels
    if least_mean:
        total = np.bincount(components.ravel(), weights=probability.ravel())
        keep &= total >= least_mean * voxels
    keep[0] = False
    if largest_only and keep.any():
        largest = np.argmax(np.where(keep, voxels, 0))
        keep[:] = False
        keep[largest] = True
    return keep[components]
