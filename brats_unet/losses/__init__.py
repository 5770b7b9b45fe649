"""Losses by name. A loss compares logits with label maps and gives one value per sample; the trainer averages.

A builder takes options and returns a `loss.Loss`. Another package adds one with an entry point of the group
`brats_unet.losses`. Keras is imported on a loss's first call only: a misspelt option is refused in milliseconds.
"""

from collections.abc import Callable, Mapping

from brats_unet.losses.cross_entropy import label_ce
from brats_unet.losses.dice import label_dice_ce, region_dice_bce
from brats_unet.losses.generalised_dice import label_generalised_dice, region_generalised_dice
from brats_unet.losses.loss import Loss
from brats_unet.losses.tversky import label_tversky, region_tversky
from brats_unet.plugins import Builders

LOSSES: dict[str, Callable[..., Loss]] = {
    "region_dice_bce": region_dice_bce,
    "region_tversky": region_tversky,
    "region_generalised_dice": region_generalised_dice,
    "label_dice_ce": label_dice_ce,
    "label_tversky": label_tversky,
    "label_generalised_dice": label_generalised_dice,
    "label_ce": label_ce,
}


def known() -> Mapping[str, Callable[..., Loss]]:
    """Our losses and those of installed packages."""
    return Builders(LOSSES, "loss", "brats_unet.losses.loss.Loss", lambda made: isinstance(made, Loss))
