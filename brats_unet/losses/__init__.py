"""Losses by name. A loss compares logits with labels and gives one value per sample; the trainer averages.

Another package adds one without forking, by an entry point of the group `brats_unet.losses`: a function from options to
a `Loss`. Keras is imported on the first call only: a misspelt option is refused in milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from brats_unet.anatomy import CLASSES, Region
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


def region_dice_bce(*, smooth: float = 1e-5, batch_dice: bool = False) -> Loss:
    """Soft Dice plus binary cross-entropy, 1 : 1, each the mean over WT, TC and ET; nnU-Net's loss on regions.

    Args:
        smooth: See `overlap.dice_loss`.
        batch_dice: See `overlap.dice_loss`.
    """

    def per_sample(logits: Tensor, labels: Tensor) -> Tensor:
        from brats_unet.losses import compound

        return compound.region_dice_bce(logits, labels, smooth=smooth, batch_dice=batch_dice)

    return Loss("regions", per_sample)


def label_dice_ce(*, smooth: float = 1e-5, batch_dice: bool = False) -> Loss:
    """Soft Dice, the mean over the three tumour tissues, plus cross-entropy over all four classes, 1 : 1; nnU-Net's.

    Args:
        smooth: See `overlap.dice_loss`.
        batch_dice: See `overlap.dice_loss`.
    """

    def per_sample(logits: Tensor, labels: Tensor) -> Tensor:
        from brats_unet.losses import compound

        return compound.label_dice_ce(logits, labels, smooth=smooth, batch_dice=batch_dice)

    return Loss("labels", per_sample)


def label_ce() -> Loss:
    """Cross-entropy over the four classes alone, the seed notebook's."""

    def per_sample(logits: Tensor, labels: Tensor) -> Tensor:
        from brats_unet.losses import compound

        return compound.label_ce(logits, labels)

    return Loss("labels", per_sample)


LOSSES: dict[str, Callable[..., Loss]] = {
    "region_dice_bce": region_dice_bce,
    "label_dice_ce": label_dice_ce,
    "label_ce": label_ce,
}


def known() -> dict[str, Callable[..., Loss]]:
    """Our losses and those of installed packages."""
    return with_plugins(LOSSES, "losses")
