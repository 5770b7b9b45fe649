"""Metrics by name: scores of one region of one case; each is a `metric.Metric` in a file of its idea.

METRICS are functions of two masks, CALIBRATION of a mask and probabilities; IN_PLANE are scored in addition where the
size of a voxel is unknown, and of METRICS then only those that do not need it. The tables of docs/METRICS.md and of a
run's page are made from these records. A metric that no protocol names is scored under all of them.

Another package adds a metric with an entry point of the group `brats_unet.metrics` that names a record. All installed
metrics are scored in every evaluation, so a broken one stops it with a sentence that names the package: a score that is
silently missing would make two evaluations differ without a reason that a reader can see.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint
from numbers import Real
from typing import Any

from brats_unet.metrics.boundary_distances import ASSD, HD95, NSD
from brats_unet.metrics.calibration import BRIER, ECE
from brats_unet.metrics.in_plane import HD95_SLICE_PX, VOXELS_PREDICTION, VOXELS_REFERENCE
from brats_unet.metrics.instance_metrics import (
    INSTANCE_DICE,
    INSTANCE_F1,
    INSTANCE_HD95,
    INSTANCE_NSD,
    INSTANCES_FALSE,
    INSTANCES_FOUND,
    INSTANCES_MISSED,
)
from brats_unet.metrics.lesion_metrics import (
    LESION_DICE,
    LESION_F1,
    LESION_HD95,
    LESIONS_FALSE,
    LESIONS_FOUND,
    LESIONS_MISSED,
)
from brats_unet.metrics.metric import Metric
from brats_unet.metrics.protocols import PROTOCOLS, TOLERANCES_MM, Protocol
from brats_unet.metrics.region_agreement import ACCURACY, DICE, IOU, PRECISION, SENSITIVITY, SPECIFICITY
from brats_unet.metrics.region_volumes import (
    VOLUME_DIFFERENCE,
    VOLUME_DIFFERENCE_RELATIVE,
    VOLUME_PREDICTION,
    VOLUME_REFERENCE,
)
from brats_unet.plugins import RAISED, loaded, offers, only_offer, package_of, shown, wrong

METRICS: dict[str, Metric] = {
    "dice": DICE,
    "iou": IOU,
    "hd95": HD95,
    "assd": ASSD,
    "nsd": NSD,
    "sensitivity": SENSITIVITY,
    "specificity": SPECIFICITY,
    "precision": PRECISION,
    "accuracy": ACCURACY,
    "volume_reference": VOLUME_REFERENCE,
    "volume_prediction": VOLUME_PREDICTION,
    "volume_difference": VOLUME_DIFFERENCE,
    "volume_difference_relative": VOLUME_DIFFERENCE_RELATIVE,
    "lesion_dice": LESION_DICE,
    "lesion_hd95": LESION_HD95,
    "lesion_f1": LESION_F1,
    "lesions_found": LESIONS_FOUND,
    "lesions_missed": LESIONS_MISSED,
    "lesions_false": LESIONS_FALSE,
    "instance_f1": INSTANCE_F1,
    "instance_dice": INSTANCE_DICE,
    "instance_nsd": INSTANCE_NSD,
    "instance_hd95": INSTANCE_HD95,
    "instances_found": INSTANCES_FOUND,
    "instances_missed": INSTANCES_MISSED,
    "instances_false": INSTANCES_FALSE,
}
CALIBRATION: dict[str, Metric] = {"ece": ECE, "brier": BRIER}
IN_PLANE: dict[str, Metric] = {
    "hd95_slice_px": HD95_SLICE_PX,
    "voxels_reference": VOXELS_REFERENCE,
    "voxels_prediction": VOXELS_PREDICTION,
}
PER_TOLERANCE = tuple(f"{name}_" for name, metric in METRICS.items() if metric.per_tolerance)  # before the tolerance
EXPECTED = "a brats_unet.metrics.metric.Metric whose function returns a float"


def metrics_of(
    protocol: Protocol, tolerances_mm: Sequence[float] = TOLERANCES_MM, *, spacing_known: bool = True
) -> dict[str, Metric]:
    """The metrics to score, by their names in scores.csv.

    Args:
        protocol: Names its metrics, which come first, in its order; then our metrics that no protocol names, then those
            of installed packages.
        tolerances_mm: Tolerances of the surface Dice, if the protocol has it: one metric each, also of instances.
        spacing_known: False leaves out the metrics that need the size of a voxel, and adds IN_PLANE.

    Raises:
        SettingsError: The metric of an installed package is wrong; the message names the package.
    """
    named = {name for each in PROTOCOLS.values() for name in each.metrics}
    wanted = [METRICS[name] for name in (*protocol.metrics, *(name for name in METRICS if name not in named))]
    wanted += of_packages().values()
    if not spacing_known:
        wanted = [metric for metric in wanted if not metric.needs_spacing] + list(IN_PLANE.values())
    return {one.name: one for metric in wanted for one in metric.at(tolerances_mm)}


@cache
def of_packages() -> dict[str, Metric]:
    """The metrics of installed packages, by name; their functions refuse to return anything but a number.

    Raises:
        SettingsError: A package cannot be imported, offers no `Metric`, or a name that is taken.
    """
    found = {}
    for name, entries in offers("metric").items():
        taken = name in {**METRICS, **CALIBRATION, **IN_PLANE} or name.startswith(PER_TOLERANCE)
        entry = only_offer("metric", name, entries, ours=taken)
        record = loaded("metric", entry, EXPECTED)
        if not isinstance(record, Metric):
            raise wrong("metric", entry, f"it is {shown(record)}", EXPECTED)
        found[name] = replace(record, name=name, function=_checked(entry, record.function))
    return found


def package_facts() -> dict[str, dict[str, Any]]:
    """What a reader must know of each metric of an installed package, in plain types: its package and its record."""
    packages = {name: package_of(entries[0]) for name, entries in offers("metric").items()}
    return {
        name: {
            "package": packages[name][0],
            "version": packages[name][1],
            **{key: getattr(one, key) for key in ("unit", "range", "better", "definition", "source", "when_empty")},
        }
        for name, one in of_packages().items()
    }


def _checked(entry: EntryPoint, function: Callable[..., float]) -> Callable[..., float]:
    def score(*masks: Any, **options: Any) -> float:
        try:
            value = function(*masks, **options)
        except RAISED as problem:
            raise wrong("metric", entry, f"it fails with {type(problem).__name__}: {problem}", EXPECTED) from problem
        if isinstance(value, bool) or not isinstance(value, Real):
            raise wrong("metric", entry, f"its function returns {shown(value)}", EXPECTED)
        return float(value)

    return score
