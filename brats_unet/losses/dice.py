"""Soft Dice plus cross-entropy, on regions and on labels: nnU-Net's losses."""

from brats_unet.errors import SettingsError
from brats_unet.losses.loss import Loss, Outputs
from brats_unet.losses.weighted_sum import refuse_below_0, weighted_sum
from brats_unet.parts import contract_options


def _dice(outputs: Outputs, dice: float, entropy: tuple[str, float], focus: float, **options: float) -> Loss:
    refuse_below_0(dice=dice)
    if not dice and not entropy[1]:
        raise SettingsError(f"loss.dice and loss.{entropy[0]} are both 0. Expected one of them above 0.")
    return weighted_sum(outputs, "tversky", dice, entropy, focus, **options)


@contract_options({}, {"batch_dice": True}, {"smooth": 0.0}, {"bce": 0.0}, {"focus": 2.0}, {"dice": 0.0, "focus": 0.5})
def region_dice_bce(
    *, dice: float = 1.0, bce: float = 1.0, focus: float = 0.0, smooth: float = 1e-5, batch_dice: bool = False
) -> Loss:
    """Soft Dice plus binary cross-entropy, each the mean over regions; nnU-Net's loss on regions.

    Args:
        dice: Weight of Dice; 0 leaves it out.
        bce: Weight of the cross-entropy; 0 leaves it out.
        focus: Exponent of focal loss in place of the cross-entropy, see `entropy`; 0 for none.
        smooth: See `overlap.tversky_loss`.
        batch_dice: See `overlap.tversky_loss`.
    """
    return _dice("regions", dice, ("bce", bce), focus, smooth=smooth, batch_dice=batch_dice)


@contract_options({}, {"batch_dice": True}, {"smooth": 0.0}, {"focus": 2.0}, {"ce": 0.0})
def label_dice_ce(
    *, dice: float = 1.0, ce: float = 1.0, focus: float = 0.0, smooth: float = 1e-5, batch_dice: bool = False
) -> Loss:
    """Soft Dice, the mean over the tissues, plus cross-entropy over all classes; nnU-Net's.

    Args:
        dice: Weight of Dice; 0 leaves it out.
        ce: Weight of the cross-entropy; 0 leaves it out.
        focus: Exponent of focal loss in place of the cross-entropy, see `entropy`; 0 for none.
        smooth: See `overlap.tversky_loss`.
        batch_dice: See `overlap.tversky_loss`.
    """
    return _dice("labels", dice, ("ce", ce), focus, smooth=smooth, batch_dice=batch_dice)
