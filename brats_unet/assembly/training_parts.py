"""A network and its training step from the settings of `train`; shared by real trainings and short trials."""

from collections.abc import Mapping
from functools import partial

import keras
import numpy as np

from brats_unet import models
from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.losses.compound import deep_supervision
from brats_unet.losses.loss import Loss
from brats_unet.models.blocks import start_blocks_at_one
from brats_unet.models.network_shape import NetworkShape
from brats_unet.parts import build
from brats_unet.settings import Train
from brats_unet.training.averaging import Average
from brats_unet.training.freezing import frozen_first
from brats_unet.training.optimizers import OPTIMIZERS, Optimizer, with_keras_momentum
from brats_unet.training.rules import rules_of
from brats_unet.training.step import LossScale, Step, build_step
from brats_unet.training.strategy import Devices


def initial_network(settings: Train, outputs: int, policy: str) -> keras.Model:
    """The network with its initial weights, which depend on the seed and the rules."""
    network = build(
        "model",
        models.known(),
        settings.model,
        channels=len(settings.data.modalities),
        outputs=outputs,
        dtype=policy,
        seed=settings.seed,
    )
    if not rules_of(settings.rules).blocks_from_zero:
        start_blocks_at_one(network)
    return network


def optimizer_of(settings: Train) -> Optimizer:
    """The optimizer; build it within the scope of the strategy."""
    optimizer = build("optimizer", OPTIMIZERS, settings.optimizer)
    return with_keras_momentum(optimizer) if rules_of(settings.rules).keras_momentum else optimizer


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
    """
    update = partial(
        build_step,
        devices=devices,
        model=model,
        loss=partial(
            deep_supervision, loss, lowest=network_shape.lowest_head, corner=rules_of(settings.rules).corner_labels
        ),
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
