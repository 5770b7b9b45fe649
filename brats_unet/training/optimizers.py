"""Optimizers by name: Keras' own update rules, with what must happen to the gradients before them."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from brats_unet.errors import SettingsError


@dataclass(frozen=True)
class Optimizer:
    """An update rule and how gradients are made ready for it.

    Attributes:
        rule: The Keras optimizer; its learning rate is set anew before each update.
        learning_rate: Base rate, before the schedule's factor.
        clip_norm: Greatest global norm of the gradients, taken over all replicas; None for no limit.
        coupled_decay: Times the weights, added to the gradients (L2, as PyTorch's SGD does); 0 for none.
        ema: Decay of the running mean of the weights that predicts in their place (see `averaging`); None for none.
    """

    rule: keras.optimizers.Optimizer
    learning_rate: float
    clip_norm: float | None
    coupled_decay: float
    ema: float | None

    def __post_init__(self) -> None:
        if self.ema is not None and not 0 < self.ema < 1:
            raise SettingsError(f"optimizer.ema={self.ema}: expected a decay between 0 and 1, such as 0.999, or null.")


def sgd(
    *,
    learning_rate: float = 1e-2,
    momentum: float = 0.99,
    nesterov: bool = True,
    weight_decay: float = 3e-5,
    clip_norm: float | None = 12.0,
    ema: float | None = None,
) -> Optimizer:
    """Stochastic gradient descent with Nesterov momentum; the defaults are nnU-Net's, its decay coupled as there."""
    rule = keras.optimizers.SGD(float(learning_rate), momentum=momentum, nesterov=nesterov, name="sgd")
    return Optimizer(rule, learning_rate, clip_norm, weight_decay, ema)


def adam(
    *,
    learning_rate: float = 3e-4,
    weight_decay: float = 0.0,
    clip_norm: float | None = 12.0,
    epsilon: float = 1e-7,
    ema: float | None = None,
) -> Optimizer:
    """Adam, or AdamW (decoupled decay) where `weight_decay` is above 0."""
    if weight_decay:
        return adamw(
            learning_rate=learning_rate, weight_decay=weight_decay, clip_norm=clip_norm, epsilon=epsilon, ema=ema
        )
    rule = keras.optimizers.Adam(float(learning_rate), epsilon=epsilon, name="adam")
    return Optimizer(rule, learning_rate, clip_norm, 0.0, ema)


def adamw(
    *,
    learning_rate: float = 3e-4,
    weight_decay: float = 1e-2,
    clip_norm: float | None = 12.0,
    epsilon: float = 1e-7,
    ema: float | None = None,
) -> Optimizer:
    """Adam with a decoupled decay: each update first takes rate · `weight_decay` off every weight, biases too.

    Source:
        Loshchilov and Hutter 2019, arXiv:1711.05101; the decay times the rate, as PyTorch's AdamW has it.
    """
    # The same slots as Adam, by the same name: a run may go on with the other.
    rule = keras.optimizers.AdamW(float(learning_rate), weight_decay=weight_decay, epsilon=epsilon, name="adam")
    return Optimizer(rule, learning_rate, clip_norm, 0.0, ema)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": sgd, "adam": adam, "adamw": adamw}
