"""Confidence of a prediction: an uncertainty map, numbers per region, and reasons to review a case.

The thresholds are rules of thumb and were never calibrated on patients: a case without a flag can be wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.anatomy import Region, classes_from_regions, region_mask

LEAST_MEAN_PROBABILITY = 0.8  # mean inside a region below which a case is flagged
LEAST_AGREEMENT = 0.8  # Dice of two predictions below which a case is flagged
SMALL_MM3 = 100.0  # regions smaller than this are not flagged for their mean probability


@dataclass(frozen=True)
class RegionFacts:
    """One region of one predicted case.

    Attributes:
        region: WT, TC or ET.
        volume_mm3: Volume of the written mask, in mm³.
        mean_probability: Mean probability inside the mask, from 0 to 1; NaN if the mask is empty.
        agreement: Mean Dice of two predictions, from 0 to 1, see `ensemble.pairwise_dice`; NaN for a single prediction,
            or if no prediction has the region.
    """

    region: Region
    volume_mm3: float
    mean_probability: float
    agreement: float


def facts_of(
    labels: np.ndarray, probabilities: np.ndarray, agreement: np.ndarray | None, spacing_mm: Sequence[float]
) -> list[RegionFacts]:
    """One `RegionFacts` per region.

    Args:
        labels: `anatomy.Label` integers, shape (X, Y, Z).
        probabilities: Probabilities of WT, TC and ET, shape (X, Y, Z, 3), on the same grid.
        agreement: Agreement of the predictions per region, shape (3,); None for a single prediction.
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres.
    """
    facts = []
    for index, region in enumerate(Region):
        mask = region_mask(labels, region)
        inside = probabilities[..., index][mask]
        facts.append(
            RegionFacts(
                region,
                float(inside.size * np.prod(spacing_mm)),
                float(inside.mean(dtype=np.float64)) if inside.size else float("nan"),
                float("nan") if agreement is None else float(agreement[index]),
            )
        )
    return facts


def review_reasons(facts: Sequence[RegionFacts], warnings: Sequence[str] = ()) -> list[str]:
    """Reasons to review a case, in words; empty if there is none.

    Args:
        facts: Facts of its regions.
        warnings: Warnings about its scans; see `data.prepare.plausible`.
    """
    reasons = ["the scans look wrong"] if warnings else []
    if not any(fact.volume_mm3 for fact in facts):
        reasons.append("no tumour found")
    for fact in facts:
        if fact.volume_mm3 >= SMALL_MM3 and fact.mean_probability < LEAST_MEAN_PROBABILITY:
            reasons.append(f"{fact.region} unsure (mean probability {fact.mean_probability:.2f})")
        if fact.agreement < LEAST_AGREEMENT:  # False for NaN
            reasons.append(f"{fact.region} disputed (predictions agree by Dice {fact.agreement:.2f})")
    return reasons


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Uncertainty of each voxel: entropy over background, oedema, core and enhancing tumour, divided by its maximum.

    Args:
        probabilities: Mean probabilities of WT, TC and ET, shape (X, Y, Z, 3). The probability of an inner region is
            limited to that of the region around it.

    Returns:
        float32, shape (X, Y, Z): 0 where one of the four classes is certain, 1 where all are equally likely.
    """
    nested = np.minimum.accumulate(np.clip(probabilities, 0, 1), axis=-1)
    classes = classes_from_regions(nested).astype(np.float32)
    terms = np.where(classes > 0, classes * np.log(np.maximum(classes, 1e-12)), 0)
    return np.clip(-terms.sum(axis=-1) / np.log(classes.shape[-1]), 0, 1).astype(np.float32)
