"""Metrics of volume: of the reference, of the prediction, and their difference."""

from brats_unet.metrics import counts
from brats_unet.metrics.metric import ANY, POSITIVE, Metric
from brats_unet.metrics.pair import MaskPair

_NO_RULE = "no rule needed: an empty mask has 0"


def volume_reference(pair: MaskPair) -> float:
    """See `counts.volume_mm3`."""
    return counts.volume_mm3(pair.counts.reference_voxels, pair.spacing_mm)


def volume_prediction(pair: MaskPair) -> float:
    """See `counts.volume_mm3`."""
    return counts.volume_mm3(pair.counts.prediction_voxels, pair.spacing_mm)


def volume_difference(pair: MaskPair) -> float:
    """See `counts.volume_difference_mm3`."""
    return counts.volume_difference_mm3(pair.counts, pair.spacing_mm)


def volume_difference_relative(pair: MaskPair) -> float:
    """See `counts.volume_difference_relative`."""
    return counts.volume_difference_relative(pair.counts)


VOLUME_REFERENCE = Metric(
    name="volume_reference",
    function=volume_reference,
    unit="mm3",
    range=POSITIVE,
    better="–",
    definition="Volume of the reference: (TP + FN) × the volume of a voxel.",
    source="by counting",
    when_empty=_NO_RULE,
)
VOLUME_PREDICTION = Metric(
    name="volume_prediction",
    function=volume_prediction,
    unit="mm3",
    range=POSITIVE,
    better="–",
    definition="Volume of the prediction: (TP + FP) × the volume of a voxel.",
    source="by counting",
    when_empty=_NO_RULE,
)
VOLUME_DIFFERENCE = Metric(
    name="volume_difference",
    function=volume_difference,
    unit="mm3",
    range=ANY,
    better="near 0",
    definition="Volume of the prediction minus that of the reference: (FP - FN) × the volume of a voxel. Above 0 the "
    "prediction is too large.",
    source="by counting",
    when_empty=_NO_RULE,
)
VOLUME_DIFFERENCE_RELATIVE = Metric(
    name="volume_difference_relative",
    function=volume_difference_relative,
    unit="1",
    range="≥ -1",
    better="near 0",
    definition="The volume difference as a share of the reference's volume: (FP - FN) / (TP + FN).",
    source="Heimann et al. 2009, there in per cent",
    when_empty="both empty: 0; only the reference: undefined; only the prediction: -1",
)
