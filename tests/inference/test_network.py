"""A network that runs out of memory goes on in tiles, and says so."""

import numpy as np
import pytest

from brats_unet.anatomy import Modality
from brats_unet.data.preprocess import Preparation
from brats_unet.inference.network import Network
from brats_unet.inference.predictor import MemoryFull

WHOLE = {"inference": {"mode": "whole", "tile": [8, 8, 8], "overlap": 0.5}}
IMAGE = np.random.default_rng(0).random((16, 12, 8, 1), np.float32)


def small_memory(patches):
    if patches.size > 8**3:
        raise MemoryFull(patches.shape)
    return patches / 2


def test_a_volume_too_large_for_the_memory_is_predicted_in_tiles_and_that_is_said():
    said = []
    found = Network(small_memory, WHOLE, (1, 1, 1), said.append).on_prepared_grid(IMAGE)
    np.testing.assert_allclose(found, IMAGE / 2, rtol=1e-5)
    assert len(said) == 1 and "predicted it in tiles of (8, 8, 8)" in said[0]


def test_tiles_too_large_for_the_memory_are_an_error():
    tiles = {"inference": {"mode": "tiles", "tile": [16, 8, 8], "overlap": 0.5}}
    with pytest.raises(MemoryFull, match="16×8×8 voxels.*smaller or fewer tiles"):
        Network(small_memory, tiles, (1, 1, 1)).on_prepared_grid(IMAGE)


def test_warming_up_takes_one_patch_of_zeros_of_the_stride():
    asked = []
    recipe = {"stride": [4, 4, 2], "preparation": Preparation(tuple(Modality)).as_dict()}
    Network(asked.append, recipe, (1, 1, 1)).warm_up()
    assert [(patches.shape, patches.any()) for patches in asked] == [((1, 4, 4, 2, 4), False)]
