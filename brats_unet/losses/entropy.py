"""Cross-entropies from logits, plain and focal; value and gradient are finite for any finite logit.

Focal loss multiplies the cross-entropy of a voxel by (1 - p) ** focus, where p is the probability of the true class, so
voxels that are already right count less (Lin et al. 2017, arXiv:1708.02002, without the class weight alpha: the Dice
term balances the classes). A focus of 0 is cross-entropy.
"""

from keras import ops

from brats_unet.losses.loss import Tensor


def _nats(against: Tensor, focus: float) -> Tensor:
    """Cross-entropy in nats from the logit against the truth.

    -log p = softplus(against), and log(1 - p) = -softplus(-against).
    """
    nats = ops.softplus(against)
    return nats * ops.exp(-focus * ops.softplus(-against)) if focus else nats


def binary_cross_entropy(logits: Tensor, masks: Tensor, focus: float = 0.0) -> Tensor:
    """Binary cross-entropy of independent masks, each a sigmoid: nats per sample, the mean over voxels and masks.

    Args:
        logits: float32, shape (B, X, Y, Z, K) or (B, X, Y, K).
        masks: Reference, exactly 0 or 1, same shape.
        focus: Exponent of focal loss, 0 or above.

    Returns:
        (B,) float32, 0 or above; ln 2 / 2 ** focus for logits of 0.
    """
    return ops.mean(_nats((1.0 - 2.0 * masks) * logits, focus), axis=tuple(range(1, len(logits.shape))))


def cross_entropy(logits: Tensor, one_hot: Tensor, focus: float = 0.0) -> Tensor:
    """Cross-entropy of exclusive classes, a softmax: nats per sample, the mean over voxels.

    Args:
        logits: float32, shape (B, X, Y, Z, K) or (B, X, Y, K).
        one_hot: Reference, exactly 0 or 1, a single 1 per voxel, same shape.
        focus: Exponent of focal loss, 0 or above.

    Returns:
        (B,) float32, 0 or above; ln K · (1 - 1/K) ** focus for equal logits.
    """
    if focus:
        # The true class against all others together is one sigmoid.
        others = ops.logsumexp(logits - 1e9 * one_hot, axis=-1)
        nats = _nats(others - ops.sum(one_hot * logits, axis=-1), focus)
    else:
        nats = -ops.sum(one_hot * ops.log_softmax(logits, axis=-1), axis=-1)
    return ops.mean(nats, axis=tuple(range(1, len(logits.shape) - 1)))
