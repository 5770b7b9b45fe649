"""Random numbers in a TensorFlow graph, each a pure function of (seed, step, sample); no other module draws them."""

from collections.abc import Callable
from functools import lru_cache, partial

import tensorflow as tf

from brats_unet.data.augment.augmentation import Augmentation, of_sample
from brats_unet.data.augment.transform import Parameters, Sample, Transform


def augmented(
    augmentation: Augmentation, seed: int, step: tf.Tensor, samples: tf.Tensor, images: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Augment a batch, each sample with its own random draws. Do not call this inside `jit_compile`.

    Samples are augmented one after another, and only the transforms that were drawn are computed. Each transform is
    compiled by XLA, which fuses its passes over memory into one loop. The random numbers are drawn outside the compiled
    code, because XLA generates other numbers from the same key.

    Args:
        augmentation: Transforms to apply.
        seed: Seed of the run.
        step: Index of the update, int scalar.
        samples: Indices of the patches in the batch of that update, int, shape (B,).
        images: Image patches with the margin of `augmentation` on each side, shape (B, X, Y, Z, M).
        labels: Label patches with the same margin, shape (B, X, Y, Z).

    Returns:
        Images and labels without the margin, with the same dtypes. Unchanged if the augmentation draws nothing.
    """
    if not augmentation.uniforms:
        return images, labels
    with tf.device("CPU:0"):  # a few numbers, needed on the CPU, where branches are taken
        parameters = augmentation.draw(uniforms(seed, step, samples, augmentation.uniforms))

    def augment_sample(index: tf.Tensor) -> Sample:
        with tf.device("CPU:0"):
            drawn = of_sample(parameters, index)
        run = partial(
            _apply_if_drawn, lambda which, shape: normals(seed, step, samples[index], which, shape), augmentation
        )
        return augmentation.apply(images[index], labels[index], drawn, run)

    patch = tuple(None if n is None else n - 2 * m for n, m in zip(images.shape[1:4], augmentation.margin, strict=True))
    shapes = (tf.TensorSpec((*patch, images.shape[4]), images.dtype), tf.TensorSpec(patch, labels.dtype))
    return tf.map_fn(augment_sample, tf.range(tf.shape(samples)[0]), fn_output_signature=shapes, parallel_iterations=1)


def _apply_if_drawn(
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
        sample = compiled(transform.apply)(image, labels, drawn, numbers)
        return compiled(transform.finish)(*sample) if transform.finish else sample

    return tf.cond(drawn["drawn"], applied, lambda: transform.otherwise(image, labels))


@lru_cache(maxsize=128)
def compiled(function: Callable[..., Sample]) -> Callable[..., Sample]:
    """Wrap a transform's function so that XLA compiles it at the first call with each shape."""
    return tf.function(function, jit_compile=True)


def normals(seed: int, step: tf.Tensor, sample: tf.Tensor, which: int, shape: tuple[int, ...]) -> tf.Tensor:
    """Standard normal numbers, float32: a pure function of seed, step, sample and `which`, independent of `uniforms`.

    Args:
        seed: Seed of the run.
        step: Index of the update, int scalar.
        sample: Index of the patch in the batch, int scalar.
        which: Index of the transform that uses the numbers.
        shape: Shape of the result.
    """
    stream = tf.constant(seed + (which + 1) * 2**40, tf.int64)
    return tf.random.stateless_normal(shape, seed=tf.stack([stream, _key(step, sample)]), alg="philox")


def _key(step: tf.Tensor, sample: tf.Tensor) -> tf.Tensor:
    # Steps and samples are both far below 2**31, so the pair fits an int64 without clashes.
    return tf.cast(step, tf.int64) * 2**31 + tf.cast(sample, tf.int64)


def uniforms(seed: int, step: tf.Tensor, samples: tf.Tensor, count: int) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32, shape (B, count); row i depends only on seed, step and samples[i].

    The numbers are the same on every device, but not inside `jit_compile`: XLA generates other numbers from the same
    key.

    Args:
        seed: Seed of the run.
        step: Index of the update, int scalar.
        samples: Indices of the patches in the batch, int, shape (B,).
        count: Numbers per sample; may be 0.
    """

    def row(sample: tf.Tensor) -> tf.Tensor:
        return tf.random.stateless_uniform(
            (count,), seed=tf.stack([tf.constant(seed, tf.int64), _key(step, sample)]), alg="philox"
        )

    if samples.shape[0] is None:
        return tf.map_fn(row, samples, fn_output_signature=tf.float32)
    return tf.stack([row(samples[i]) for i in range(samples.shape[0])])
