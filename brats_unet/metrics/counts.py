"""Scores computed from four counts of voxels: true and false, positive and negative."""

from dataclasses import dataclass

import numpy as np

from brats_unet.metrics.empty import UNDEFINED, WhenEmpty


@dataclass(frozen=True)
class Counts:
    """Number of voxels by reference and prediction.

    Attributes:
        true_positive: Voxels in both masks.
        false_positive: Voxels in the prediction only.
        false_negative: Voxels in the reference only.
        true_negative: Voxels in neither mask.
    """

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @property
    def reference_voxels(self) -> int:
        return self.true_positive + self.false_negative

    @property
    def prediction_voxels(self) -> int:
        return self.true_positive + self.false_positive

    @property
    def reference_empty(self) -> bool:
        return self.reference_voxels == 0

    @property
    def prediction_empty(self) -> bool:
        return self.prediction_voxels == 0


def count(reference: np.ndarray, prediction: np.ndarray, *, outside_voxels: int = 0) -> Counts:
    """Count the voxels of two masks.

    Args:
        reference: Expert mask, bool.
        prediction: Model mask, bool, same shape.
        outside_voxels: Number of voxels of the case's grid outside these arrays; they are in neither mask.

    Raises:
        ValueError: The arrays are not bool, or differ in shape.
    """
    require_masks(reference, prediction)
    both = int(np.count_nonzero(reference & prediction))
    only_prediction = int(np.count_nonzero(prediction)) - both
    only_reference = int(np.count_nonzero(reference)) - both
    neither = reference.size + outside_voxels - both - only_prediction - only_reference
    return Counts(both, only_prediction, only_reference, neither)


def require_masks(reference: np.ndarray, prediction: np.ndarray) -> None:
    """Raise ValueError unless both are bool arrays of one shape."""
    if reference.shape != prediction.shape:
        raise ValueError(f"The masks do not share one grid: {reference.shape} and {prediction.shape}.")
    if reference.dtype != bool or prediction.dtype != bool:
        raise ValueError(f"Masks are bool arrays, not {reference.dtype} and {prediction.dtype}.")


def dice(counts: Counts, when_empty: WhenEmpty) -> float:
    """Dice overlap of two masks, 2 TP / (2 TP + FP + FN).

    Returns:
        0 to 1, higher is better; the rule's value if either mask is empty.

    Source:
        Dice 1945, doi:10.2307/1932409. For hard masks of one region over the whole volume; the seed's Dice is another
        (`seed.py`).
    """
    ruled = _ruled(counts, when_empty)
    if ruled is not None:
        return ruled
    return 2 * counts.true_positive / (counts.reference_voxels + counts.prediction_voxels)


def iou(counts: Counts, when_empty: WhenEmpty) -> float:
    """Intersection over union, TP / (TP + FP + FN); also called Jaccard index. It is Dice / (2 - Dice) for one case.

    Returns:
        0 to 1, higher is better; the rule's value if either mask is empty.

    Source:
        Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x.
    """
    ruled = _ruled(counts, when_empty)
    if ruled is not None:
        return ruled
    return counts.true_positive / (counts.reference_voxels + counts.false_positive)


def sensitivity(counts: Counts, when_empty: WhenEmpty) -> float:
    """Share of the reference that was found, TP / (TP + FN); also called recall.

    Returns:
        0 to 1, higher is better; the rule's value if either mask is empty.
    """
    ruled = _ruled(counts, when_empty)
    return counts.true_positive / counts.reference_voxels if ruled is None else ruled


def precision(counts: Counts, when_empty: WhenEmpty) -> float:
    """Share of the prediction that is right, TP / (TP + FP); also called positive predictive value.

    Returns:
        0 to 1, higher is better; the rule's value if either mask is empty.
    """
    ruled = _ruled(counts, when_empty)
    return counts.true_positive / counts.prediction_voxels if ruled is None else ruled


def specificity(counts: Counts) -> float:
    """Share of the voxels outside the reference that were not predicted, TN / (TN + FP).

    It counts the case's whole grid, air included, as BraTS does: with 8.9 million voxels it is 0.99 for almost any
    mask, and says little.

    Returns:
        0 to 1, higher is better; 1 for a reference that fills the grid, where no voxel can be predicted falsely.
    """
    outside = counts.true_negative + counts.false_positive
    return counts.true_negative / outside if outside else 1.0


def accuracy(counts: Counts) -> float:
    """Share of the voxels on which both masks agree, (TP + TN) / all, over the whole grid, air included.

    Returns:
        0 to 1, higher is better. An empty prediction of a small lesion scores near 1: see docs/METRICS.md.
    """
    voxels = counts.reference_voxels + counts.false_positive + counts.true_negative
    if voxels == 0:
        raise ValueError("A grid without voxels has no accuracy.")
    return (counts.true_positive + counts.true_negative) / voxels


def volume_mm3(voxels: int, spacing_mm: tuple[float, float, float]) -> float:
    """Volume of a number of voxels in cubic millimetres (1000 mm3 = 1 mL); 0 for none."""
    return voxels * float(np.prod(spacing_mm))


def volume_difference_mm3(counts: Counts, spacing_mm: tuple[float, float, float]) -> float:
    """Volume of the prediction minus that of the reference, in cubic millimetres; above 0 it is too large."""
    return volume_mm3(counts.prediction_voxels - counts.reference_voxels, spacing_mm)


def volume_difference_relative(counts: Counts) -> float:
    """(Prediction's volume - reference's) / reference's.

    Returns:
        -1 (empty prediction) or more, 0 is best; 0 if both masks are empty, undefined (NaN) if only the reference is.
    """
    difference = counts.prediction_voxels - counts.reference_voxels
    if counts.reference_empty:
        return 0.0 if counts.prediction_empty else UNDEFINED
    return difference / counts.reference_voxels


def _ruled(counts: Counts, when_empty: WhenEmpty) -> float | None:
    return when_empty.value(reference_empty=counts.reference_empty, prediction_empty=counts.prediction_empty)
