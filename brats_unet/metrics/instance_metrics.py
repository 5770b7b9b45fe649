"""Metrics by instance: a component of the reference is matched with at most one of the prediction; see `instances`."""

from brats_unet.metrics.metric import COUNT, POSITIVE, SHARE, Metric
from brats_unet.metrics.pair import MaskPair

_BRATS2026 = "BraTS-evaluation 0.0.10"
_NONE = "undefined if neither mask has an instance"


def instance_dice(pair: MaskPair) -> float:
    """See `instances.InstanceScores`."""
    return 0.0 if pair.fails else pair.instances.dice


def instance_f1(pair: MaskPair) -> float:
    """See `instances.InstanceScores`."""
    return 0.0 if pair.fails else pair.instances.f1


def instance_nsd(pair: MaskPair, *, tolerance_mm: float) -> float:
    """See `instances.InstanceScores`; the definition is the protocol's."""
    return 0.0 if pair.fails else pair.instances.surface_dice(tolerance_mm, pair.protocol.surface_dice_definition)


def instance_hd95(pair: MaskPair) -> float:
    """See `instances.InstanceScores`; the definition is the protocol's."""
    scores = pair.instances
    return scores.rules.penalty_mm if pair.fails else scores.hausdorff95_mm(pair.protocol.hd95_definition)


def instances_found(pair: MaskPair) -> float:
    """See `instances.InstanceScores`."""
    return pair.instances.found


def instances_missed(pair: MaskPair) -> float:
    """See `instances.InstanceScores`."""
    return pair.instances.missed


def instances_false(pair: MaskPair) -> float:
    """See `instances.InstanceScores`."""
    return pair.instances.false


INSTANCE_DICE = Metric(
    name="instance_dice",
    function=instance_dice,
    unit="1",
    range=SHARE,
    better="high",
    definition="Mean Dice of the matched pairs of instances; missed and false ones do not count. 0 without a pair.",
    source=f"{_BRATS2026}, lesionwise_dsc_mean",
    when_empty=_NONE,
)
INSTANCE_NSD = Metric(
    name="instance_nsd",
    function=instance_nsd,
    unit="1",
    range=SHARE,
    better="high",
    definition="Mean surface Dice, within that many millimetres, of the matched pairs of instances; missed and false "
    "ones do not count. 0 without a pair.",
    source=f"{_BRATS2026}, lesionwise_nsd_mean",
    when_empty=_NONE,
    per_tolerance=True,
    needs_mm=True,
)
INSTANCE_HD95 = Metric(
    name="instance_hd95",
    function=instance_hd95,
    unit="mm",
    range=POSITIVE,
    better="low",
    definition="Mean HD95 of the matched pairs of instances; missed and false ones do not count. 373 mm without one.",
    source=f"{_BRATS2026}, lesionwise_hd95_mean",
    when_empty=_NONE,
)
INSTANCE_F1 = Metric(
    name="instance_f1",
    function=instance_f1,
    unit="1",
    range=SHARE,
    better="high",
    definition="F1 score of the instances: 2 found / (2 found + missed + false).",
    source=f"{_BRATS2026}, all_instance_f1",
    when_empty=_NONE,
)
INSTANCES_FOUND = Metric(
    name="instances_found",
    function=instances_found,
    unit="instances",
    range=COUNT,
    better="high",
    definition="26-connected components of the reference that are matched with one of the prediction.",
    source=f"{_BRATS2026}, all_instance_tp",
    when_empty="no rule needed",
)
INSTANCES_MISSED = Metric(
    name="instances_missed",
    function=instances_missed,
    unit="instances",
    range=COUNT,
    better="low",
    definition="Components of the reference without a match.",
    source=f"{_BRATS2026}, all_instance_fn",
    when_empty="no rule needed",
)
INSTANCES_FALSE = Metric(
    name="instances_false",
    function=instances_false,
    unit="instances",
    range=COUNT,
    better="low",
    definition="Components of the prediction without a match.",
    source=f"{_BRATS2026}, all_instance_fp",
    when_empty="no rule needed",
)
