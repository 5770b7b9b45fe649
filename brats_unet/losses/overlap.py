"""Overlap losses between soft masks and reference masks: Tversky, with Dice as a special case, and generalised Dice."""

from keras import ops

from brats_unet.losses.loss import Tensor


def _shared_and_sizes(probabilities: Tensor, masks: Tensor, batch_dice: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Voxels of both masks, the prediction and the reference, (B, K) each; over the batch if `batch_dice`."""
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
        smooth: Number of voxels added to numerator and denominator of 2 · overlap / (sum of the sizes), as nnU-Net
            does. Above 0, the loss of two empty masks is 0, and that of an empty reference is nearly 1 as soon as a few
            voxels are predicted. With 0, the loss of an empty reference is 1 whatever is predicted: no gradient.
        batch_dice: Count voxels over the whole batch, so that one false voxel in a sample without the region does not
            cost 1; every sample then has the batch's value. The batch is what one device computes at once: with
            several replicas each counts its own part (nnU-Net gathers the counts of all its devices).
        false_positives: Cost of a voxel that is predicted but not in the reference; a voxel of the overlap counts 1.
        false_negatives: Cost of a missed voxel; if above `false_positives`, the network predicts larger masks.
        power: Exponent of the loss; below 1 masks that are nearly right weigh more ("focal" Tversky, published with
            3/4).

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
    # The gradient of a root is not bounded at 0.
    return loss if power == 1.0 else ops.maximum(loss, 1e-9) ** power


def generalised_dice_loss(probabilities: Tensor, masks: Tensor, *, smooth: float, batch_dice: bool) -> Tensor:
    """One minus soft Dice of all masks pooled, with each voxel weighed by one over the square of its mask's volume.

    Small regions count as much as large ones. An empty mask takes the weight of the smallest mask that is not empty; if
    all are empty, all weigh the same. With equal volumes it is the Dice of the pooled voxels.

    Args:
        probabilities: float32, 0 to 1, shape (B, X, Y, Z, K) or (B, X, Y, K).
        masks: Reference, 0 or 1, same shape.
        smooth: See `tversky_loss`; in voxels of the smallest mask.
        batch_dice: See `tversky_loss`; weights and volumes are then those of the batch.

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
