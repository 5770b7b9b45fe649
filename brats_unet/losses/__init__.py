"""Losses by name. A loss compares logits with labels and gives one value per sample; the trainer averages.

Another package adds one without forking, by an entry point of the group `brats_unet.losses`: a function from options to
a `Loss`. Keras is imported on the first call only: a misspelt option is refused in milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from brats_unet.anatomy import CLASSES, Region
from brats_unet.errors import SettingsError
from brats_unet.parts import with_plugins

Tensor = Any  # of whatever backend Keras runs on


@dataclass(frozen=True)
class Loss:
    """What a network is trained on.

    Attributes:
        outputs: What its logits stand for: "regions" (WT, TC, ET, each a sigmoid) or "labels" (`anatomy.CLASSES`, a
            softmax). Inference turns both into region probabilities.
        per_sample: From logits of any float type, shape (B, X, Y, Z, K) or (B, X, Y, K), and integer labels of
            `anatomy.Label`, the same shape without K, to (B,) float32; lower is better.
    """

    outputs: Literal["regions", "labels"]
    per_sample: Callable[[Tensor, Tensor], Tensor]

    @property
    def logits(self) -> int:
        """How many logits a voxel needs: K above."""
        return {"regions": len(Region), "labels": len(CLASSES)}[self.outputs]


def _refuse(**least: tuple[float, float]) -> None:
    """Refuse an option below its least value; each is given as (value, least)."""
    for option, (value, at_least) in least.items():
        if not (isinstance(value, int | float) and at_least <= value < float("inf")):
            raise SettingsError(f"loss.{option} is {value}. Expected a number, {at_least:g} or above.")


def _sum(
    outputs: Literal["regions", "labels"],
    overlap: str,
    weight: float,
    entropy: tuple[str, float],
    focus: float,
    **how: Any,
) -> Loss:
    """`weight` times a function of `overlap`, called with `how`, plus `entropy`, the option's name and its value."""
    _refuse(focus=(focus, 0), smooth=(how.get("smooth", 0), 0), **{entropy[0]: (entropy[1], 0)})

    def per_sample(logits: Tensor, labels: Tensor) -> Tensor:
        from brats_unet.losses import compound
        from brats_unet.losses import overlap as overlaps

        return compound.overlap_and_entropy(
            logits,
            labels,
            outputs=outputs,
            overlap=partial(getattr(overlaps, overlap), **how),
            overlap_weight=weight,
            entropy_weight=entropy[1],
            focus=focus,
        )

    return Loss(outputs, per_sample)


def _dice(
    outputs: Literal["regions", "labels"], dice: float, entropy: tuple[str, float], focus: float, **how: Any
) -> Loss:
    _refuse(dice=(dice, 0))
    if not dice and not entropy[1]:
        raise SettingsError(f"loss.dice and loss.{entropy[0]} are both 0. Expected one of them above 0.")
    return _sum(outputs, "tversky_loss", dice, entropy, focus, **how)


def _tversky(outputs: Literal["regions", "labels"], entropy: tuple[str, float], **how: Any) -> Loss:
    negatives, positives = how["false_negatives"], how["false_positives"]
    _refuse(false_positives=(positives, 0), false_negatives=(negatives, 0), power=(how["power"], 0))
    if not positives + negatives or not how["power"]:
        raise SettingsError(
            f"loss.false_positives is {positives}, loss.false_negatives {negatives}, loss.power {how['power']}. "
            f"Expected one of the first two above 0, and the power too."
        )
    return _sum(outputs, "tversky_loss", 1.0, entropy, 0.0, **how)


def region_dice_bce(
    *, dice: float = 1.0, bce: float = 1.0, focus: float = 0.0, smooth: float = 1e-5, batch_dice: bool = False
) -> Loss:
    """Soft Dice plus binary cross-entropy, each the mean over WT, TC and ET; nnU-Net's loss on regions.

    Args:
        dice: Weight of Dice; 0 leaves it out.
        bce: Weight of the cross-entropy; 0 leaves it out.
        focus: Exponent of focal loss in place of the cross-entropy, see `entropy`; 0 for none.
        smooth: See `overlap.tversky_loss`.
        batch_dice: See `overlap.tversky_loss`.
    """
    return _dice("regions", dice, ("bce", bce), focus, smooth=smooth, batch_dice=batch_dice)


def region_tversky(
    *,
    false_positives: float = 0.3,
    false_negatives: float = 0.7,
    power: float = 1.0,
    bce: float = 0.0,
    smooth: float = 1e-5,
    batch_dice: bool = False,
) -> Loss:
    """Tversky's loss, or the focal one, the mean over WT, TC and ET, plus `bce` times the binary cross-entropy.

    Args: see `overlap.tversky_loss`; the defaults are those that its authors found best.
    """
    how = {"false_positives": false_positives, "false_negatives": false_negatives, "power": power}
    return _tversky("regions", ("bce", bce), smooth=smooth, batch_dice=batch_dice, **how)


def region_generalised_dice(*, bce: float = 0.0, smooth: float = 1e-5, batch_dice: bool = False) -> Loss:
    """Generalised Dice over WT, TC and ET, plus `bce` times the binary cross-entropy.

    Args: see `overlap.generalised_dice_loss`.
    """
    how = {"smooth": smooth, "batch_dice": batch_dice}
    return _sum("regions", "generalised_dice_loss", 1.0, ("bce", bce), 0.0, **how)


def label_dice_ce(
    *, dice: float = 1.0, ce: float = 1.0, focus: float = 0.0, smooth: float = 1e-5, batch_dice: bool = False
) -> Loss:
    """Soft Dice, the mean over the three tumour tissues, plus cross-entropy over all four classes; nnU-Net's.

    Args: as of `region_dice_bce`.
    """
    return _dice("labels", dice, ("ce", ce), focus, smooth=smooth, batch_dice=batch_dice)


def label_tversky(
    *,
    false_positives: float = 0.3,
    false_negatives: float = 0.7,
    power: float = 1.0,
    ce: float = 0.0,
    smooth: float = 1e-5,
    batch_dice: bool = False,
) -> Loss:
    """Tversky's loss, or the focal one, the mean over the three tumour tissues, plus `ce` times the cross-entropy.

    Args: as of `region_tversky`.
    """
    how = {"false_positives": false_positives, "false_negatives": false_negatives, "power": power}
    return _tversky("labels", ("ce", ce), smooth=smooth, batch_dice=batch_dice, **how)


def label_generalised_dice(*, ce: float = 0.0, smooth: float = 1e-5, batch_dice: bool = False) -> Loss:
    """Generalised Dice over the three tumour tissues, plus `ce` times the cross-entropy over all four classes.

    Args: see `overlap.generalised_dice_loss`.
    """
    return _sum("labels", "generalised_dice_loss", 1.0, ("ce", ce), 0.0, smooth=smooth, batch_dice=batch_dice)


def label_ce(*, focus: float = 0.0) -> Loss:
    """Cross-entropy over the four classes alone, the seed notebook's; focal if `focus` is above 0."""
    return _sum("labels", "tversky_loss", 0.0, ("ce", 1.0), focus)


LOSSES: dict[str, Callable[..., Loss]] = {
    "region_dice_bce": region_dice_bce,
    "region_tversky": region_tversky,
    "region_generalised_dice": region_generalised_dice,
    "label_dice_ce": label_dice_ce,
    "label_tversky": label_tversky,
    "label_generalised_dice": label_generalised_dice,
    "label_ce": label_ce,
}


def known() -> dict[str, Callable[..., Loss]]:
    """Our losses and those of installed packages."""
    return with_plugins(LOSSES, "losses")
