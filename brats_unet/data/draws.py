"""Uniform numbers in a TensorFlow graph as a pure function of (seed, step, sample); the one module that draws there."""

import tensorflow as tf


def uniforms(seed: int, step: tf.Tensor, samples: tf.Tensor, count: int) -> tf.Tensor:
    """float32 in [0, 1), shape (B, count): row i depends on seed, step and samples[i] alone.

    The same on every device, but not within `jit_compile`: XLA makes other numbers of the same key.

    Args:
        seed: Of the run.
        step: int scalar, which update.
        samples: int, shape (B,), which patches of it.
        count: Numbers a sample.
    """

    def row(sample: tf.Tensor) -> tf.Tensor:
        # One key a sample: steps and samples are both far below 2**31, so the pair fits an int64 without clashes.
        key = tf.cast(step, tf.int64) * 2**31 + tf.cast(sample, tf.int64)
        return tf.random.stateless_uniform((count,), seed=tf.stack([tf.constant(seed, tf.int64), key]), alg="philox")

    if samples.shape[0] is None:
        return tf.map_fn(row, samples, fn_output_signature=tf.float32)
    return tf.stack([row(samples[i]) for i in range(samples.shape[0])])
