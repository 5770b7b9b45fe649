"""Stochastic gradient descent with the momentum of PyTorch: today's learning rate applies to the whole velocity."""

from typing import Any

import keras
from keras import ops


class SGD(keras.optimizers.SGD):
    """SGD with momentum as PyTorch computes it, on the variables of Keras's SGD.

    With gradient g, momentum m and today's learning rate r, PyTorch keeps b <- m b + g and takes the step -r b, or
    -r (g + m b) with Nesterov's momentum. Keras keeps v <- m v - r g, where each old gradient keeps the rate of its own
    step. The two are equal while the rate is constant; under a falling rate Keras takes longer last steps.

    Source:
        torch.optim.SGD with dampening 0, the optimizer of nnU-Net.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one variable and its velocity."""
        rate = ops.cast(learning_rate, variable.dtype)
        step = ops.cast(gradient, variable.dtype)
        if self.momentum:
            velocity = self.momentums[self._get_variable_index(variable)]
            momentum = ops.cast(self.momentum, variable.dtype)
            summed = momentum * velocity + step
            self.assign(velocity, summed)
            step = step + momentum * summed if self.nesterov else summed
        self.assign_sub(variable, rate * step)
