"""Patches from disk, memory or tensors on the device: float16 images, uint8 labels, the same bits from each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from brats_unet.data.patches.sampling import Sampler, cut
from brats_unet.data.prepare.cache import PreparedCase


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
) -> Iterable[tuple[tf.Tensor, ...]]:
    """Batches `first_step` … `steps` - 1, each dealt out to the replicas.

    Sample i of a batch goes to replica i modulo their number; element k of the dataset is the share of this worker's
    replica k modulo its replicas. No state is kept: to resume is to begin at another `first_step`.

    Cases that have copies on the devices are cut there, each share on its replica's; others are read ahead by tf.data.

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
    if sampler.cases[0].copies:
        return _from_copies(sampler, first_step * mine, steps * mine, replicas, mine, worker)
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


def on_devices(
    cases: Sequence[PreparedCase],
    devices: Sequence[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PreparedCase]:
    """The cases with a copy on each of `devices`, in the order of the replicas of this worker."""
    kept = []
    for done, case in enumerate(cases, 1):
        if case.labels is None:
            raise ValueError(f"{case.id} has no labels to learn from.")
        voxels = np.concatenate([case.image, case.labels[..., None].astype(np.float16)], axis=-1)
        copies = []
        for device in devices:
            with tf.device(device):
                copies.append(tf.identity(tf.convert_to_tensor(voxels)))
        kept.append(replace(case, copies=tuple(copies)))
        progress(done, len(cases))
    return kept


def _from_copies(
    sampler: Sampler, first: int, end: int, replicas: int, mine: int, worker: int
) -> Iterator[tuple[tf.Tensor, ...]]:
    share = sampler.batch // replicas
    for element in range(first, end):
        step, local = divmod(element, mine)
        samples = np.arange(share, dtype=np.int64) * replicas + worker * mine + local
        places = [sampler.place(step, int(sample)) for sample in samples]
        copies = [sampler.cases[place.case].copies[local] for place in places]
        starts = [np.subtract(place.start, sampler.margin).astype(np.int32) for place in places]
        with tf.device(copies[0].device):
            images, labels = _cut_copies(copies, starts, sampler.read_shape)
        yield tf.constant(step, tf.int64), tf.constant(samples), images, labels


@tf.function(reduce_retracing=True)
def _cut_copies(copies, starts, patch):
    patches = []
    for voxels, start in zip(copies, starts, strict=True):
        length = tf.shape(voxels)[:3]
        # The patch may stick out of the volume anywhere, and even lie beside it: what is missing is 0.
        low = tf.clip_by_value(start, 0, length)
        high = tf.clip_by_value(start + patch, low, length)
        before = tf.minimum(low - start, patch)
        inside = tf.slice(voxels, tf.concat([low, [0]], 0), tf.concat([high - low, [-1]], 0))
        edges = tf.stack([before, patch - before - (high - low)], axis=1)
        patches.append(tf.ensure_shape(tf.pad(inside, tf.pad(edges, [[0, 1], [0, 0]])), (*patch, voxels.shape[-1])))
    stacked = tf.stack(patches)
    return stacked[..., :-1], tf.cast(stacked[..., -1], tf.uint8)
