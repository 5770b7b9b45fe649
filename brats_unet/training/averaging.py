"""A running mean of the weights (EMA): it trains nothing, and predicts in the weights' place."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Average:
    """The mean of a network's weights over the last updates, each counting `decay` times the next.

    The decay warms up, so that the first weights are soon forgotten: update t, counted from 0, takes t / (t + 9) where
    that is less. The mean is a pure function of the weights after each update and their numbers: nothing else is kept.

    Args:
        model: Whose floating-point variables are averaged, the statistics of batch normalisation among them.
        decay: Between 0 and 1; 0.999 is the mean of about the last thousand updates.
        strategy: Of tf.distribute; every replica holds the same mean.

    Source:
        Polyak and Juditsky 1992, doi:10.1137/0330046; the warm-up as in `tf.train.ExponentialMovingAverage`, which
        begins at 0.1 where this one begins at 0, with the weights after the first update.
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
        """Take in the weights after update `step` (int scalar, from 0); called in the graph, outside the replicas."""
        step = tf.cast(step, tf.float32)
        keep = tf.minimum(self.decay, step / (step + 9.0))
        for path, mean in self.means.items():
            weight = self.weights[path].value
            self.strategy.extended.update(mean, _towards, args=(weight, keep))

    def named(self) -> Mapping[str, Any]:
        """The means by the paths of their weights, as checkpoints key them."""
        return self.means

    def into(self, model: keras.Model) -> None:
        """Give a network of the same layers the averaged weights."""
        for variable in model.variables:
            if variable.path in self.means:
                variable.assign(np.asarray(self.means[variable.path]))


def _towards(mean: tf.Variable, weight: tf.Tensor, keep: tf.Tensor) -> tf.Operation:
    keep = tf.cast(keep, mean.dtype)  # with 0 nothing is left of the mean, to the last bit
    return mean.assign(mean * keep + tf.convert_to_tensor(weight) * (1 - keep))
