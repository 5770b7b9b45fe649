"""Metrics by lesion: every tumour of a case counts the same, and so does every false one; see `lesions`."""

from brats_unet.metrics.metric import COUNT, POSITIVE, SHARE, Metric
from brats_unet.metrics.pair import MaskPair

_BRATS2023 = "rachitsaluja/BraTS-2023-Metrics"
_NO_LESION = "{} if no lesion counts and none is predicted"


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


LESION_DICE = Metric(
    name="lesion_dice",
    function=lesion_dice,
    unit="1",
    range=SHARE,
    better="high",
    definition="Mean Dice over the lesions of a case; a missed or false lesion counts 0.",
    source=_BRATS2023,
    when_empty=_NO_LESION.format(1),
    needs_mm=True,
)
LESION_HD95 = Metric(
    name="lesion_hd95",
    function=lesion_hd95,
    unit="mm",
    range=POSITIVE,
    better="low",
    definition="Mean HD95, area-weighted, over the lesions of a case; a missed or false lesion counts 374 mm.",
    source=_BRATS2023,
    when_empty=_NO_LESION.format(0),
)
LESION_F1 = Metric(
    name="lesion_f1",
    function=lesion_f1,
    unit="1",
    range=SHARE,
    better="high",
    definition="F1 score of the lesions: 2 found / (2 found + missed + false).",
    source=f"the counts of {_BRATS2023}, which does not print it",
    when_empty=_NO_LESION.format(1),
    needs_mm=True,
)
LESIONS_FOUND = Metric(
    name="lesions_found",
    function=lesions_found,
    unit="lesions",
    range=COUNT,
    better="high",
    definition="Lesions of the reference above 50 mm³ that a predicted lesion touches.",
    source=f"{_BRATS2023}, Num_TP",
    when_empty="no rule needed",
    needs_mm=True,
)
LESIONS_MISSED = Metric(
    name="lesions_missed",
    function=lesions_missed,
    unit="lesions",
    range=COUNT,
    better="low",
    definition="Lesions of the reference above 50 mm³ that no predicted lesion touches.",
    source=f"{_BRATS2023}, Num_FN",
    when_empty="no rule needed",
    needs_mm=True,
)
LESIONS_FALSE = Metric(
    name="lesions_false",
    function=lesions_false,
    unit="lesions",
    range=COUNT,
    better="low",
    definition="Predicted lesions of any size that touch no lesion of the reference.",
    source=f"{_BRATS2023}, Num_FP",
    when_empty="no rule needed",
)
