"""Decide whether a whole volume fits host memory by measuring a pass over an eighth of it.

A GPU raises an error when its memory is full, and prediction continues in tiles. A Linux host kills the process
instead, so its memory is checked beforehand.
"""

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Sequence

import numpy as np
import psutil

from brats_unet.hardware import memory_available_bytes

SAMPLE_SECONDS = 0.002
# With this much free memory nothing is measured: no built-in network has needed more than a quarter of it (unet3d:
# 0.7 KiB in bfloat16, 1 KiB in float32).
PLENTY_BYTES_PER_VOXEL = 4096
RESERVE = 1.25  # free memory must be at least this many times the measured need


def peak_growth_bytes(action: Callable[[], object]) -> int:
    """Largest growth of this process's resident memory while `action` runs, in bytes."""
    process = psutil.Process()

    def resident() -> int:
        return int(process.memory_info().rss)

    _give_back_free_memory()  # memory that is free within the process would hide as much of the growth
    done = threading.Event()
    before = peak = resident()

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        action()
    finally:
        done.set()
        watcher.join()
    return max(peak, resident()) - before


def _give_back_free_memory() -> None:
    """Collect garbage and, with glibc, return the free parts of the heap to the system."""
    gc.collect()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


class WholeVolume:
    """Decides whether whole volumes fit host memory; measures once, at the first large volume.

    Args:
        forward: Network, patches to region probabilities.
        stride: Lengths whose multiples the network takes along x, y, z; the measured patch is a multiple of them.
        free: Returns the available bytes; tests pass another function.
    """

    def __init__(
        self,
        forward: Callable[[np.ndarray], object],
        stride: Sequence[int],
        free: Callable[[], int] = memory_available_bytes,
    ) -> None:
        self.forward = forward
        self.stride = tuple(stride)
        self.free = free
        self.bytes_per_voxel: float | None = None

    def fits(self, image: np.ndarray) -> bool:
        """Whether one pass over `image` (X, Y, Z, M) is expected to fit."""
        free = self.free()
        voxels = int(np.prod(image.shape[:3]))
        if free > PLENTY_BYTES_PER_VOXEL * voxels:
            return True
        if self.bytes_per_voxel is None:
            self.bytes_per_voxel = self._measured(image)
        return RESERVE * self.bytes_per_voxel * voxels < free

    def _measured(self, image: np.ndarray) -> float:
        """Bytes per voxel, measured with a pass over a box of half the length along each axis."""
        half = tuple(max(s, n // 2 // s * s) for n, s in zip(image.shape[:3], self.stride, strict=True))
        inner = image[tuple(slice(0, n) for n in half)]
        patch = np.zeros((1, *half, image.shape[3]), image.dtype)
        patch[0][tuple(slice(0, n) for n in inner.shape[:3])] = inner
        x, y, z = self.stride
        self.forward(patch[:, :x, :y, :z])  # trace first: tracing takes memory once
        return peak_growth_bytes(lambda: self.forward(patch)) / float(np.prod(half))
