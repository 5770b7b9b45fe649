"""Whether a whole volume fits is measured on an eighth of it."""

import time

import numpy as np
import pytest

from brats_unet.inference.prediction_memory import WholeVolume, peak_growth_bytes

IMAGE = np.zeros((40, 40, 40, 1), np.float16)


def hungry(bytes_per_voxel, seen=None):
    def forward(patches):
        if seen is not None:
            seen.append(patches.shape)
        return held_a_moment(int(bytes_per_voxel * np.prod(patches.shape[:4])))

    return forward


def held_a_moment(count, seconds=0.05):
    held = np.ones(count, np.uint8)
    time.sleep(seconds)  # a pass of a network lasts long enough to be seen by the watcher, on a busy machine too
    return held[-1:].sum()


def test_where_there_is_plenty_nothing_is_measured():
    seen = []
    assert WholeVolume(hungry(1, seen), (8, 8, 8), lambda: 10**12).fits(IMAGE) and seen == []


def test_a_volume_fits_by_what_an_eighth_of_it_took_and_that_is_measured_once():
    seen = []
    image = np.zeros((64, 64, 64, 1), np.float16)
    whole = WholeVolume(hungry(3000, seen), (8, 8, 8), lambda: 700 * 2**20)  # 750 MiB needed, 94 measured
    assert not whole.fits(image)
    assert seen == [(1, 8, 8, 8, 1), (1, 32, 32, 32, 1)]
    assert whole.bytes_per_voxel == pytest.approx(3000, rel=0.2)
    assert not whole.fits(image) and len(seen) == 2
    assert WholeVolume(hungry(1500), (8, 8, 8), lambda: 900 * 2**20).fits(image)


def test_a_volume_smaller_than_the_stride_is_measured_in_one_stride():
    seen = []
    WholeVolume(hungry(1, seen), (16, 16, 16), lambda: 1).fits(np.zeros((5, 20, 40, 2), np.float16))
    assert seen[-1] == (1, 16, 16, 16, 2)


def test_growth_is_the_peak_and_not_what_is_left():
    grown = peak_growth_bytes(lambda: held_a_moment(64 * 2**20, seconds=0.3))
    assert 40 * 2**20 < grown < 120 * 2**20
