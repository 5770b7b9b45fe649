"""Optimizers by name: Keras update rules, and how gradients are clipped and decayed before them."""

from collections.abc import Callable
from dataclasses import dataclass

import keras

from brats_unet.errors import SettingsError


@dataclass(frozen=True)
class Optimizer:
    """Update rule, and how gradients are prepared for it.

    Attributes:
        rule: Keras optimizer; its learning rate is set before each update.
        learning_rate: Base learning rate, before the factor of the schedule.
        clip_norm: Largest global norm of the gradients after summing over the replicas; larger gradients are scaled
            down to it. None for no limit.
        coupled_decay: Factor by which the weights are added to the gradients (L2 penalty, as in PyTorch's SGD); 0 for
            none.
        ema: Decay of the exponential moving average of the weights that is used for prediction (see `averaging`); None
            for none.
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
    """Stochastic gradient descent with Nesterov momentum; defaults and coupled weight decay as in nnU-Net."""
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
    """Adam; with `weight_decay` above 0, AdamW (decoupled weight decay)."""
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
    """Adam with decoupled weight decay: each update first multiplies all weights, biases too, by 1 - rate · decay.

    Source:
        Loshchilov and Hutter 2019, arXiv:1711.05101; the decay is multiplied by the learning rate, as in PyTorch.
    """
    # Adam and AdamW share the name and the variables, so that a run can switch between them.
    rule = keras.optimizers.AdamW(float(learning_rate), weight_decay=weight_decay, epsilon=epsilon, name="adam")
    return Optimizer(rule, learning_rate, clip_norm, 0.0, ema)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": sgd, "adam": adam, "adamw": adamw}
