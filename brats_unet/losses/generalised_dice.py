"""Generalised Dice, on regions and on labels."""

from brats_unet.losses.loss import Loss
from brats_unet.losses.weighted_sum import weighted_sum
from brats_unet.parts import contract_options


@contract_options({}, {"batch_dice": True}, {"smooth": 0.0}, {"bce": 1.0})
def region_generalised_dice(*, bce: float = 0.0, smooth: float = 1e-5, batch_dice: bool = False) -> Loss:
    """Generalised Dice over the regions, plus `bce` times the binary cross-entropy.

    Args: see `overlap.generalised_dice_loss`.
    """
    return weighted_sum("regions", "generalised_dice", 1.0, ("bce", bce), smooth=smooth, batch_dice=batch_dice)


@contract_options({}, {"batch_dice": True}, {"smooth": 0.0}, {"ce": 1.0})
def label_generalised_dice(*, ce: float = 0.0, smooth: float = 1e-5, batch_dice: bool = False) -> Loss:
    """Generalised Dice over the tissues, plus `ce` times the cross-entropy over all classes.

    Args: see `overlap.generalised_dice_loss`.
    """
    return weighted_sum("labels", "generalised_dice", 1.0, ("ce", ce), smooth=smooth, batch_dice=batch_dice)
