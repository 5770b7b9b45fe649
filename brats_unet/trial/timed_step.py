"""A training step with all its parts, run on noise in the shape of patches, to test and time it without data."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from brats_unet import models
from brats_unet.assembly.training_parts import devices_of, initial_network, optimizer_of, training_step
from brats_unet.data.augment import known as known_augmentations
from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.data.patches.draws import augmented
from brats_unet.losses import known as known_losses
from brats_unet.parts import build, options_of
from brats_unet.settings import Train
from brats_unet.training.averaging import Average
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.step import LossScale, Step, per_replica
from brats_unet.training.strategy import Devices
from brats_unet.training.tf_experimental import peak_memory_bytes

WARM_STEPS = 16  # after which most transforms have been drawn once, and so compiled
WARM_SECONDS = 15.0  # no longer: where steps are slow, compiling takes little of them


@dataclass
class StepParts:
    """A training step, its parts, and a batch of noise for each replica.

    Attributes:
        devices: The devices that compute.
        model: The network.
        optimizer: Its optimizer.
        augmentation: The augmentation for this patch size.
        step: The update of the weights.
        shares: One entry per replica, its part of the batch: (step, samples, images, labels).
        seed: Seed of the random draws.
        done: Number of steps so far.
    """

    devices: Devices
    model: keras.Model
    optimizer: Optimizer
    augmentation: Augmentation
    step: Step
    shares: list[tuple[Any, ...]]
    seed: int
    done: int = 0

    def timed_step(self) -> float:
        """Run one update and return its seconds, until the loss is known."""
        begun = time.perf_counter()
        shares = [(tf.constant(self.done, tf.int64), *share[1:]) for share in self.shares]
        loss, _ = self.step(*per_replica(self.devices, shares))
        float(loss)
        self.done += 1
        return time.perf_counter() - begun

    def warm(self) -> None:
        """Take steps until most transforms have been compiled, each as it is first drawn."""
        begun = time.perf_counter()
        while self.augmentation.uniforms and self.done < WARM_STEPS and time.perf_counter() - begun < WARM_SECONDS:
            self.timed_step()

    def timed_augmentation(self, seconds: float) -> float:
        """Seconds that one replica's share of a batch takes to augment, transforms compiled beforehand."""
        _, samples, images, labels = self.shares[0]

        @tf.function(reduce_retracing=True)
        def augment(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            changed = augmented(self.augmentation, self.seed, step, samples, images, labels)
            return tf.reduce_sum(tf.cast(changed[0], tf.float32)), changed[1][0, 0, 0, 0]

        begun, taken = time.perf_counter(), 0
        for step in range(WARM_STEPS):
            augment(tf.constant(step, tf.int64))
            if time.perf_counter() - begun > WARM_SECONDS:
                break
        begun = time.perf_counter()
        while not taken or time.perf_counter() - begun < seconds:
            float(augment(tf.constant(WARM_STEPS + taken, tf.int64))[0])
            taken += 1
        return (time.perf_counter() - begun) / taken

    def device_peak_bytes(self) -> int:
        """Peak memory of the fullest GPU; 0 if the CPU computes."""
        gpus = tf.config.list_logical_devices("GPU")
        return max((peak_memory_bytes(gpu) for gpu in gpus), default=0)


def step_parts(settings: Train, largest: Sequence[int]) -> StepParts:
    """Build the training step that the settings describe.

    Args:
        settings: Settings of the training.
        largest: Voxels of the largest prepared volume along x, y, z; limits the margin that augmentation reads.
    """
    devices = devices_of(settings.hardware)
    loss = build("loss", known_losses(), settings.loss)
    augmentation = build("augmentation", known_augmentations(), settings.augmentation)
    sampling = settings.sampling
    channels = len(settings.data.modalities)
    augmentation = augmentation.for_channels(channels).for_patches(sampling.patch, largest, sampling.overhang)
    network_shape = models.describe(settings.model["name"], options_of(settings.model))
    with devices.strategy.scope():
        optimizer = optimizer_of(settings)
        model = initial_network(settings, loss.outputs, devices.policy)
    step = training_step(
        settings,
        devices=devices,
        model=model,
        network_shape=network_shape,
        loss=loss,
        optimizer=optimizer,
        augmentation=augmentation,
        average=None if optimizer.ema is None else Average(model, optimizer.ema, devices.strategy),
        loss_scale=LossScale() if devices.precision == "float16" else None,
    )
    shape = tuple(p + 2 * m for p, m in zip(sampling.patch, augmentation.margin, strict=True))
    share = sampling.batch // devices.replicas
    draw = np.random.default_rng(settings.seed)
    shares = []
    for replica in range(devices.replicas):
        images = draw.standard_normal((share, *shape, channels), np.float32).astype(np.float16)
        labels = draw.choice(np.array([0, 0, 0, 1, 2, 4], np.uint8), size=(share, *shape))
        samples = np.arange(share, dtype=np.int64) * devices.replicas + replica
        shares.append((tf.constant(0, tf.int64), tf.constant(samples), tf.constant(images), tf.constant(labels)))
    return StepParts(devices, model, optimizer, augmentation, step, shares, settings.seed)
