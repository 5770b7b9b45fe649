"""Overlap losses: how little a soft mask and a reference mask share."""

from typing import Any

from keras import ops

Tensor = Any  # of whatever backend Keras runs on


def _shared_and_sizes(probabilities: Tensor, masks: Tensor, batch_dice: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Voxels in both, predicted, and in the reference, each (B, K); over the batch together if `batch_dice`."""
    space = tuple(range(1, len(probabilities.shape) - 1))
    counts = [ops.sum(voxels, axis=space) for voxels in (probabilities * masks, probabilities, masks)]
    if batch_dice:
        counts = [ops.sum(count, axis=0, keepdims=True) * ops.ones_like(count) for count in counts]
    return counts[0], counts[1], counts[2]


def tversky_loss(
    probabilities: Tensor,
    masks: Tensor,
    *,
    smooth: float,
    batch_dice: bool,
    false_positives: float = 0.5,
    false_negatives: float = 0.5,
    power: float = 1.0,
) -> Tensor:
    """One minus the Tversky index, per sample and mask; at one half and one half it is one minus soft Dice.

    Args:
        probabilities: float32, 0 to 1, shape (B, X, Y, Z, K) or (B, X, Y, K).
        masks: Reference, 0 or 1, same shape.
        smooth: Voxels added to both sides of 2 · overlap / (sum of the sizes), Dice's fraction, as nnU-Net does. With
            it, two empty masks lose 0, and an empty reference loses nearly 1 as soon as a few voxels' worth is
            predicted. With 0, an empty reference loses 1 whatever is predicted, and so teaches nothing.
        batch_dice: Count voxels over the batch together, so that a sample without a region does not lose 1 by one false
            voxel; each sample is then given the batch's value. The batch is what one device computes at once: under
            several replicas each counts its own part (nnU-Net gathers the counts of all its devices).
        false_positives: What a voxel too many costs; a voxel of the overlap counts 1.
        false_negatives: What a missed voxel costs; more than `false_positives` makes the network bolder.
        power: Of the loss; below 1 the nearly right masks weigh more ("focal" Tversky, published with 3/4).

    Returns:
        (B, K) float32, 0 to 1.

    Source:
        Salehi et al. 2017, arXiv:1706.05721; Abraham and Khan 2018, arXiv:1810.07842. Dice: Milletari et al. 2016,
        doi:10.1109/3DV.2016.79, without squares; nnU-Net, `MemoryEfficientSoftDiceLoss`.
    """
    shared, predicted, expected = _shared_and_sizes(probabilities, masks, batch_dice)
    weighed = 2.0 * (
        (1.0 - false_positives - false_negatives) * shared + false_positives * predicted + false_negatives * expected
    )
    loss = 1.0 - (2.0 * shared + smooth) / ops.maximum(weighed + smooth, 1e-8)
    # The slope of a root has no bound at 0.
    return loss if power == 1.0 else ops.maximum(loss, 1e-9) ** power


def generalised_dice_loss(probabilities: Tensor, masks: Tensor, *, smooth: float, batch_dice: bool) -> Tensor:
    """One minus soft Dice of all masks pooled, each voxel weighed by one over the square of its mask's volume.

    Small regions count as much as large ones. A mask of no voxel takes the weight of the smallest that has some; where
    none has, all weigh alike. Equal volumes make it the Dice of the pooled voxels.

    Args:
        probabilities: float32, 0 to 1, shape (B, X, Y, Z, K) or (B, X, Y, K).
        masks: Reference, 0 or 1, same shape.
        smooth: As of `tversky_loss`, in voxels of the smallest mask.
        batch_dice: As of `tversky_loss`; weights and volumes are then the batch's.

    Returns:
        (B, 1) float32, 0 to 1: one value for all masks.

    Source:
        Sudre et al. 2017, doi:10.1007/978-3-319-67558-9_28; absent masks as in MONAI's `GeneralizedDiceLoss`.
    """
    shared, predicted, expected = _shared_and_sizes(probabilities, masks, batch_dice)
    smallest = ops.min(ops.where(expected > 0, expected, 1e30), axis=-1, keepdims=True)
    weights = ops.where(expected > 0, (smallest / ops.maximum(expected, 1.0)) ** 2, 1.0)
    above = 2.0 * ops.sum(weights * shared, axis=-1, keepdims=True) + smooth
    below = ops.sum(weights * (predicted + expected), axis=-1, keepdims=True) + smooth
    return 1.0 - above / ops.maximum(below, 1e-8)
