"""Scores of one region of one case: METRICS names them; docs/METRICS.md defines them.

A package adds its own without forking, under the entry-point group `brats_unet.metrics`: a function that takes a
`MaskPair` and returns a float, with an attribute `unit` where that is not "1". It appears in scores.csv and
summary.json beside ours.
"""

from collections.abc import Callable
from functools import lru_cache

from brats_unet.metrics import counts, surface
from brats_unet.metrics.pair import MaskPair
from brats_unet.parts import with_plugins

Metric = Callable[[MaskPair], float]


def dice(pair: MaskPair) -> float:
    """See `counts.dice`."""
    return counts.dice(pair.counts, pair.protocol.dice)


def hd95(pair: MaskPair) -> float:
    """See `surface.hausdorff95_mm`; the definition is the protocol's."""
    return surface.hausdorff95_mm(
        pair.reference,
        pair.prediction,
        pair.spacing_mm,
        definition=pair.protocol.hd95_definition,
        when_empty=pair.protocol.hd95_mm,
    )


def sensitivity(pair: MaskPair) -> float:
    """See `counts.sensitivity`."""
    return counts.sensitivity(pair.counts, pair.protocol.sensitivity)


def specificity(pair: MaskPair) -> float:
    """See `counts.specificity`."""
    return counts.specificity(pair.counts)


def precision(pair: MaskPair) -> float:
    """See `counts.precision`."""
    return counts.precision(pair.counts, pair.protocol.precision)


def accuracy(pair: MaskPair) -> float:
    """See `counts.accuracy`."""
    return counts.accuracy(pair.counts)


def volume_reference(pair: MaskPair) -> float:
    """See `counts.volume_mm3`."""
    return counts.volume_mm3(pair.counts.reference_voxels, pair.spacing_mm)


def volume_prediction(pair: MaskPair) -> float:
    """See `counts.volume_mm3`."""
    return counts.volume_mm3(pair.counts.prediction_voxels, pair.spacing_mm)


METRICS: dict[str, Metric] = {
    "dice": dice,
    "hd95": hd95,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "precision": precision,
    "accuracy": accuracy,
    "volume_reference": volume_reference,
    "volume_prediction": volume_prediction,
}
# Units of those that have one; the others are shares.
UNITS: dict[str, str] = {"hd95": "mm", "volume_reference": "mm3", "volume_prediction": "mm3"}


@lru_cache(maxsize=1)
def all_metrics() -> dict[str, tuple[Metric, str]]:
    """Every metric, ours and those of installed packages, with its unit."""
    return {
        name: (metric, UNITS.get(name) or str(getattr(metric, "unit", "1")))
        for name, metric in with_plugins(METRICS, "metrics").items()
    }
