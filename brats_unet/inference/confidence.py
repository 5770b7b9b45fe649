"""How sure a prediction is of itself: an uncertainty map, numbers by region, and which cases a person should look at.

The thresholds are rules of thumb, not calibrated on anybody's patients: a case without a flag can be wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.anatomy import Region, classes_from_regions, region_mask

LEAST_MEAN_PROBABILITY = 0.8  # inside a region
LEAST_AGREEMENT = 0.8  # Dice of two predictions
SMALL_MM3 = 100.0  # of regions smaller than this no probability is judged


@dataclass(frozen=True)
class RegionFacts:
    """One region of one predicted case.

    Attributes:
        region: WT, TC or ET.
        volume_mm3: Of the mask as written.
        mean_probability: Inside it, from 0 to 1; NaN where it is empty.
        agreement: See `ensemble.pairwise_dice`; NaN for a single prediction, or where none finds the region.
    """

    region: Region
    volume_mm3: float
    mean_probability: float
    agreement: float


def facts_of(
    labels: np.ndarray, probabilities: np.ndarray, agreement: np.ndarray | None, spacing_mm: Sequence[float]
) -> list[RegionFacts]:
    """One `RegionFacts` a region, from labels (X, Y, Z) and probabilities (X, Y, Z, 3) on one grid."""
    found = []
    for index, region in enumerate(Region):
        mask = region_mask(labels, region)
        inside = probabilities[..., index][mask]
        found.append(
            RegionFacts(
                region,
                float(inside.size * np.prod(spacing_mm)),
                float(inside.mean(dtype=np.float64)) if inside.size else float("nan"),
                float("nan") if agreement is None else float(agreement[index]),
            )
        )
    return found


def review_reasons(facts: Sequence[RegionFacts], warnings: Sequence[str] = ()) -> list[str]:
    """Why a person should look at a case, in words; none where nothing is odd.

    Args:
        facts: Of its regions.
        doubts: What looks wrong with its scans; see `data.plausible`.
    """
    reasons = ["the scans look odd"] if warnings else []
    if not any(fact.volume_mm3 for fact in facts):
        reasons.append("no tumour found")
    for fact in facts:
        if fact.volume_mm3 >= SMALL_MM3 and fact.mean_probability < LEAST_MEAN_PROBABILITY:
            reasons.append(f"{fact.region} unsure (mean probability {fact.mean_probability:.2f})")
        if fact.agreement < LEAST_AGREEMENT:  # NaN is not
            reasons.append(f"{fact.region} disputed (predictions agree by Dice {fact.agreement:.2f})")
    return reasons


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Uncertainty of each voxel: entropy of background, oedema, core and enhancing tumour, as a share of the largest.

    Args:
        probabilities: Mean of WT, TC and ET, shape (X, Y, Z, 3); an inner region is taken to be at most as likely as
            the one around it.

    Returns:
        float32, shape (X, Y, Z): 0 where one of the four is certain, 1 where all are alike.
    """
    nested = np.minimum.accumulate(np.clip(probabilities, 0, 1), axis=-1)
    classes = classes_from_regions(nested).astype(np.float32)
    terms = np.where(classes > 0, classes * np.log(np.maximum(classes, 1e-12)), 0)
    return np.clip(-terms.sum(axis=-1) / np.log(classes.shape[-1]), 0, 1).astype(np.float32)
