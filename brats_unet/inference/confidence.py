"""Confidence of a prediction: an uncertainty map, numbers per region, and reasons to review a case.

The thresholds are rules of thumb and were never calibrated on patients: a case without a flag can be wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.schemes.scheme import Scheme

LEAST_MEAN_PROBABILITY = 0.8  # mean inside a region below which a case is flagged
LEAST_AGREEMENT = 0.8  # Dice of two predictions below which a case is flagged
SMALL_MM3 = 100.0  # regions smaller than this are not flagged for their mean probability


@dataclass(frozen=True)
class RegionFacts:
    """One region of one predicted case.

    Attributes:
        region: Name of the region.
        volume_mm3: Volume of the written mask, in mm³; NaN if the spacing is unknown.
        mean_probability: Mean probability inside the mask, from 0 to 1; NaN if the mask is empty.
        agreement: Mean Dice of two predictions, from 0 to 1, see `ensemble.pairwise_dice`; NaN for a single prediction,
            if no prediction has the region, or if it is scored without being predicted.
    """

    region: str
    volume_mm3: float
    mean_probability: float
    agreement: float


def facts_of(
    labels: np.ndarray,
    probabilities: np.ndarray,
    agreement: np.ndarray | None,
    spacing_mm: Sequence[float] | None,
    scheme: Scheme,
) -> list[RegionFacts]:
    """One `RegionFacts` per scored region.

    Args:
        labels: Labels as in memory, shape (X, Y, Z).
        probabilities: Probabilities of the predicted regions, shape (X, Y, Z, R), on the same grid.
        agreement: Agreement of the predictions per predicted region, shape (R,); None for a single prediction.
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres; None if they are unknown.
        scheme: What the labels and regions are.
    """
    channel = {name: index for index, name in enumerate(scheme.predicted)}
    facts = []
    for number, region in enumerate(scheme.scored):
        mask, index = scheme.region_mask(labels, region), channel.get(region)
        if index is not None:
            inside = probabilities[..., index][mask]
        else:
            inside = scheme.scored_probabilities(probabilities[mask])[..., number]
        facts.append(
            RegionFacts(
                region,
                float("nan") if spacing_mm is None else float(inside.size * np.prod(spacing_mm)),
                float(inside.mean(dtype=np.float64)) if inside.size else float("nan"),
                float("nan") if agreement is None or index is None else float(agreement[index]),
            )
        )
    return facts


def review_reasons(facts: Sequence[RegionFacts], scheme: Scheme, warnings: Sequence[str] = ()) -> list[str]:
    """Reasons to review a case, in words; empty if there is none.

    Args:
        facts: Facts of its regions.
        scheme: What the regions are.
        warnings: Warnings about its scans; see `data.prepare.plausible`.
    """
    reasons = ["the scans look wrong"] if warnings else []
    if all(np.isnan(fact.mean_probability) for fact in facts):  # no voxel in any region
        all_tumour = all("tumour" in scheme.regions[fact.region].words for fact in facts)
        reasons.append("no tumour found" if all_tumour else "nothing found")
    for fact in facts:
        if not fact.volume_mm3 < SMALL_MM3 and fact.mean_probability < LEAST_MEAN_PROBABILITY:
            reasons.append(f"{fact.region} unsure (mean probability {fact.mean_probability:.2f})")
        if fact.agreement < LEAST_AGREEMENT:  # False for NaN
            reasons.append(f"{fact.region} disputed (predictions agree by Dice {fact.agreement:.2f})")
    return reasons


def entropy(probabilities: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Uncertainty of each voxel: entropy over the classes of the scheme, divided by its maximum.

    Where predicted regions overlap without being nested, they do not determine the classes. The uncertainty is then
    that of "in the region or not", mean over the predicted regions.

    Args:
        probabilities: Mean probabilities of the predicted regions, shape (X, Y, Z, R). The probability of an inner
            region is limited to that of the regions around it. Where regions side by side have more than the region
            around them, the classes share the probability in proportion.
        scheme: What the regions and classes are.

    Returns:
        float32, shape (X, Y, Z): 0 where one class is certain, 1 where all are equally likely.
    """
    shares = np.clip(probabilities, 0, 1)
    if not scheme.is_tree:
        each = [_entropy(np.stack([1 - shares[..., i], shares[..., i]], axis=-1)) for i in range(shares.shape[-1])]
        return np.stack(each).mean(axis=0)
    for index, region in enumerate(scheme.predicted):
        for outer in scheme.around(region)[-1:]:
            inner, around = shares[..., index], shares[..., scheme.predicted.index(outer)]
            np.minimum(inner, around, out=inner)
    classes = scheme.classes_from_regions(shares).astype(np.float32)
    too_much = (classes < 0).any(axis=-1)
    positive = np.maximum(classes[too_much], 0)
    classes[too_much] = positive / positive.sum(axis=-1, keepdims=True)
    return _entropy(classes)


def _entropy(classes: np.ndarray) -> np.ndarray:
    """Entropy of the last axis divided by its maximum, float32, from 0 to 1."""
    terms = np.where(classes > 0, classes * np.log(np.maximum(classes, 1e-12)), 0)
    return np.clip(-terms.sum(axis=-1) / np.log(classes.shape[-1]), 0, 1).astype(np.float32)
