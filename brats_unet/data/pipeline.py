"""Patches from the memory maps into tf.data: float16 images, uint8 labels, nothing cast and nothing kept."""

import numpy as np
import tensorflow as tf

from brats_unet.data.sampling import Sampler, cut


def read_batch(sampler: Sampler, step: int, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Patches `samples` of batch `step` with the sampler's margin around them, 0 where they stick out of the volume.

    Images are float16 (B, X, Y, Z, M), labels uint8 (B, X, Y, Z).
    """
    channels = sampler.cases[0].image.shape[-1]
    images = aligned((len(samples), *sampler.read_shape, channels), np.float16)
    labels = aligned((len(samples), *sampler.read_shape), np.uint8)
    for row, sample in enumerate(samples):
        place = sampler.place(int(step), int(sample))
        case = sampler.cases[place.case]
        if case.labels is None:
            raise ValueError(f"{case.id} has no labels to learn from.")
        x, y, z = (first - m for first, m in zip(place.start, sampler.margin, strict=True))
        cut(case.image, (x, y, z), images[row])
        cut(case.labels, (x, y, z), labels[row])
    return images, labels


def aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """An array not yet filled that begins at a multiple of 64 bytes: TensorFlow takes it over, others it copies."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    room = np.empty(size + 63, np.uint8)
    first = -room.ctypes.data % 64
    return room[first : first + size].view(dtype).reshape(shape)


def batches(
    sampler: Sampler, *, first_step: int, steps: int, replicas: int = 1, workers: int = 1, worker: int = 0
) -> tf.data.Dataset:
    """Batches `first_step` … `steps` - 1, each dealt out to the replicas.

    Sample i of a batch goes to replica i modulo their number; element k of the dataset is the share of this worker's
    replica k modulo its replicas. No state is kept: to resume is to begin at another `first_step`.

    Args:
        sampler: Where each patch is cut.
        first_step: First batch.
        steps: End of the budget.
        replicas: Devices over all workers; divides the batch.
        workers: Processes that train together.
        worker: Which of them this is.

    Returns:
        Elements (step int64, samples int64 (b,), images float16 (b, X, Y, Z, M), labels uint8 (b, X, Y, Z)) with
        b = batch / replicas.
    """
    mine = replicas // workers
    share = sampler.batch // replicas
    channels = sampler.cases[0].image.shape[-1]

    def load(element: tf.Tensor) -> tuple[tf.Tensor, ...]:
        step = element // mine
        replica = worker * mine + element % mine
        samples = tf.range(share, dtype=tf.int64) * replicas + replica
        images, labels = tf.numpy_function(
            lambda step, samples: read_batch(sampler, step, samples), [step, samples], [tf.float16, tf.uint8]
        )
        images.set_shape((share, *sampler.read_shape, channels))
        labels.set_shape((share, *sampler.read_shape))
        samples.set_shape((share,))
        return step, samples, images, labels

    elements = tf.data.Dataset.range(first_step * mine, steps * mine)
    return elements.map(load, num_parallel_calls=2, deterministic=True).prefetch(2 * mine)
