"""Fine-tuning in two phases: at first only the new parts of a network are updated, then all of it."""

from typing import Any

import tensorflow as tf

from brats_unet.training.optimizers import Optimizer
from brats_unet.training.spikes import MOST_PER_RUN
from brats_unet.training.step import Step
from brats_unet.training.strategy import Devices
from brats_unet.training.tf_experimental import local_results


def frozen_first(frozen: Step, whole: Step, steps: int, optimizer: Optimizer, devices: Devices) -> Step:
    """A step that is `frozen` before update number `steps` (counted from 0), and `whole` from then on.

    The optimizer starts afresh with `whole`, as where Keras users unfreeze layers and compile again: Adam would else
    move the taken weights by up to 6.6 times its learning rate, because its bias correction counts the frozen updates.
    Nothing is remembered between updates, so a run may be resumed, or go back, to any of them.

    Args:
        frozen: Step that updates the new parts only.
        whole: Step that updates all weights.
        steps: Number of frozen updates.
        optimizer: Optimizer of both.
        devices: Devices of both.
    """

    def first(value: Any) -> int:
        return int(local_results(devices.strategy, value)[0])

    def step(index: Any, *inputs: Any) -> tuple[tf.Tensor, tf.Tensor]:
        done = first(index)
        if done < steps:
            return frozen(index, *inputs)
        # A step that a spike left out is not called, so the first whole update may come up to MOST_PER_RUN later.
        if done <= steps + MOST_PER_RUN and first(optimizer.rule.iterations.value) > done - steps:
            _start_afresh(optimizer)
        return whole(index, *inputs)

    return step


def _start_afresh(optimizer: Optimizer) -> None:
    """Set momentum, other averages of gradients and the number of updates to 0; the learning rate stays."""
    for variable in optimizer.rule.variables:
        if variable is not optimizer.rule.learning_rate:
            variable.assign(tf.zeros_like(variable.value))
