"""From labels to the masks that logits stand for, weighted sums of losses, and deep supervision."""

from collections.abc import Callable, Sequence

from keras import ops

from brats_unet.anatomy import CLASSES, REGION_LABELS, Label, Region
from brats_unet.losses.entropy import binary_cross_entropy, cross_entropy
from brats_unet.losses.loss import Loss, Tensor


def _any_of(labels: Tensor, wanted: Sequence[Label]) -> Tensor:
    return ops.any(ops.stack([ops.equal(labels, int(label)) for label in wanted], axis=-1), axis=-1)


def region_targets(labels: Tensor) -> Tensor:
    """WT, TC and ET of `anatomy` as float32 (..., 3) from integer labels (...)."""
    return ops.cast(ops.stack([_any_of(labels, REGION_LABELS[region]) for region in Region], axis=-1), "float32")


def class_targets(labels: Tensor) -> Tensor:
    """One-hot of `anatomy.CLASSES`, float32 (..., 4), from integer labels (...); a label of no class is background."""
    tissues = [ops.equal(labels, int(label)) for label in CLASSES[1:]]
    background = ops.logical_not(_any_of(labels, CLASSES[1:]))
    return ops.cast(ops.stack([background, *tissues], axis=-1), "float32")


def overlap_and_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    outputs: str,
    overlap: Callable[[Tensor, Tensor], Tensor],
    overlap_weight: float,
    entropy_weight: float,
    focus: float,
) -> Tensor:
    """A weighted sum of an overlap loss and a cross-entropy, one value per sample.

    Args:
        logits: Any float type, shape (B, …, K).
        labels: Integers of `anatomy.Label`, shape (B, …).
        outputs: "regions": K sigmoids against WT, TC, ET; "labels": a softmax against `anatomy.CLASSES`, with the
            overlap of the three tumour tissues only.
        overlap: Function of probabilities and masks, both float32 (B, …, 3), that returns (B, 3) or (B, 1).
        overlap_weight: Weight of the overlap's mean over masks; at 0 it is not computed.
        entropy_weight: Weight of the cross-entropy; at 0 it is not computed.
        focus: Exponent of focal loss, see `entropy`; 0 is cross-entropy.

    Returns:
        (B,) float32.
    """
    logits = ops.cast(logits, "float32")
    regions = outputs == "regions"
    masks = region_targets(labels) if regions else class_targets(labels)
    total = 0.0
    if overlap_weight:
        probabilities = ops.sigmoid(logits) if regions else ops.softmax(logits, axis=-1)
        first = 0 if regions else 1  # the first of CLASSES is the background
        total += overlap_weight * ops.mean(overlap(probabilities[..., first:], masks[..., first:]), axis=-1)
    if entropy_weight:
        entropy = binary_cross_entropy(logits, masks, focus) if regions else cross_entropy(logits, masks, focus)
        total += entropy_weight * entropy
    return total


def head_weights(heads: int, *, lowest: bool = False) -> tuple[float, ...]:
    """Weights of deep supervision, full resolution first: 1, 1/2, 1/4, …, divided by their sum.

    Args:
        heads: Number of heads.
        lowest: Whether to train the coarsest head too, as NVIDIA does. If not, its weight is 0 as in nnU-Net, unless
            it is the only head.
    """
    raw = [0.5**level for level in range(heads)]
    if heads > 1 and not lowest:
        raw[-1] = 0.0
    return tuple(weight / sum(raw) for weight in raw)


def deep_supervision(
    loss: Loss, logits: Sequence[Tensor] | Tensor, labels: Tensor, *, lowest: bool = False, corner: bool = False
) -> Tensor:
    """The loss of every head against the labels of its own grid, weighted by `head_weights`, one value per sample.

    Args:
        loss: Loss of one head.
        logits: The network's logits, full resolution first, shapes (B, X/s, Y/s, Z/s, K) or (B, X/s, Y/s, K); a single
            head may be given without a list, as Keras returns it.
        labels: Integers of `anatomy.Label`, shape (B, X, Y, Z) or (B, X, Y). A coarser grid takes one voxel of every
            block of s along each axis, that at (s - 1) // 2: 0 of 2, 1 of 4, 3 of 8.
        lowest: See `head_weights`.
        corner: Take the voxel at 0 of every block, as the rules of version 1 did.

    Returns:
        (B,) float32. A head of weight 0 is computed too, so that its weights have a gradient (of 0).

    Raises:
        ValueError: An edge of `labels` is not a multiple of that of the head.

    Source:
        nnU-Net, `DeepSupervisionWrapper` and its weights. Its `DownsampleSegForDSTransform` takes voxel s // 2 of a
        block, on features that PyTorch centres at 0; those of Keras's strided convolutions are centred at s - 1, so
        this is the mirror image, s - 1 - s // 2.
    """
    heads = logits if isinstance(logits, list | tuple) else [logits]
    total = 0.0
    edges = ops.shape(labels)[1:]
    for weight, head in zip(head_weights(len(heads), lowest=lowest), heads, strict=True):
        chosen = [_one_of_block(full, here, corner) for full, here in zip(edges, ops.shape(head)[1:-1], strict=True)]
        total = total + weight * loss.per_sample(head, labels[(slice(None), *chosen)])
    return total


def _one_of_block(full: Tensor, coarse: Tensor, corner: bool) -> slice:
    if isinstance(full, int) and isinstance(coarse, int) and full % coarse:  # in a graph, edges may be tensors
        raise ValueError(f"An edge of {full} labels is not a multiple of the {coarse} logits of a head.")
    size = full // coarse
    return slice(0 if corner else (size - 1) // 2, None, size)
