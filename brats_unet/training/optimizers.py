"""Optimizers by name: Keras update rules, and how gradients are clipped and decayed before them.

Keras is imported when an optimizer is built, so a misspelt option is refused in milliseconds.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

from brats_unet.binding import Range

if TYPE_CHECKING:
    import keras

Rate = Annotated[float, Range(0)]  # 0 leaves the weights as they are, which is of use after init=
Decay = Annotated[float, Range(0)]
ClipNorm = Annotated[float, Range(0, above_least=True)] | None
Momentum = Annotated[float, Range(0, 1, below_most=True)]
Epsilon = Annotated[float, Range(0, above_least=True)]
Ema = Annotated[float, Range(0, 1, above_least=True, below_most=True)] | None


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

    rule: "keras.optimizers.Optimizer"
    learning_rate: float
    clip_norm: float | None
    coupled_decay: float
    ema: float | None


def sgd(
    *,
    learning_rate: Rate = 1e-2,
    momentum: Momentum = 0.99,
    nesterov: bool = True,
    weight_decay: Decay = 3e-5,
    clip_norm: ClipNorm = 12.0,
    ema: Ema = None,
) -> Optimizer:
    """Stochastic gradient descent with Nesterov momentum; defaults, velocity and coupled weight decay as in nnU-Net."""
    from brats_unet.training.sgd import SGD

    rule = SGD(float(learning_rate), momentum=momentum, nesterov=nesterov, name="sgd")
    return Optimizer(rule, learning_rate, clip_norm, weight_decay, ema)


def with_keras_momentum(optimizer: Optimizer) -> Optimizer:
    """The optimizer with Keras's own momentum if it is `sgd`, as in the rules of version 1; see `sgd.SGD`."""
    import keras

    if optimizer.rule.name != "sgd":
        return optimizer
    return replace(optimizer, rule=keras.optimizers.SGD.from_config(optimizer.rule.get_config()))


def adam(
    *,
    learning_rate: Rate = 3e-4,
    weight_decay: Decay = 0.0,
    clip_norm: ClipNorm = 12.0,
    epsilon: Epsilon = 1e-7,
    ema: Ema = None,
) -> Optimizer:
    """Adam; with `weight_decay` above 0, AdamW (decoupled weight decay)."""
    if weight_decay:
        return adamw(
            learning_rate=learning_rate, weight_decay=weight_decay, clip_norm=clip_norm, epsilon=epsilon, ema=ema
        )
    import keras

    rule = keras.optimizers.Adam(float(learning_rate), epsilon=epsilon, name="adam")
    return Optimizer(rule, learning_rate, clip_norm, 0.0, ema)


def adamw(
    *,
    learning_rate: Rate = 3e-4,
    weight_decay: Decay = 1e-2,
    clip_norm: ClipNorm = 12.0,
    epsilon: Epsilon = 1e-7,
    ema: Ema = None,
) -> Optimizer:
    """Adam with decoupled weight decay: each update first multiplies all weights, biases too, by 1 - rate · decay.

    Source:
        Loshchilov and Hutter 2019, arXiv:1711.05101; the decay is multiplied by the learning rate, as in PyTorch.
    """
    import keras

    # Adam and AdamW share the name and the variables, so that a run can switch between them.
    rule = keras.optimizers.AdamW(float(learning_rate), weight_decay=weight_decay, epsilon=epsilon, name="adam")
    return Optimizer(rule, learning_rate, clip_norm, 0.0, ema)


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {"sgd": sgd, "adam": adam, "adamw": adamw}
