"""Cross-entropies from logits; finite, with finite gradients, for any finite logit."""

from typing import Any

from keras import ops

Tensor = Any  # of whatever backend Keras runs on


def binary_cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Of independent masks, each a sigmoid: nats per sample, the mean over voxels and masks.

    Args:
        logits: float32, shape (B, X, Y, Z, K) or (B, X, Y, K).
        masks: Reference, exactly 0 or 1, same shape.

    Returns:
        (B,) float32, 0 or above; ln 2 for logits of 0.
    """
    # For a hard mask, -log sigmoid(x) inside and -log(1 - sigmoid(x)) outside are one softplus of a signed logit.
    nats = ops.softplus((1.0 - 2.0 * masks) * logits)
    return ops.mean(nats, axis=tuple(range(1, len(logits.shape))))


def cross_entropy(logits: Tensor, one_hot: Tensor) -> Tensor:
    """Of exclusive classes, a softmax: nats per sample, the mean over voxels.

    Args:
        logits: float32, shape (B, X, Y, Z, K) or (B, X, Y, K).
        one_hot: Reference, exactly 0 or 1, one 1 a voxel, same shape.

    Returns:
        (B,) float32, 0 or above; ln K for equal logits.
    """
    nats = -ops.sum(one_hot * ops.log_softmax(logits, axis=-1), axis=-1)
    return ops.mean(nats, axis=tuple(range(1, len(logits.shape) - 1)))
