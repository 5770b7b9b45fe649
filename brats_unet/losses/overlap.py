"""Overlap losses: how little a soft mask and a reference mask share."""

from typing import Any

from keras import ops

Tensor = Any  # of whatever backend Keras runs on


def dice_loss(probabilities: Tensor, masks: Tensor, *, smooth: float, batch_dice: bool) -> Tensor:
    """One minus soft Dice, per sample and mask; nnU-Net's, with `smooth` above and below the fraction bar.

    Args:
        probabilities: float32, 0 to 1, shape (B, X, Y, Z, K) or (B, X, Y, K).
        masks: Reference, 0 or 1, same shape.
        smooth: Voxels added to numerator and denominator. With it, two empty masks lose 0; a reference that is empty
            loses nearly 1 as soon as a few voxels' worth is predicted.
        batch_dice: Count voxels over the batch together, so that a sample without a region does not lose 1 by one false
            voxel; each sample is then given the batch's value. Under several replicas: over each replica's part.

    Returns:
        (B, K) float32, 0 to 1.

    Source:
        Milletari et al. 2016, doi:10.1109/3DV.2016.79, without squares; nnU-Net, `MemoryEfficientSoftDiceLoss`.
    """
    space = tuple(range(1, len(probabilities.shape) - 1))
    overlap = ops.sum(probabilities * masks, axis=space)
    sizes = ops.sum(probabilities, axis=space) + ops.sum(masks, axis=space)
    if batch_dice:
        ones = ops.ones_like(overlap)
        overlap = ops.sum(overlap, axis=0, keepdims=True) * ones
        sizes = ops.sum(sizes, axis=0, keepdims=True) * ones
    return 1.0 - (2.0 * overlap + smooth) / (sizes + smooth)
