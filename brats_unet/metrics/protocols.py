"""How challenges score: which metrics, by which definitions, with which values if a mask is empty; one table."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from brats_unet.errors import SettingsError
from brats_unet.metrics.empty import UNDEFINED, WhenEmpty
from brats_unet.schemes.scheme import PROTOCOL_NAMES, Scheme
from brats_unet.spelling import suggestion

AUTO = "auto"  # setting that takes the protocol of the scheme
FIRST = PROTOCOL_NAMES[0]  # of schemes that name none, and of evaluations from before there were others
SEED = "seed"  # the only protocol that always has the scores of the seed
SURFACE_DICE = "nsd"  # in a protocol's metrics; it becomes one metric for each tolerance, see `surface_dice_name`
TOLERANCES_MM = (1.0, 2.0)


@dataclass(frozen=True)
class LesionRules:
    """How lesions are separated and matched; see `lesions.lesion_scores`.

    Attributes:
        dilations: Number of dilations of the reference, by the 18-neighbour element, before its lesions are separated.
        ignored_mm3: Lesions of the reference up to this volume are left out.
        penalty_mm: Distance scored for a lesion that is missed or false.
    """

    dilations: int
    ignored_mm3: float
    penalty_mm: float


@dataclass(frozen=True)
class InstanceRules:
    """How instances are matched; see `instances.instance_scores`.

    Attributes:
        least_dice: Two instances can be matched if their Dice is above it.
        penalty_mm: Distance scored if there are instances but none is matched.
    """

    least_dice: float
    penalty_mm: float


@dataclass(frozen=True)
class Protocol:
    """How a challenge scores.

    Attributes:
        name: Name in the setting `protocol`.
        source: Where the rules come from.
        metrics: Names from `metrics.METRICS`, in the order of the rows; surface Dice is scored at each tolerance.
        hd95_definition: See `surface.hausdorff95_mm`.
        dice: Rule for empty masks; `iou` to `precision` are rules too.
        lesions: Rules for lesions; None if they are not scored.
        seed_scores: Whether it includes the seed's own formulas (`metrics.seed`).
        surface_dice_definition: See `surface.Surfaces.dice`.
        instances: Rules for instances; None if they are not scored.
        missing_fails: Whether a missing prediction counts as one that misses everything even in a region that the
            reference lacks; else it is an empty mask.
        apart_fails: Whether masks without a common voxel get the distances and the surface Dice of an empty prediction.
        failing_left_out: Whether a case that cannot be scored is left out and named; else it stops the evaluation.
        default_tolerances_mm: Tolerances of the surface Dice unless others are given.
        absent_ranks_first: Whether an undefined score of two empty masks ranks first, not last; `evaluation.ranking`.
    """

    name: str
    source: str
    metrics: tuple[str, ...]
    hd95_definition: str
    dice: WhenEmpty
    iou: WhenEmpty
    hd95_mm: WhenEmpty
    assd_mm: WhenEmpty
    surface_dice: WhenEmpty
    sensitivity: WhenEmpty
    precision: WhenEmpty
    lesions: LesionRules | None = None
    seed_scores: bool = False
    surface_dice_definition: str = "area_weighted"
    instances: InstanceRules | None = None
    missing_fails: bool = False
    apart_fails: bool = False
    failing_left_out: bool = False
    absent_ranks_first: bool = False
    default_tolerances_mm: tuple[float, ...] = TOLERANCES_MM


# √(240² + 240² + 155²) mm, the diagonal of the BraTS grid, with the digits of the organisers' tables; 2023 rounds up.
BRATS_DIAGONAL_MM = 373.12866
BRATS2023_DIAGONAL_MM = 374.0
BRATS2026_DIAGONAL_MM = 373.0

_VOXELS = ("sensitivity", "specificity", "precision", "accuracy", "iou")
_VOLUMES = ("volume_reference", "volume_prediction", "volume_difference", "volume_difference_relative")
_INSTANCES = (
    *("instance_f1", "instance_dice", "instance_nsd", "instance_hd95"),
    *("instances_found", "instances_missed", "instances_false"),
)
_LESIONS = ("lesion_dice", "lesion_hd95", "lesion_f1", "lesions_found", "lesions_missed", "lesions_false")

_ALL_OR_NOTHING = WhenEmpty(both=1.0, reference=0.0, prediction=0.0)
_NOTHING = WhenEmpty(both=0.0, reference=0.0, prediction=0.0)
_UNDEFINED = WhenEmpty(both=UNDEFINED, reference=UNDEFINED, prediction=UNDEFINED)
_FAR = WhenEmpty(both=0.0, reference=BRATS_DIAGONAL_MM, prediction=BRATS_DIAGONAL_MM)
_FAR_2023 = WhenEmpty(both=0.0, reference=BRATS2023_DIAGONAL_MM, prediction=BRATS2023_DIAGONAL_MM)
_FAR_2026 = WhenEmpty(both=UNDEFINED, reference=BRATS2026_DIAGONAL_MM, prediction=BRATS2026_DIAGONAL_MM)
_UNDEFINED_BOTH = WhenEmpty(both=UNDEFINED, reference=0.0, prediction=0.0)

PROTOCOLS: dict[str, Protocol] = {
    # Rules that nobody published (precision, IoU, average distance, surface Dice) follow the score closest to them.
    "brats2020": Protocol(
        name="brats2020",
        source="BraTS 2020 leaderboard; CBICA/CaPTk cbicaITKUtilities.h, GetBraTSLabelStatistics",
        metrics=("dice", "hd95", *_VOXELS, "assd", SURFACE_DICE, *_VOLUMES),
        hd95_definition="per_direction_max",
        dice=_ALL_OR_NOTHING,
        iou=_ALL_OR_NOTHING,
        hd95_mm=_FAR,
        assd_mm=_FAR,
        surface_dice=_ALL_OR_NOTHING,
        sensitivity=_ALL_OR_NOTHING,
        precision=_ALL_OR_NOTHING,  # as sensitivity, with the masks exchanged
    ),
    "brats2023": Protocol(
        name="brats2023",
        source="BraTS 2023 (glioma); rachitsaluja/BraTS-2023-Metrics",
        metrics=("dice", "hd95", *_LESIONS, *_VOXELS, "assd", SURFACE_DICE, *_VOLUMES),
        hd95_definition="area_weighted",
        dice=_ALL_OR_NOTHING,
        iou=_ALL_OR_NOTHING,
        hd95_mm=_FAR_2023,
        assd_mm=_FAR_2023,
        surface_dice=_ALL_OR_NOTHING,
        sensitivity=_ALL_OR_NOTHING,
        precision=_ALL_OR_NOTHING,
        lesions=LesionRules(dilations=3, ignored_mm3=50.0, penalty_mm=BRATS2023_DIAGONAL_MM),
    ),
    "brats2026": Protocol(
        name="brats2026",
        source="BraTS 2026; BraTS-evaluation 0.0.10, which calls panoptica 2.1",
        metrics=("dice", SURFACE_DICE, "hd95", *_INSTANCES, *_VOXELS, "assd", *_VOLUMES),
        hd95_definition="pooled",
        dice=_UNDEFINED_BOTH,
        iou=_UNDEFINED_BOTH,
        hd95_mm=_FAR_2026,
        assd_mm=_FAR_2026,
        surface_dice=_UNDEFINED_BOTH,
        sensitivity=WhenEmpty(both=UNDEFINED, reference=UNDEFINED, prediction=0.0),
        precision=WhenEmpty(both=UNDEFINED, reference=0.0, prediction=UNDEFINED),
        surface_dice_definition="mean_of_directions",
        instances=InstanceRules(least_dice=1e-6, penalty_mm=BRATS2026_DIAGONAL_MM),
        missing_fails=True,
        apart_fails=True,
        failing_left_out=True,
        default_tolerances_mm=(1.0,),
        absent_ranks_first=True,
    ),
    "nnunet": Protocol(
        name="nnunet",
        source="nnU-Net v2 evaluate_predictions.py (Dice, IoU); distances as nnU-Net v1, which calls medpy",
        metrics=("dice", "hd95", *_VOXELS, "assd", SURFACE_DICE, *_VOLUMES),
        hd95_definition="pooled",
        dice=_UNDEFINED_BOTH,
        iou=_UNDEFINED_BOTH,
        hd95_mm=_UNDEFINED,
        assd_mm=_UNDEFINED,
        surface_dice=_UNDEFINED_BOTH,
        sensitivity=WhenEmpty(both=UNDEFINED, reference=UNDEFINED, prediction=0.0),
        precision=WhenEmpty(both=UNDEFINED, reference=0.0, prediction=UNDEFINED),
    ),
    # Its formulas add a small number to the denominator: a class that is absent from both masks scores 0, not 1.
    "seed": Protocol(
        name="seed",
        source="Kaggle notebook 3d-mri-brain-tumor-segmentation-u-net; it has no distance: HD95 is that of brats2020",
        metrics=("dice", "hd95", *_VOXELS, *_VOLUMES),
        hd95_definition="per_direction_max",
        dice=_NOTHING,
        iou=_NOTHING,
        hd95_mm=_FAR,
        assd_mm=_FAR,
        surface_dice=_NOTHING,
        sensitivity=_NOTHING,
        precision=_NOTHING,
        seed_scores=True,
    ),
}


def protocol_for(setting: str, scheme: Scheme) -> tuple[str, str]:
    """The name of the protocol for masks of a scheme, and why.

    Args:
        setting: Name of a protocol, or "auto" for that of the scheme.
        scheme: What the masks show.
    """
    return (setting, "set by protocol") if setting != AUTO else (scheme.protocol, f"scheme {scheme.name}")


def protocol_named(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        SettingsError: There is no such protocol.
    """
    if name not in PROTOCOLS:
        raise SettingsError(f"There is no protocol named {name}. {suggestion(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def tolerances_of(given: Any, protocol: str = FIRST) -> list[float]:
    """The setting `tolerances_mm`, one number or several, as a list; if it is None, those of the protocol.

    Raises:
        SettingsError: It holds something other than lengths of 0 mm or more, or names one twice.
    """
    if given is None:
        return list(protocol_named(protocol).default_tolerances_mm)
    tolerances = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in tolerances):
        raise SettingsError(f"tolerances_mm={given} is not a list of numbers. Give millimetres: tolerances_mm=[1,2].")
    require_tolerances(tolerances)
    return [float(value) for value in tolerances]


def surface_dice_name(tolerance_mm: float) -> str:
    """Name of the surface Dice at a tolerance, such as "nsd_1mm" or "nsd_0.5mm"."""
    return f"{SURFACE_DICE}_{tolerance_mm:g}mm"


def require_tolerances(tolerances_mm: Sequence[float]) -> None:
    """Raise SettingsError unless every tolerance is a length of 0 mm or more, and none is given twice."""
    wrong = [value for value in tolerances_mm if not (math.isfinite(value) and value >= 0)]
    if wrong:
        raise SettingsError(f"tolerances_mm holds {wrong[0]:g}. Expected lengths in millimetres, 0 or more.")
    names = [surface_dice_name(value) for value in tolerances_mm]
    if len(set(names)) < len(names):
        raise SettingsError(f"tolerances_mm={list(tolerances_mm)} names one tolerance twice. Give each once.")
