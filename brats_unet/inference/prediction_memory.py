"""Whether a whole volume fits the host's memory: measured on an eighth of it, not guessed.

A GPU says that its memory is full and prediction goes on in tiles; a Linux host kills the process instead, so there it
is asked beforehand.
"""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import psutil

from brats_unet.hardware import memory_available_bytes

SAMPLE_SECONDS = 0.002
# No network of ours has needed a quarter of this (unet3d: 0.7 KiB in bfloat16, 1 KiB in float32): where so much is
# free, no measuring.
PLENTY_BYTES_PER_VOXEL = 4096
RESERVE = 1.25  # what is free must be so much more than what was measured


def peak_growth_bytes(action: Callable[[], object]) -> int:
    """By how much the memory of this process grew at the most while `action` ran."""
    process = psutil.Process()

    def resident() -> int:
        return int(process.memory_info().rss)

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


class WholeVolume:
    """Whether whole volumes fit the memory of the host; measured once, when the first large volume is asked about.

    Args:
        forward: Of the network.
        stride: Of the network: the measured patch is a multiple of it.
        free: Bytes that can still be had; `memory_available_bytes` but in tests.
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
        """Whether a pass over `image` (X, Y, Z, M) can be expected to fit."""
        free = self.free()
        voxels = int(np.prod(image.shape[:3]))
        if free > PLENTY_BYTES_PER_VOXEL * voxels:
            return True
        if self.bytes_per_voxel is None:
            self.bytes_per_voxel = self._measured(image)
        return RESERVE * self.bytes_per_voxel * voxels < free

    def _measured(self, image: np.ndarray) -> float:
        """Bytes a voxel, from a pass over a box half as long in each direction."""
        half = tuple(max(s, n // 2 // s * s) for n, s in zip(image.shape[:3], self.stride, strict=True))
        inner = image[tuple(slice(0, n) for n in half)]
        patch = np.zeros((1, *half, image.shape[3]), image.dtype)
        patch[0][tuple(slice(0, n) for n in inner.shape[:3])] = inner
        x, y, z = self.stride
        self.forward(patch[:, :x, :y, :z])  # tracing grows the process too, once
        return peak_growth_bytes(lambda: self.forward(patch)) / float(np.prod(half))
