"""A loss that is a weighted sum of an overlap loss and a cross-entropy; Keras is imported on its first call."""

from functools import partial
from typing import Any

from brats_unet.errors import SettingsError
from brats_unet.losses.loss import Loss, Outputs, Tensor


def refuse_below_0(**options: float) -> None:
    """Raise SettingsError unless every option is a finite number, 0 or above."""
    for option, value in options.items():
        if not (isinstance(value, int | float) and 0 <= value < float("inf")):
            raise SettingsError(f"loss.{option} is {value}. Expected a number, 0 or above.")


def weighted_sum(
    outputs: Outputs, overlap: str, weight: float, entropy: tuple[str, float], focus: float = 0.0, **options: Any
) -> Loss:
    """The loss `weight` × overlap + entropy weight × cross-entropy; see `compound.overlap_and_entropy`.

    Args:
        outputs: What the logits stand for; see `Loss`.
        overlap: "tversky" or "generalised_dice": the function in `losses.overlap`, which needs Keras.
        weight: Weight of the overlap loss; 0 leaves it out.
        entropy: Name of the option that weighs the cross-entropy, for messages, and its value; 0 leaves it out.
        focus: Exponent of focal loss in place of the cross-entropy, see `entropy`; 0 for none.
        options: Keyword arguments of the overlap function.

    Raises:
        SettingsError: `focus`, `smooth` or the cross-entropy's weight is negative or not a number.
    """
    refuse_below_0(focus=focus, smooth=options.get("smooth", 0), **{entropy[0]: entropy[1]})

    def per_sample(logits: Tensor, masks: Tensor) -> Tensor:
        from brats_unet.losses.compound import overlap_and_entropy
        from brats_unet.losses.overlap import generalised_dice_loss, tversky_loss

        functions = {"tversky": tversky_loss, "generalised_dice": generalised_dice_loss}
        return overlap_and_entropy(
            logits,
            masks,
            outputs=outputs,
            overlap=partial(functions[overlap], **options),
            overlap_weight=weight,
            entropy_weight=entropy[1],
            focus=focus,
        )

    return Loss(outputs, per_sample)
