"""A network that runs out of memory goes on in tiles, and says so; tiles may be added up where it computes."""

import numpy as np
import pytest
import tensorflow as tf

from brats_unet import models
from brats_unet.anatomy import Modality
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.inference.keras_network import explain_full_memory, forward_of, sum_of_tiles_of
from brats_unet.inference.network import Network
from brats_unet.inference.predictor import MemoryFull, tiled
from brats_unet.parts import build

WHOLE = {"inference": {"mode": "whole", "tile": [8, 8, 8], "overlap": 0.5}}
TINY = {"name": "unet3d", "features": [4, 8, 8]}
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


@pytest.mark.parametrize("mode", ["tiles", "whole"])
def test_warming_up_takes_one_patch_of_zeros_of_the_stride(mode):
    asked = []

    def look(patches):
        asked.append((patches.shape, bool(patches.any())))
        return patches[..., :3].astype(np.float32)

    preparation = Preparation(tuple(Modality)).as_dict()
    recipe = {"stride": [4, 4, 2], "preparation": preparation, "inference": WHOLE["inference"] | {"mode": mode}}
    Network(look, recipe, (1, 1, 1)).warm_up()
    assert asked == [((1, 4, 4, 2, 4), False)]


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize(("outputs", "logits"), [("regions", 3), ("labels", 4)])
def test_tiles_added_up_where_the_network_computes_are_those_added_up_on_the_host(outputs, logits, at_once):
    model = build("model", models.known(), TINY, channels=1, outputs=logits, dtype="float32", seed=0)
    forward, added_up = forward_of(model, outputs), sum_of_tiles_of(model, outputs)
    image = np.random.default_rng(0).normal(size=(19, 13, 6, 1)).astype(np.float16)
    there = tiled(forward, image, (4, 4, 4), (8, 8, 8), 0.5, at_once, added_up)
    assert there.shape == (19, 13, 6, 3) and np.ptp(there) > 0.05
    np.testing.assert_allclose(there, tiled(forward, image, (4, 4, 4), (8, 8, 8), 0.5, at_once), atol=1e-6)


def test_tiles_too_large_for_the_memory_that_they_are_added_up_in_are_the_same_error():
    with pytest.raises(MemoryFull, match="a batch of 2 patches of 8×8×8 voxels"), explain_full_memory((2, 8, 8, 8, 4)):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")
