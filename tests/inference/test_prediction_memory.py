"""Whether a whole volume fits the memory is measured on an eighth of it."""

import gc
import time

import numpy as np
import pytest

from brats_unet.inference.prediction_memory import WholeVolume, peak_growth_bytes

IMAGE = np.zeros((40, 40, 40, 1), np.float16)


def needing(bytes_per_voxel, seen=None):
    def forward(patches):
        if seen is not None:
            seen.append(patches.shape)
        return hold(int(bytes_per_voxel * np.prod(patches.shape[:4])))

    return forward


def hold(count, seconds=0.05):
    held = np.ones(count, np.uint8)
    time.sleep(seconds)  # long enough for the watching thread to see it, also on a busy machine
    return held[-1:].sum()


def test_with_plenty_of_free_memory_nothing_is_measured():
    seen = []
    assert WholeVolume(needing(1, seen), (8, 8, 8), lambda: 10**12).fits(IMAGE) and seen == []


def test_the_memory_need_is_measured_once_on_an_eighth_of_the_volume():
    seen = []
    image = np.zeros((64, 64, 64, 1), np.float16)
    whole = WholeVolume(needing(3000, seen), (8, 8, 8), lambda: 700 * 2**20)  # 750 MiB needed, 94 measured
    assert not whole.fits(image)
    assert seen == [(1, 8, 8, 8, 1), (1, 32, 32, 32, 1)]
    assert whole.bytes_per_voxel == pytest.approx(3000, rel=0.2)
    assert not whole.fits(image) and len(seen) == 2
    assert WholeVolume(needing(1500), (8, 8, 8), lambda: 900 * 2**20).fits(image)


def test_a_volume_smaller_than_twice_the_stride_is_measured_with_one_stride():
    seen = []
    WholeVolume(needing(1, seen), (16, 16, 16), lambda: 1).fits(np.zeros((5, 20, 40, 2), np.float16))
    assert seen[-1] == (1, 16, 16, 16, 2)


def test_garbage_that_is_freed_meanwhile_does_not_hide_the_growth():
    cycle = [np.ones(64 * 2**20, np.uint8)]
    cycle.append(cycle)
    del cycle

    def action():
        gc.collect()
        hold(64 * 2**20, seconds=0.3)

    assert 40 * 2**20 < peak_growth_bytes(action) < 120 * 2**20


def test_free_parts_of_the_heap_do_not_hide_the_growth():
    small = [bytearray(100_000) for _ in range(800)]  # 76 MiB in blocks that stay in the heap when they are freed
    last = bytearray(100_000)
    del small
    grown = peak_growth_bytes(lambda: hold_small(64 * 2**20))
    assert grown > 40 * 2**20 and last


def hold_small(count):
    held = [bytearray(b"1") * 100_000 for _ in range(count // 100_000)]
    time.sleep(0.3)
    return len(held)


def test_growth_is_the_peak_not_the_final_value():
    grown = peak_growth_bytes(lambda: hold(64 * 2**20, seconds=0.3))
    assert 40 * 2**20 < grown < 120 * 2**20
