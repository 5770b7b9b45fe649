"""A network and its training step from the settings of `train`; shared by real trainings and short trials."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import keras
import numpy as np

from brats_unet import models
from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.data.patches.sampling import Sampler
from brats_unet.distributed.workers import Workers
from brats_unet.errors import SettingsError
from brats_unet.files import atomic_path
from brats_unet.losses.compound import deep_supervision
from brats_unet.losses.loss import Loss, Outputs
from brats_unet.models.blocks import start_blocks_at_one
from brats_unet.models.network_shape import NetworkShape
from brats_unet.parts import build
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Hardware, Train
from brats_unet.training.averaging import Average
from brats_unet.training.budget import Budget
from brats_unet.training.freezing import frozen_first
from brats_unet.training.optimizers import OPTIMIZERS, Optimizer, with_keras_momentum
from brats_unet.training.pseudo_dice import PatchValidation, patch_measure
from brats_unet.training.rules import rules_of
from brats_unet.training.step import LossScale, PerSample, Step, build_step
from brats_unet.training.strategy import Devices, choose_devices


def devices_of(hardware: Hardware, workers: Workers | None = None) -> Devices:
    """The devices that the settings describe; see `strategy.choose_devices`.

    Raises:
        SettingsError: XLA is asked for where batch normalisation needs the patches of other devices.
        MachineError: A GPU was requested, but TensorFlow finds none.
    """
    jit = hardware.jit
    if hardware.synchronized_norm:
        if jit == "on":
            raise SettingsError(
                "hardware.synchronized_norm=true and hardware.jit=on: XLA cannot wait for other devices within a step. "
                "Leave out one of them."
            )
        jit = "off"
    return choose_devices(
        device=hardware.device, precision=hardware.precision, jit=jit, replicas=hardware.replicas, workers=workers
    )


def initial_network(settings: Train, outputs: Outputs, policy: str) -> keras.Model:
    """The network with its initial weights, which depend on the seed and the rules."""
    network = build(
        "model",
        models.known(),
        settings.model,
        channels=len(settings.data.modalities),
        outputs=len(scheme_of(settings.scheme).of_channels(outputs)),
        dtype=policy,
        seed=settings.seed,
    )
    if not rules_of(settings.rules).blocks_from_zero:
        start_blocks_at_one(network)
    return network


def optimizer_of(settings: Train) -> Optimizer:
    """The optimizer, its rate scaled as `sampling.rate_for_batch` asks; build it within the scope of the strategy."""
    optimizer = build("optimizer", OPTIMIZERS, settings.optimizer)
    if settings.sampling.rate_for_batch is not None:
        scale = settings.sampling.batch / settings.sampling.rate_for_batch
        optimizer = replace(optimizer, learning_rate=optimizer.learning_rate * scale)
    return with_keras_momentum(optimizer) if rules_of(settings.rules).keras_momentum else optimizer


def budget_of(settings: Train) -> Budget:
    """Length of the training, and how often it validates and saves."""
    return Budget.of(
        settings.steps,
        settings.validation.every,
        settings.minutes,
        save_steps=settings.checkpoint.every_steps,
        save_minutes=settings.checkpoint.every_minutes,
        until=settings.until,
    )


def training_step(
    settings: Train,
    *,
    devices: Devices,
    model: keras.Model,
    network_shape: NetworkShape,
    loss: Loss,
    optimizer: Optimizer,
    augmentation: Augmentation,
    average: Average | None,
    loss_scale: LossScale | None,
    new_parts: Mapping[str, np.ndarray | None] | None = None,
) -> Step:
    """The training step (one update of the weights), assembled from parts that were built from the same settings.

    With `new_parts`, only these are updated for `settings.init_freeze_steps` steps; see `step.build_step`.

    Raises:
        SettingsError: `hardware.synchronized_norm` is set, but the network has no batch normalisation.
    """
    if settings.hardware.synchronized_norm:
        _synchronize(model, devices)
    update = partial(
        build_step,
        devices=devices,
        model=model,
        loss=loss_of_heads(settings, loss, network_shape),
        optimizer=optimizer,
        augmentation=augmentation,
        seed=settings.seed,
        batch=settings.sampling.batch,
        accumulate=settings.sampling.accumulate,
        average=average,
        loss_scale=loss_scale,
    )
    if new_parts is None or not settings.init_freeze_steps:
        return update()
    return frozen_first(update(only=new_parts), update(), settings.init_freeze_steps, optimizer, devices)


def _synchronize(model: keras.Model, devices: Devices) -> None:
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        raise SettingsError(
            "hardware.synchronized_norm=true, but the network has no batch normalisation. Leave it out, or choose a "
            "network with it, such as model.norm=batch."
        )
    for layer in norms:
        layer.synchronized = devices.replicas > 1


def loss_of_heads(settings: Train, loss: Loss, network_shape: NetworkShape) -> PerSample:
    """The loss of all heads of a network, as training minimises it."""
    return partial(
        deep_supervision,
        loss,
        scheme=scheme_of(settings.scheme),
        lowest=network_shape.lowest_head,
        corner=rules_of(settings.rules).corner_labels,
    )


def patch_validation(
    settings: Train,
    *,
    devices: Devices,
    model: keras.Model,
    network_shape: NetworkShape,
    loss: Loss,
    sampler: Sampler,
    average: Average | None,
) -> PatchValidation | None:
    """The validation on held-out patches while training; None if the settings or the rules of the run ask for none.

    Args:
        settings: Settings of the training.
        devices: Devices of the training; one of each worker computes.
        model: Network to validate; it gets the averaged weights if there are any.
        network_shape: Shape of the network.
        loss: Loss of one head.
        sampler: Sampler of the held-out patches.
        average: Average of the weights; None for none.
    """
    every = settings.validation.patches_every
    if every is None or rules_of(settings.rules).best_by_volumes:
        return None
    measure = patch_measure(
        model=model,
        outputs=loss.outputs,
        scheme=scheme_of(settings.scheme),
        loss=loss_of_heads(settings, loss, network_shape),
        sampler=sampler,
        batches=settings.validation.patch_batches,
        at_once=settings.sampling.batch // devices.replicas // settings.sampling.accumulate,
        average=average,
        workers=devices.workers,
    )
    return PatchValidation(measure, every)


def save_model(run: Run, model: keras.Model) -> None:
    """Write model.keras atomically."""
    with atomic_path(run.model_file, ending=".keras") as temporary:
        model.save(temporary)
