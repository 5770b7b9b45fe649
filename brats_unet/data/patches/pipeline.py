"""Batches of patches from disk, memory or device tensors: float16 images and uint8 labels, bit-identical from each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import tensorflow as tf

from brats_unet.data.patches.sampling import Sampler, cut
from brats_unet.data.prepare.cache import PreparedCase


def read_batch(sampler: Sampler, step: int, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read patches of one batch, with the sampler's margin on each side; 0 where a patch extends beyond the volume.

    Args:
        sampler: Sampler that places the patches.
        step: Index of the batch.
        samples: Indices of the patches to read, int, shape (B,).

    Returns:
        Images, float16, shape (B, X, Y, Z, M), and labels, uint8, shape (B, X, Y, Z).

    Raises:
        ValueError: A case has no labels.
    """
    channels = sampler.cases[0].image.shape[-1]
    images = aligned((len(samples), *sampler.read_shape, channels), np.float16)
    labels = aligned((len(samples), *sampler.read_shape), np.uint8)
    for row, sample in enumerate(samples):
        place = sampler.place(int(step), int(sample))
        case = sampler.cases[place.case]
        if case.labels is None:
            raise ValueError(f"{case.id} has no labels. Expected a mask for every training case.")
        x, y, z = (first - m for first, m in zip(place.start, sampler.margin, strict=True))
        cut(case.image, (x, y, z), images[row])
        cut(case.labels, (x, y, z), labels[row])
    return images, labels


def aligned(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Uninitialised array whose address is a multiple of 64 bytes, so that TensorFlow can use it without a copy."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = np.empty(size + 63, np.uint8)
    first = -buffer.ctypes.data % 64
    return buffer[first : first + size].view(dtype).reshape(shape)


def batches(
    sampler: Sampler, *, first_step: int, steps: int, replicas: int = 1, workers: int = 1, worker: int = 0
) -> Iterable[tuple[tf.Tensor, ...]]:
    """Batches `first_step` to `steps` - 1, split over the replicas.

    Sample i of a batch goes to replica i modulo `replicas`. The elements of a batch follow one another: one for each
    replica of this worker, in order. There is no hidden state: to resume a run, start at another `first_step`.

    If the cases have copies on the devices, each replica's patches are cut on its own device. Otherwise tf.data reads
    and prefetches them.

    Args:
        sampler: Sampler that places the patches.
        first_step: Index of the first batch.
        steps: Index after the last batch; no element if it is at most `first_step`.
        replicas: Number of devices over all workers; must divide the batch size.
        workers: Number of processes that train together; must divide `replicas`.
        worker: Index of this process.

    Returns:
        Elements (step int64, samples int64 (b,), images float16 (b, X, Y, Z, M), labels uint8 (b, X, Y, Z)) with
        b = batch / replicas.
    """
    local_replicas = replicas // workers
    share = sampler.batch // replicas
    if sampler.cases[0].copies:
        return _from_copies(
            sampler, first_step * local_replicas, steps * local_replicas, replicas, local_replicas, worker
        )
    channels = sampler.cases[0].image.shape[-1]

    def load(element: tf.Tensor) -> tuple[tf.Tensor, ...]:
        step = element // local_replicas
        replica = worker * local_replicas + element % local_replicas
        samples = tf.range(share, dtype=tf.int64) * replicas + replica
        images, labels = tf.numpy_function(
            lambda step, samples: read_batch(sampler, step, samples), [step, samples], [tf.float16, tf.uint8]
        )
        images.set_shape((share, *sampler.read_shape, channels))
        labels.set_shape((share, *sampler.read_shape))
        samples.set_shape((share,))
        return step, samples, images, labels

    elements = tf.data.Dataset.range(first_step * local_replicas, steps * local_replicas)
    return elements.map(load, num_parallel_calls=2, deterministic=True).prefetch(2 * local_replicas)


def on_devices(
    cases: Sequence[PreparedCase],
    devices: Sequence[str],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[PreparedCase]:
    """Copy each case to every device.

    Args:
        cases: Prepared cases with labels.
        devices: TensorFlow device names, one per replica of this worker, in their order.
        progress: Called with the number of cases copied and the total number.

    Returns:
        The cases with `copies` set.

    Raises:
        ValueError: A case has no labels.
    """
    kept = []
    for done, case in enumerate(cases, 1):
        if case.labels is None:
            raise ValueError(f"{case.id} has no labels. Expected a mask for every training case.")
        voxels = np.concatenate([case.image, case.labels[..., None].astype(np.float16)], axis=-1)
        copies = []
        for device in devices:
            with tf.device(device):
                copies.append(tf.identity(tf.convert_to_tensor(voxels)))
        kept.append(replace(case, copies=tuple(copies)))
        progress(done, len(cases))
    return kept


def _from_copies(
    sampler: Sampler, first: int, end: int, replicas: int, local_replicas: int, worker: int
) -> Iterator[tuple[tf.Tensor, ...]]:
    """Elements `first` to `end` - 1 of `batches`, cut from the copies on the devices."""
    share = sampler.batch // replicas
    for element in range(first, end):
        step, local = divmod(element, local_replicas)
        samples = np.arange(share, dtype=np.int64) * replicas + worker * local_replicas + local
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
        # A patch may extend beyond the volume on any side, or lie outside it completely; it is padded with 0.
        low = tf.clip_by_value(start, 0, length)
        high = tf.clip_by_value(start + patch, low, length)
        before = tf.clip_by_value(low - start, 0, patch)
        inside = tf.slice(voxels, tf.concat([low, [0]], 0), tf.concat([high - low, [-1]], 0))
        edges = tf.stack([before, patch - before - (high - low)], axis=1)
        patches.append(tf.ensure_shape(tf.pad(inside, tf.pad(edges, [[0, 1], [0, 0]])), (*patch, voxels.shape[-1])))
    stacked = tf.stack(patches)
    return stacked[..., :-1], tf.cast(stacked[..., -1], tf.uint8)
