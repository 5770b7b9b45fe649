"""From labels to the masks that logits stand for, weighted sums of losses, and deep supervision."""

from collections.abc import Callable, Sequence

from keras import ops

from brats_unet.losses.entropy import binary_cross_entropy, cross_entropy
from brats_unet.losses.loss import Loss, Outputs, Tensor
from brats_unet.schemes.scheme import Scheme


def masks_of(labels: Tensor, outputs: Outputs, scheme: Scheme) -> Tensor:
    """The masks that logits stand for, float32 (..., K), from labels (...), integers as in memory.

    For "regions" one mask per predicted region. For "labels" one-hot, the background first; a label of no class is
    background.
    """
    if outputs == "regions":
        masks = [_any_of(labels, scheme.values(region)) for region in scheme.predicted]
    else:
        tissues = scheme.class_values[1:]
        masks = [ops.logical_not(_any_of(labels, tissues)), *(ops.equal(labels, value) for value in tissues)]
    return ops.cast(ops.stack(masks, axis=-1), "float32")


def _any_of(labels: Tensor, wanted: Sequence[int]) -> Tensor:
    return ops.any(ops.stack([ops.equal(labels, value) for value in wanted], axis=-1), axis=-1)


def overlap_and_entropy(
    logits: Tensor,
    masks: Tensor,
    *,
    outputs: Outputs,
    overlap: Callable[[Tensor, Tensor], Tensor],
    overlap_weight: float,
    entropy_weight: float,
    focus: float,
) -> Tensor:
    """A weighted sum of an overlap loss and a cross-entropy, one value per sample.

    Args:
        logits: Any float type, shape (B, …, K).
        masks: What the logits stand for, float32, same shape; see `Loss`.
        outputs: "regions": K sigmoids; "labels": a softmax, with the overlap of the tissues only, not the background.
        overlap: Function of probabilities and masks, both float32 (B, …, N), that returns (B, N) or (B, 1).
        overlap_weight: Weight of the overlap's mean over masks; at 0 it is not computed.
        entropy_weight: Weight of the cross-entropy; at 0 it is not computed.
        focus: Exponent of focal loss, see `entropy`; 0 is cross-entropy.

    Returns:
        (B,) float32.
    """
    logits = ops.cast(logits, "float32")
    regions = outputs == "regions"
    total = 0.0
    if overlap_weight:
        probabilities = ops.sigmoid(logits) if regions else ops.softmax(logits, axis=-1)
        first = 0 if regions else 1  # the first class is the background
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
    loss: Loss,
    logits: Sequence[Tensor] | Tensor,
    labels: Tensor,
    *,
    scheme: Scheme,
    lowest: bool = False,
    corner: bool = False,
) -> Tensor:
    """The loss of every head against the labels of its own grid, weighted by `head_weights`, one value per sample.

    Args:
        loss: Loss of one head.
        logits: The network's logits, full resolution first, shapes (B, X/s, Y/s, Z/s, K) or (B, X/s, Y/s, K); a single
            head may be given without a list, as Keras returns it.
        labels: Labels, integers as in memory, shape (B, X, Y, Z) or (B, X, Y). A coarser grid takes one voxel of every
            block of s along each axis, that at (s - 1) // 2: 0 of 2, 1 of 4, 3 of 8.
        scheme: What the labels mean, and what is predicted.
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
        masks = masks_of(labels[(slice(None), *chosen)], loss.outputs, scheme)
        total = total + weight * loss.per_sample(head, masks)
    return total


def _one_of_block(full: Tensor, coarse: Tensor, corner: bool) -> slice:
    if isinstance(full, int) and isinstance(coarse, int) and full % coarse:  # in a graph, edges may be tensors
        raise ValueError(f"An edge of {full} labels is not a multiple of the {coarse} logits of a head.")
    size = full // coarse
    return slice(0 if corner else (size - 1) // 2, None, size)
