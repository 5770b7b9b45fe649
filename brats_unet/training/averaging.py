"""Exponential moving average (EMA) of the weights, used for prediction; it does not affect training."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Average:
    """Exponential moving average of a network's weights over the updates.

    After update t (counted from 0), mean = d · mean + (1 - d) · weights with d = min(decay, t / (t + 9)). This warm-up
    reduces the influence of the first weights. The mean depends only on the weights after each update and on t; there
    is no other state.

    Args:
        model: Network whose floating-point variables are averaged, including batch-normalisation statistics.
        decay: Largest d, between 0 and 1; 0.999 averages about the last thousand updates.
        strategy: tf.distribute strategy of the network; every replica holds the same mean.

    Source:
        Polyak and Juditsky 1992, doi:10.1137/0330046. The warm-up follows `tf.train.ExponentialMovingAverage`, but
        starts at d = 0 instead of 0.1, so that the first mean is the weights after the first update.
    """

    def __init__(self, model: keras.Model, decay: float, strategy: tf.distribute.Strategy) -> None:
        self.decay = decay
        self.strategy = strategy
        self.weights = {v.path: v for v in model.variables if keras.backend.is_float_dtype(v.dtype)}
        with strategy.scope():
            self.means = {
                path: tf.Variable(np.asarray(weight), trainable=False, name="mean")
                for path, weight in self.weights.items()
            }

    def update(self, step: tf.Tensor) -> None:
        """Add the weights after update `step` (int scalar, from 0). Call this in the graph, outside the replicas."""
        step = tf.cast(step, tf.float32)
        keep = tf.minimum(self.decay, step / (step + 9.0))
        for path, mean in self.means.items():
            weight = self.weights[path].value
            self.strategy.extended.update(mean, _move_towards, args=(weight, keep))

    def named(self) -> Mapping[str, Any]:
        """Means by the path of their variable, as in checkpoints."""
        return self.means

    def into(self, model: keras.Model) -> None:
        """Assign the averaged weights to a network with the same layers; its other variables stay unchanged."""
        for variable in model.variables:
            if variable.path in self.means:
                variable.assign(np.asarray(self.means[variable.path]))


def _move_towards(mean: tf.Variable, weight: tf.Tensor, keep: tf.Tensor) -> tf.Operation:
    keep = tf.cast(keep, mean.dtype)  # with keep = 0, the result is exactly `weight`
    return mean.assign(mean * keep + tf.convert_to_tensor(weight) * (1 - keep))
