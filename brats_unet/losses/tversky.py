"""Tversky's loss, plain or focal, on regions and on labels."""

from brats_unet.errors import SettingsError
from brats_unet.losses.loss import Loss, Outputs
from brats_unet.losses.weighted_sum import refuse_below_0, weighted_sum
from brats_unet.parts import contract_options


def _tversky(
    outputs: Outputs,
    entropy: tuple[str, float],
    *,
    false_positives: float,
    false_negatives: float,
    power: float,
    smooth: float,
    batch_dice: bool,
) -> Loss:
    refuse_below_0(false_positives=false_positives, false_negatives=false_negatives, power=power)
    if not false_positives + false_negatives or not power:
        raise SettingsError(
            f"loss.false_positives is {false_positives}, loss.false_negatives {false_negatives}, loss.power {power}. "
            f"Expected one of the first two above 0, and the power too."
        )
    return weighted_sum(
        outputs,
        "tversky",
        1.0,
        entropy,
        false_positives=false_positives,
        false_negatives=false_negatives,
        power=power,
        smooth=smooth,
        batch_dice=batch_dice,
    )


@contract_options(
    {},
    {"batch_dice": True},
    {"smooth": 0.0},
    {"power": 0.75},
    {"power": 1.5, "bce": 0.5, "batch_dice": True, "smooth": 0.0},
)
def region_tversky(
    *,
    false_positives: float = 0.3,
    false_negatives: float = 0.7,
    power: float = 1.0,
    bce: float = 0.0,
    smooth: float = 1e-5,
    batch_dice: bool = False,
) -> Loss:
    """Tversky's loss, or the focal one, the mean over the regions, plus `bce` times the binary cross-entropy.

    Args: see `overlap.tversky_loss`; the defaults are those that its authors found best.
    """
    return _tversky(
        "regions",
        ("bce", bce),
        false_positives=false_positives,
        false_negatives=false_negatives,
        power=power,
        smooth=smooth,
        batch_dice=batch_dice,
    )


@contract_options({}, {"batch_dice": True}, {"smooth": 0.0}, {"power": 0.75, "ce": 1.0})
def label_tversky(
    *,
    false_positives: float = 0.3,
    false_negatives: float = 0.7,
    power: float = 1.0,
    ce: float = 0.0,
    smooth: float = 1e-5,
    batch_dice: bool = False,
) -> Loss:
    """Tversky's loss, or the focal one, the mean over the tissues, plus `ce` times the cross-entropy.

    Args: see `overlap.tversky_loss`; the defaults are those that its authors found best.
    """
    return _tversky(
        "labels",
        ("ce", ce),
        false_positives=false_positives,
        false_negatives=false_negatives,
        power=power,
        smooth=smooth,
        batch_dice=batch_dice,
    )
