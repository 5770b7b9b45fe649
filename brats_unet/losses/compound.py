"""What a network is trained on: labels as the masks that logits stand for, sums of losses, deep supervision."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from keras import ops

from brats_unet.anatomy import CLASSES, REGION_LABELS, Label, Region
from brats_unet.losses.entropy import binary_cross_entropy, cross_entropy
from brats_unet.losses.overlap import dice_loss

if TYPE_CHECKING:
    from brats_unet.losses import Loss

Tensor = Any  # of whatever backend Keras runs on


def _any_of(labels: Tensor, wanted: Sequence[Label]) -> Tensor:
    return ops.any(ops.stack([ops.equal(labels, int(label)) for label in wanted], axis=-1), axis=-1)


def region_masks(labels: Tensor) -> Tensor:
    """WT, TC and ET of `anatomy` as float32 (..., 3) from integer labels (...)."""
    return ops.cast(ops.stack([_any_of(labels, REGION_LABELS[region]) for region in Region], axis=-1), "float32")


def class_masks(labels: Tensor) -> Tensor:
    """One-hot of `anatomy.CLASSES`, float32 (..., 4), from integer labels (...); a label of no class is background."""
    tissues = [ops.equal(labels, int(label)) for label in CLASSES[1:]]
    background = ops.logical_not(_any_of(labels, CLASSES[1:]))
    return ops.cast(ops.stack([background, *tissues], axis=-1), "float32")


def region_dice_bce(logits: Tensor, labels: Tensor, *, smooth: float, batch_dice: bool) -> Tensor:
    """(B,) from logits (B, …, 3) and labels (B, …): see `losses.region_dice_bce`."""
    logits, masks = ops.cast(logits, "float32"), region_masks(labels)
    dice = dice_loss(ops.sigmoid(logits), masks, smooth=smooth, batch_dice=batch_dice)
    return ops.mean(dice, axis=-1) + binary_cross_entropy(logits, masks)


def label_dice_ce(logits: Tensor, labels: Tensor, *, smooth: float, batch_dice: bool) -> Tensor:
    """(B,) from logits (B, …, 4) and labels (B, …): see `losses.label_dice_ce`."""
    logits, masks = ops.cast(logits, "float32"), class_masks(labels)
    dice = dice_loss(ops.softmax(logits, axis=-1), masks, smooth=smooth, batch_dice=batch_dice)
    return ops.mean(dice[:, 1:], axis=-1) + cross_entropy(logits, masks)  # CLASSES opens with the background


def label_ce(logits: Tensor, labels: Tensor) -> Tensor:
    """(B,) from logits (B, …, 4) and labels (B, …): see `losses.label_ce`."""
    return cross_entropy(ops.cast(logits, "float32"), class_masks(labels))


def head_weights(heads: int) -> tuple[float, ...]:
    """Weights of deep supervision, the full resolution first: 1, 1/2, 1/4, …, the last 0 unless it is alone; sum 1."""
    raw = [0.5**level for level in range(heads)]
    if heads > 1:
        raw[-1] = 0.0
    return tuple(weight / sum(raw) for weight in raw)


def deep_supervision(loss: "Loss", logits: Sequence[Tensor] | Tensor, labels: Tensor) -> Tensor:
    """The loss of every head against the labels of its own grid, weighted by `head_weights`, one value per sample.

    Args:
        loss: Of one head.
        logits: The network's logits, full resolution first, shapes (B, X/s, Y/s, Z/s, K) or (B, X/s, Y/s, K); a single
            head may come bare, as Keras returns it.
        labels: Integers of `anatomy.Label`, shape (B, X, Y, Z) or (B, X, Y). A coarser grid takes the first voxel of
            every block of s, as a strided convolution places its result.

    Returns:
        (B,) float32. A head of weight 0 takes part, so that its weights have a gradient, of 0.

    Source:
        nnU-Net, `DeepSupervisionWrapper` and its weights.
    """
    heads = logits if isinstance(logits, list | tuple) else [logits]
    total = 0.0
    edges = ops.shape(labels)[1:]
    for weight, head in zip(head_weights(len(heads)), heads, strict=True):
        steps = (full // here for full, here in zip(edges, ops.shape(head)[1:-1], strict=True))
        total = total + weight * loss.per_sample(head, labels[(slice(None), *(slice(None, None, s) for s in steps))])
    return total
