"""One update of the weights, on one device or mirrored on many, with the same result."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.data.patches.draws import augmented
from brats_unet.training.averaging import Average
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.strategy import Devices
from brats_unet.training.tf_experimental import distributed, local_results

# (step, samples, images, labels), each per replica, to (loss, gradient norm): what one update does.
Step = Callable[..., tuple[tf.Tensor, tf.Tensor]]
# A network's logits, full resolution first, and labels to one loss a sample.
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
) -> Step:
    """Compile the update.

    The forward and backward pass is one graph function, compiled by XLA if the devices ask for it, that holds no
    optimizer call; gradients are summed over the replicas, then looked at, clipped and applied. The loss of a sample
    is divided by the whole batch, so the sum over replicas is the mean over samples however they are dealt out. What a
    replica, or a part of accumulation, normalises or pools over its batch is its own share: batch normalisation, whose
    moving statistics are the mean over the replicas, and batch Dice.

    On a CPU the same seed gives the same losses to the last bit, in every precision.

    Args:
        devices: Where it runs.
        model: Built within the scope of the strategy; takes (b, X, Y, Z, M), or (b, X, Y, M) if of rank 2.
        loss: One value per sample.
        optimizer: Its variables are built here.
        augmentation: Drawn from (seed, step, sample), applied on the device.
        seed: Of the run.
        batch: Patches of one update over all replicas.
        accumulate: Parts that each replica computes its patches in, one after another, to spare memory; their
            gradients are summed. Divides its share of the batch.
        average: Takes in the weights after each update; None for none.
        loss_scale: For float16; None otherwise.

    Returns:
        The step. Its loss is the mean over the batch; a non-finite one comes back as it is. With a loss scale, an
        update whose gradients overflowed on any replica is left out and the scale halved.
    """
    weights = model.trainable_variables
    statistics = model.non_trainable_variables if devices.replicas > 1 else []
    part_size = batch // devices.replicas // accumulate
    flat = len(model.inputs[0].shape) == 4
    with devices.strategy.scope():
        optimizer.rule.build(weights)

    @tf.function(jit_compile=devices.jit, reduce_retracing=True)
    def forward_backward(images, labels, scale):
        if flat:
            images, labels = tf.squeeze(images, 3), tf.squeeze(labels, 3)
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(loss(model(images, training=True), labels)) / batch
            scaled = value * scale
        return value, tape.gradient(scaled, [weight.value for weight in weights])

    def part(step, samples, images, labels, scale, index):
        if accumulate > 1:
            here = slice(index * part_size, (index + 1) * part_size)
            samples, images, labels = samples[here], images[here], labels[here]
        # Out here: XLA's random numbers are others than TensorFlow's, and it would compute what was not drawn as well.
        images, labels = augmented(augmentation, seed, step, samples, images, labels)
        return forward_backward(images, labels, scale)

    def gradients(step, samples, images, labels, scale):
        value, slopes = part(step, samples, images, labels, scale, 0)
        for index in range(1, accumulate):
            # Only when the part before is done: two at once would need the memory of both.
            with tf.control_dependencies(slopes):
                more_value, more = part(step, samples, images, labels, scale, index)
                value, slopes = value + more_value, [a + b for a, b in zip(slopes, more, strict=True)]
        context = tf.distribute.get_replica_context()
        if statistics:
            # Batch normalisation follows its own replica's patches: the mean of all is what prediction is given.
            means = context.all_reduce(tf.distribute.ReduceOp.MEAN, [moving.value for moving in statistics])
            for moving, mean in zip(statistics, means, strict=True):
                moving.assign(mean)
        value = context.all_reduce(tf.distribute.ReduceOp.SUM, value)
        slopes = context.all_reduce(tf.distribute.ReduceOp.SUM, slopes)
        slopes = [slope / scale for slope in slopes]
        norm = tf.linalg.global_norm(slopes)
        if optimizer.clip_norm is not None:
            factor = tf.minimum(1.0, optimizer.clip_norm / tf.maximum(norm, 1e-12))
            slopes = [slope * factor for slope in slopes]
        if optimizer.coupled_decay:
            decay = optimizer.coupled_decay
            slopes = [slope + decay * weight.value for slope, weight in zip(slopes, weights, strict=True)]
        # Keras sums over the replicas once more inside apply: each hands in its share.
        return value, norm, [slope / devices.replicas for slope in slopes]

    def apply(index, slopes):
        devices.strategy.run(lambda slopes: optimizer.rule.apply(slopes, weights), (slopes,))
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

    computed = tf.function(lambda *inputs: devices.strategy.run(gradients, inputs), reduce_retracing=True)
    applied = tf.function(apply, reduce_retracing=True)

    def scaled_step(index, samples, images, labels):
        value, norm, slopes = computed(index, samples, images, labels, tf.constant(loss_scale.value, tf.float32))
        # The sum over replicas is not finite if it overflowed on any of them.
        if loss_scale.update(bool(tf.math.is_finite(first(norm)))):
            applied(index, slopes)
        return first(value), first(norm)

    return scaled_step


def per_replica(devices: Devices, shares: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The shares of a batch as arguments for the strategy: distributed values if there are several."""
    if devices.replicas == 1:
        return shares[0]
    return tuple(
        distributed(devices.strategy, lambda replica, i=i: shares[replica][i])  # type: ignore[misc]
        for i in range(len(shares[0]))
    )


class LossScale:
    """Dynamic scale of the loss for float16: halved on overflow, doubled after 2,000 updates without.

    Attributes:
        value: The scale now, from 1 to 2**24.
        since: Updates since it last changed.
    """

    PATIENCE = 2000
    LARGEST = 2.0**24

    def __init__(self, value: float = 2.0**15, since: int = 0) -> None:
        self.value = value
        self.since = since

    def update(self, finite: bool) -> bool:
        """Take note of one update's gradients; whether they are fit to be applied."""
        if not finite:
            self.value, self.since = max(1.0, self.value / 2), 0
            return False
        self.since += 1
        if self.since >= self.PATIENCE:
            self.value, self.since = min(self.LARGEST, self.value * 2), 0
        return True
