"""One update of the weights, on one device or mirrored on several, with the same result."""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.data.patches.draws import augmented
from brats_unet.training.averaging import Average
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.strategy import Devices
from brats_unet.training.tf_experimental import distributed, local_results

# Does one update: (step, samples, images, labels), each per replica -> (loss, gradient norm).
Step = Callable[..., tuple[tf.Tensor, tf.Tensor]]
# Logits of a network (full resolution first) and labels -> one loss per sample.
PerSample = Callable[[list[Any], Any], Any]


def build_step(
    *,
    devices: Devices,
    model: keras.Model,
    loss: PerSample,
    optimizer: Optimizer,
    augmentation: Augmentation,
    seed: int,
    batch: int,
    accumulate: int = 1,
    average: Average | None = None,
    loss_scale: "LossScale | None" = None,
    only: Mapping[str, np.ndarray | None] | None = None,
) -> Step:
    """Compile the update.

    The forward and backward pass is one graph function without any optimizer call; XLA compiles it if `devices.jit` is
    set. Gradients are summed over the replicas, then clipped and applied. The loss of a sample is divided by the size
    of the whole batch, so the sum over replicas is the mean over all samples, however they are distributed. Batch
    normalisation and batch Dice use only the patches of one replica, or of one part when gradients are accumulated;
    the moving statistics of batch normalisation are averaged over the replicas.

    On a CPU, the same seed gives bit-identical losses in every precision.

    Args:
        devices: Devices to train on.
        model: Network built within the scope of the strategy; its input is (b, X, Y, Z, M), or (b, X, Y, M) for rank 2.
        loss: Loss function that gives one value per sample.
        optimizer: Optimizer; its variables are built here.
        augmentation: Augmentation, drawn from (seed, step, sample) and applied on the device.
        seed: Seed of the run.
        batch: Patches per update, over all replicas.
        accumulate: Number of parts in which each replica computes its patches one after another to save memory; their
            gradients are summed. Must divide the replica's number of patches.
        average: Moving average that is updated with the weights after each update; None for none.
        loss_scale: Loss scale for float16; None for other precisions.
        only: Weights to update, by path: None for all of a weight, or a mask that broadcasts to it. Nothing else moves,
            neither by decay nor by momentum, and batch normalisation uses its moving statistics without changing them.
            The gradient norm is that of these weights. None updates all.

    Returns:
        Function that does one update. Its loss is the mean over the batch; a loss that is not finite is returned
        unchanged. With a loss scale, an update whose gradients overflow on any replica is skipped and the scale halved.
    """
    every, training = model.trainable_variables, only is None
    weights = every if only is None else [weight for weight in every if weight.path in only]
    masks = [None if only is None else only[weight.path] for weight in weights]
    partial = [(weight, mask) for weight, mask in zip(weights, masks, strict=True) if mask is not None]
    statistics = model.non_trainable_variables if devices.replicas > 1 and training else []
    part_size = batch // devices.replicas // accumulate
    synchronized = any(getattr(layer, "synchronized", False) for layer in model.layers)
    two_dimensional = len(model.inputs[0].shape) == 4
    with devices.strategy.scope():
        if not optimizer.rule.built:
            optimizer.rule.build(every)

    def forward_backward(images, labels, scale):
        if two_dimensional:
            images, labels = tf.squeeze(images, 3), tf.squeeze(labels, 3)
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(loss(model(images, training=training), labels)) / batch
            scaled = value * scale
        return value, tape.gradient(scaled, [weight.value for weight in weights])

    if not synchronized:  # TensorFlow refuses to sum over replicas in a nested function
        forward_backward = tf.function(forward_backward, jit_compile=devices.jit, reduce_retracing=True)

    def part_gradients(step, samples, images, labels, scale, index):
        if accumulate > 1:
            rows = slice(index * part_size, (index + 1) * part_size)
            samples, images, labels = samples[rows], images[rows], labels[rows]
        # Augment outside XLA: it generates other random numbers, and would compute transforms that were not drawn.
        images, labels = augmented(augmentation, seed, step, samples, images, labels)
        return forward_backward(images, labels, scale)

    def gradients(step, samples, images, labels, scale):
        value, slopes = part_gradients(step, samples, images, labels, scale, 0)
        for index in range(1, accumulate):
            # Wait for the previous part: computing two at once would need the memory of both.
            with tf.control_dependencies(slopes):
                part_value, part_slopes = part_gradients(step, samples, images, labels, scale, index)
                value = value + part_value
                slopes = [a + b for a, b in zip(slopes, part_slopes, strict=True)]
        context = tf.distribute.get_replica_context()
        if statistics:
            # Each replica updates its own moving statistics; prediction uses their mean over the replicas.
            means = context.all_reduce(tf.distribute.ReduceOp.MEAN, on_device([moving.value for moving in statistics]))
            for moving, mean in zip(statistics, means, strict=True):
                moving.assign(mean)
        value = context.all_reduce(tf.distribute.ReduceOp.SUM, value)
        slopes = context.all_reduce(tf.distribute.ReduceOp.SUM, slopes)
        slopes = masked([slope / scale for slope in slopes])
        norm = tf.linalg.global_norm(slopes)
        if optimizer.clip_norm is not None:
            factor = tf.minimum(1.0, optimizer.clip_norm / tf.maximum(norm, 1e-12))
            slopes = [slope * factor for slope in slopes]
        if optimizer.coupled_decay:
            decay = optimizer.coupled_decay
            slopes = masked([slope + decay * weight.value for slope, weight in zip(slopes, weights, strict=True)])
        # Keras sums over the replicas once more in `apply`, so each replica passes its share.
        return value, norm, [slope / devices.replicas for slope in slopes]

    def on_device(values):
        """Give each value the device of its replica, without which TensorFlow does not sum over several workers."""
        return [tf.identity(value) for value in values]

    def masked(slopes):
        pairs = zip(slopes, masks, strict=True)
        return [slope if mask is None else tf.where(mask, slope, tf.zeros_like(slope)) for slope, mask in pairs]

    def apply(index, slopes):
        before = [tf.identity(weight.value) for weight, _ in partial]
        devices.strategy.run(lambda slopes: optimizer.rule.apply(on_device(slopes), weights), (slopes,))
        for (weight, mask), value in zip(partial, before, strict=True):  # decoupled decay moved all of the weight
            devices.strategy.extended.update(weight.value, _restore, args=(value, tf.constant(mask)))
        if average is not None:
            average.update(first(index))

    def first(value):
        return local_results(devices.strategy, value)[0]

    if loss_scale is None:

        @tf.function(reduce_retracing=True)
        def step(index, samples, images, labels):
            value, norm, slopes = devices.strategy.run(gradients, (index, samples, images, labels, tf.constant(1.0)))
            apply(index, slopes)
            return first(value), first(norm)

        return step

    compute_gradients = tf.function(lambda *inputs: devices.strategy.run(gradients, inputs), reduce_retracing=True)
    apply_gradients = tf.function(apply, reduce_retracing=True)

    def scaled_step(index, samples, images, labels):
        value, norm, slopes = compute_gradients(
            index, samples, images, labels, tf.constant(loss_scale.value, tf.float32)
        )
        # The sum over the replicas is not finite if the gradients overflowed on any of them.
        if loss_scale.update(bool(tf.math.is_finite(first(norm)))):
            apply_gradients(index, slopes)
        return first(value), first(norm)

    return scaled_step


def _restore(weight: tf.Variable, before: tf.Tensor, mask: tf.Tensor) -> tf.Operation:
    return weight.assign(tf.where(mask, tf.convert_to_tensor(weight), before))


def per_replica(devices: Devices, shares: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Arguments for the strategy from the shares of a batch; with several replicas, they are distributed values."""
    if devices.replicas == 1:
        return shares[0]
    return tuple(
        distributed(devices.strategy, lambda replica, i=i: shares[replica][i])  # type: ignore[misc]
        for i in range(len(shares[0]))
    )


class LossScale:
    """Dynamic loss scale for float16: halved after an overflow, doubled after 2,000 updates without one.

    Attributes:
        value: Current scale, from 1 to 2**24.
        since: Number of updates since the scale last changed.
    """

    PATIENCE = 2000
    FIRST = 2.0**15
    LARGEST = 2.0**24

    def __init__(self, value: float = FIRST, since: int = 0) -> None:
        self.value = value
        self.since = since

    def restore(self, saved: list[float] | None) -> None:
        """Take value and count from a checkpoint; None, which other precisions save, gives a new scale."""
        self.value, self.since = (self.FIRST, 0) if saved is None else (saved[0], int(saved[1]))

    def update(self, finite: bool) -> bool:
        """Update the scale after one update; returns whether its gradients may be applied, which is `finite`."""
        if not finite:
            self.value, self.since = max(1.0, self.value / 2), 0
            return False
        self.since += 1
        if self.since >= self.PATIENCE:
            self.value, self.since = min(self.LARGEST, self.value * 2), 0
        return True
