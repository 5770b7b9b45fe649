"""Scores of one region of one case: METRICS names them; docs/METRICS.md defines them.

A package adds its own without forking, under the entry-point group `brats_unet.metrics`: a function that takes a
`MaskPair` and returns a float, with an attribute `unit` where that is not "1". It appears in scores.csv and
summary.json beside ours.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

from brats_unet.metrics import counts
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import SURFACE_DICE, TOLERANCES_MM, Protocol, surface_dice_name
from brats_unet.parts import with_plugins

Metric = Callable[[MaskPair], float]


def dice(pair: MaskPair) -> float:
    """See `counts.dice`."""
    return counts.dice(pair.counts, pair.protocol.dice)


def iou(pair: MaskPair) -> float:
    """See `counts.iou`."""
    return counts.iou(pair.counts, pair.protocol.iou)


def hd95(pair: MaskPair) -> float:
    """See `surface.hausdorff95_mm`; the definition is the protocol's."""
    ruled = pair.ruled(pair.protocol.hd95_mm)
    return pair.surfaces.hausdorff95_mm(pair.protocol.hd95_definition) if ruled is None else ruled


def assd(pair: MaskPair) -> float:
    """See `surface.average_surface_distance_mm`; definition "pooled"."""
    ruled = pair.ruled(pair.protocol.assd_mm)
    return pair.surfaces.average_mm("pooled") if ruled is None else ruled


def surface_dice(pair: MaskPair, *, tolerance_mm: float) -> float:
    """See `surface.surface_dice`."""
    ruled = pair.ruled(pair.protocol.surface_dice)
    return pair.surfaces.dice(tolerance_mm) if ruled is None else ruled


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


def volume_difference(pair: MaskPair) -> float:
    """See `counts.volume_difference_mm3`."""
    return counts.volume_difference_mm3(pair.counts, pair.spacing_mm)


def volume_difference_relative(pair: MaskPair) -> float:
    """See `counts.volume_difference_relative`."""
    return counts.volume_difference_relative(pair.counts)


def lesion_dice(pair: MaskPair) -> float:
    """See `lesions.LesionScores`."""
    return pair.lesions.dice


def lesion_hd95(pair: MaskPair) -> float:
    """See `lesions.LesionScores`."""
    return pair.lesions.hd95_mm


def lesion_f1(pair: MaskPair) -> float:
    """See `lesions.LesionScores`."""
    return pair.lesions.f1


def lesions_found(pair: MaskPair) -> float:
    """See `lesions.LesionScores`."""
    return pair.lesions.found


def lesions_missed(pair: MaskPair) -> float:
    """See `lesions.LesionScores`."""
    return pair.lesions.missed


def lesions_false(pair: MaskPair) -> float:
    """See `lesions.LesionScores`."""
    return pair.lesions.false


METRICS: dict[str, Metric] = {
    "dice": dice,
    "iou": iou,
    "hd95": hd95,
    "assd": assd,
    "sensitivity": sensitivity,
    "specificity": specificity,
    "precision": precision,
    "accuracy": accuracy,
    "volume_reference": volume_reference,
    "volume_prediction": volume_prediction,
    "volume_difference": volume_difference,
    "volume_difference_relative": volume_difference_relative,
    "lesion_dice": lesion_dice,
    "lesion_hd95": lesion_hd95,
    "lesion_f1": lesion_f1,
    "lesions_found": lesions_found,
    "lesions_missed": lesions_missed,
    "lesions_false": lesions_false,
}
# Units of those that have one; the others are shares.
UNITS: dict[str, str] = {
    **dict.fromkeys(("hd95", "assd", "lesion_hd95"), "mm"),
    **dict.fromkeys(("volume_reference", "volume_prediction", "volume_difference"), "mm3"),
    **dict.fromkeys(("lesions_found", "lesions_missed", "lesions_false"), "lesions"),
}


def metrics_of(protocol: Protocol, tolerances_mm: Sequence[float] = TOLERANCES_MM) -> dict[str, tuple[Metric, str]]:
    """The metrics that a protocol asks for, in its order, then those of installed packages, each with its unit.

    Args:
        protocol: Names them.
        tolerances_mm: Of the surface Dice, where the protocol asks for it: a metric each.
    """
    found: dict[str, tuple[Metric, str]] = {}
    for name in protocol.metrics:
        if name == SURFACE_DICE:
            for tolerance in tolerances_mm:
                found[surface_dice_name(tolerance)] = partial(surface_dice, tolerance_mm=tolerance), "1"
        else:
            found[name] = METRICS[name], UNITS.get(name, "1")
    return {**found, **_of_packages()}


@cache
def _of_packages() -> dict[str, tuple[Metric, str]]:
    every = with_plugins(METRICS, "metrics")
    return {name: (every[name], str(getattr(every[name], "unit", "1"))) for name in every if name not in METRICS}
