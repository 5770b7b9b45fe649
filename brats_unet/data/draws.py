"""Random numbers in a TensorFlow graph as a pure function of (seed, step, sample); the one module that draws there."""

import tensorflow as tf

from brats_unet.data.augment import Augmentation


def augmented(
    augmentation: Augmentation, seed: int, step: tf.Tensor, samples: tf.Tensor, images: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Images and labels of a batch, each sample varied by its own draws; not to be called within `jit_compile`.

    Args:
        augmentation: What is varied.
        seed: Of the run.
        step: int scalar, which update.
        samples: int, shape (B,), which patches of it.
        images: (B, X, Y, Z, M).
        labels: (B, X, Y, Z).
    """
    if not augmentation.uniforms:
        return images, labels
    numbers = uniforms(seed, step, samples, augmentation.uniforms)
    return augmentation.apply(images, labels, augmentation.draw(numbers))


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
