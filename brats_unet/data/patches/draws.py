"""Random numbers in a TensorFlow graph as a pure function of (seed, step, sample); the one module that draws there."""

from collections.abc import Callable
from functools import lru_cache, partial

import tensorflow as tf

from brats_unet.data.augment.augmentation import Augmentation, of_sample
from brats_unet.data.augment.transform import Parameters, Sample, Transform


def augmented(
    augmentation: Augmentation, seed: int, step: tf.Tensor, samples: tf.Tensor, images: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Images and labels of a batch, each sample varied by its own draws; not to be called within `jit_compile`.

    Sample after sample, and of each transform only what was drawn is computed, compiled by XLA on every device: that
    makes one loop of what would be a dozen passes over memory. Random numbers are made outside of it: XLA's are others.

    Args:
        augmentation: What is varied.
        seed: Of the run.
        step: int scalar, which update.
        samples: int, shape (B,), which patches of it.
        images: (B, X, Y, Z, M), read wider than the patch by the margin of `augmentation`.
        labels: (B, X, Y, Z).

    Returns:
        Images and labels of the patch, of the types given.
    """
    if not augmentation.uniforms:
        return images, labels
    with tf.device("CPU:0"):  # a few numbers, asked for on the CPU, where branches are taken
        parameters = augmentation.draw(uniforms(seed, step, samples, augmentation.uniforms))

    def one(index: tf.Tensor) -> Sample:
        with tf.device("CPU:0"):
            drawn = of_sample(parameters, index)
        run = partial(_run, lambda which, shape: normals(seed, step, samples[index], which, shape), augmentation)
        return augmentation.apply(images[index], labels[index], drawn, run)

    patch = tuple(None if n is None else n - 2 * m for n, m in zip(images.shape[1:4], augmentation.margin, strict=True))
    shapes = (tf.TensorSpec((*patch, images.shape[4]), images.dtype), tf.TensorSpec(patch, labels.dtype))
    return tf.map_fn(one, tf.range(tf.shape(samples)[0]), fn_output_signature=shapes, parallel_iterations=1)


def _run(
    noise: Callable,
    augmentation: Augmentation,
    transform: Transform,
    image: tf.Tensor,
    labels: tf.Tensor,
    drawn: Parameters,
) -> Sample:
    def applied() -> Sample:
        numbers = None
        if transform.normals:
            numbers = noise(augmentation.transforms.index(transform), transform.normals(tuple(image.shape)))
        found = compiled(transform.apply)(image, labels, drawn, numbers)
        return compiled(transform.finish)(*found) if transform.finish else found

    return tf.cond(drawn["drawn"], applied, lambda: transform.otherwise(image, labels))


@lru_cache(maxsize=128)
def compiled(function: Callable[..., Sample]) -> Callable[..., Sample]:
    """`function` of a transform, compiled by XLA once for each shape, when it is first called."""
    return tf.function(function, jit_compile=True)


def normals(seed: int, step: tf.Tensor, sample: tf.Tensor, which: int, shape: tuple[int, ...]) -> tf.Tensor:
    """Standard normal float32 numbers: a pure function of seed, step, sample and `which`, apart from `uniforms`."""
    stream = tf.constant(seed + (which + 1) * 2**40, tf.int64)
    return tf.random.stateless_normal(shape, seed=tf.stack([stream, _key(step, sample)]), alg="philox")


def _key(step: tf.Tensor, sample: tf.Tensor) -> tf.Tensor:
    # Steps and samples are both far below 2**31, so the pair fits an int64 without clashes.
    return tf.cast(step, tf.int64) * 2**31 + tf.cast(sample, tf.int64)


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
        return tf.random.stateless_uniform(
            (count,), seed=tf.stack([tf.constant(seed, tf.int64), _key(step, sample)]), alg="philox"
        )

    if samples.shape[0] is None:
        return tf.map_fn(row, samples, fn_output_signature=tf.float32)
    return tf.stack([row(samples[i]) for i in range(samples.shape[0])])
