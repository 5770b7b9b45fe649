"""Optimizers by name: Keras' own update rules, with what must happen to the gradients before them."""

from collections.abc import Callable
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Optimizer:
    """An update rule and how gradients are made ready for it.

    Attributes:
        rule: The Keras optimizer; its learning rate is set anew before each update.
        learning_rate: Base rate, before the schedule's factor.
        clip_norm: Greatest global norm of the gradients, taken over all replicas; None for no limit.
        coupled_decay: Times the weights, added to the gradients (L2, as PyTorch's SGD does); 0 for none.
    """

    rule: keras.optimizers.Optimizer
    learning_rate: float
    clip_norm: float | None
    coupled_decay: float


def sgd(
    *,
    learning_rate: float = 1e-2,
    momentum: float = 0.99,
    nesterov: bool = True,
    weight_decay: float = 3e-5,
    clip_norm: float | None = 12.0,
) -> Optimizer:
    """Stochastic gradient descent with Nesterov momentum; the defaults are nnU-Net's, its decay coupled as there."""
    rule = keras.optimizers.SGD(float(learning_rate), momentum=momentum, nesterov=nesterov, name="sgd")
    return Optimizer(rule, learning_rate, clip_norm, weight_decay)


def adam(
    *, learning_rate: float = 3e-4, weight_decay: float = 0.0, clip_norm: float | None = 12.0, epsilon: float = 1e-7
) -> Optimizer:
    """Adam, or AdamW (decoupled decay) where `weight_decay` is above 0."""
    if weight_decay:
        rule = keras.optimizers.AdamW(float(learning_rate), weight_decay=weight_decay, epsilon=epsilon, name="adam")
    else:
        rule = keras.optimizers.Adam(float(learning_rate), epsilon=epsilon, name="adam")
    return Optimizer(rule, learning_rate, clip_norm, 0.0)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": sgd, "adam": adam}
