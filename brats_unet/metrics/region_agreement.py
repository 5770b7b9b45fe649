"""Metrics that follow from the counts of true and false, positive and negative voxels: Dice, IoU, sensitivity, …."""

from brats_unet.metrics import counts
from brats_unet.metrics.metric import SHARE, Metric
from brats_unet.metrics.pair import MaskPair

_TAHA_HANBURY = "Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x"


def dice(pair: MaskPair) -> float:
    """See `counts.dice`."""
    return counts.dice(pair.counts, pair.rule(pair.protocol.dice))


def iou(pair: MaskPair) -> float:
    """See `counts.iou`."""
    return counts.iou(pair.counts, pair.rule(pair.protocol.iou))


def sensitivity(pair: MaskPair) -> float:
    """See `counts.sensitivity`."""
    return counts.sensitivity(pair.counts, pair.rule(pair.protocol.sensitivity))


def specificity(pair: MaskPair) -> float:
    """See `counts.specificity`."""
    return counts.specificity(pair.counts)


def precision(pair: MaskPair) -> float:
    """See `counts.precision`."""
    return counts.precision(pair.counts, pair.rule(pair.protocol.precision))


def accuracy(pair: MaskPair) -> float:
    """See `counts.accuracy`."""
    return counts.accuracy(pair.counts)


DICE = Metric(
    name="dice",
    function=dice,
    unit="1",
    range=SHARE,
    better="high",
    definition="Twice the voxels that both masks share, divided by the voxels of both: 2 TP / (2 TP + FP + FN).",
    source="Dice 1945, doi:10.2307/1932409",
    rule="dice",
)
IOU = Metric(
    name="iou",
    function=iou,
    unit="1",
    range=SHARE,
    better="high",
    definition="Intersection over union, or Jaccard index: TP / (TP + FP + FN). Never above the Dice of the same case.",
    source="Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x",
    rule="iou",
)
SENSITIVITY = Metric(
    name="sensitivity",
    function=sensitivity,
    unit="1",
    range=SHARE,
    better="high",
    definition="Share of the reference that was found, or recall: TP / (TP + FN).",
    source=_TAHA_HANBURY,
    rule="sensitivity",
)
SPECIFICITY = Metric(
    name="specificity",
    function=specificity,
    unit="1",
    range=SHARE,
    better="high",
    definition="Share of the voxels outside the reference that were not predicted: TN / (TN + FP). Nearly all voxels "
    "are background, so it is near 1 for almost any mask.",
    source=_TAHA_HANBURY,
    when_empty="no rule needed; 1 for a reference that fills the grid",
)
PRECISION = Metric(
    name="precision",
    function=precision,
    unit="1",
    range=SHARE,
    better="high",
    definition="Share of the prediction that is right: TP / (TP + FP).",
    source=_TAHA_HANBURY,
    rule="precision",
)
ACCURACY = Metric(
    name="accuracy",
    function=accuracy,
    unit="1",
    range=SHARE,
    better="high",
    definition="Share of all voxels that are right: (TP + TN) / (TP + FP + FN + TN). Nearly all voxels are background, "
    "so it is near 1 for almost any mask.",
    source="Maier-Hein et al. 2024, doi:10.1038/s41592-023-02151-z",
    when_empty="no rule needed",
)
