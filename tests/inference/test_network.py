"""A network that runs out of memory predicts in tiles and logs it; tiles may be added up on the device."""

from functools import lru_cache

import numpy as np
import pytest
import tensorflow as tf

from brats_unet import models
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.errors import SettingsError
from brats_unet.inference.keras_network import explain_full_memory, forward_of, sum_of_tiles_of
from brats_unet.inference.network import Network
from brats_unet.inference.predictor import MemoryFull, tiled
from brats_unet.modality import Modality
from brats_unet.parts import build
from brats_unet.schemes.scheme_file import builtin

WHOLE = {"inference": {"mode": "whole", "tile": [8, 8, 8], "overlap": 0.5}}
TINY = {"name": "unet3d", "features": [4, 8, 8]}
IMAGE = np.random.default_rng(0).random((16, 12, 8, 1), np.float32)


def small_memory(patches):
    if patches.size > 8**3:
        raise MemoryFull(patches.shape)
    return patches / 2


def test_a_volume_too_large_for_the_memory_is_predicted_in_tiles_and_this_is_logged():
    logged = []
    found = Network(small_memory, WHOLE, (1, 1, 1), logged.append).on_prepared_grid(IMAGE)
    np.testing.assert_allclose(found, IMAGE / 2, rtol=1e-5)
    assert len(logged) == 1 and "predicted it in tiles of (8, 8, 8)" in logged[0]


def test_tiles_too_large_for_the_memory_are_an_error():
    tiles = {"inference": {"mode": "tiles", "tile": [16, 8, 8], "overlap": 0.5}}
    with pytest.raises(MemoryFull, match="16×8×8 voxels.*smaller or fewer tiles"):
        Network(small_memory, tiles, (1, 1, 1)).on_prepared_grid(IMAGE)


@pytest.mark.parametrize("mode", ["tiles", "whole"])
def test_warm_up_predicts_one_patch_of_zeros_with_the_size_of_the_stride(mode):
    seen = []

    def record(patches):
        seen.append((patches.shape, bool(patches.any())))
        return patches[..., :3].astype(np.float32)

    preparation = Preparation(tuple(Modality)).as_dict()
    recipe = {"stride": [4, 4, 2], "preparation": preparation, "inference": WHOLE["inference"] | {"mode": mode}}
    Network(record, recipe, (1, 1, 1)).warm_up()
    assert seen == [((1, 4, 4, 2, 4), False)]


@lru_cache
def ways_of(outputs, logits):
    """Probabilities of patches, and of tiles added up where the network computes; of one network."""
    model = build("model", models.known(), TINY, channels=1, outputs=logits, dtype="float32", seed=0)
    return forward_of(model, outputs, builtin()), sum_of_tiles_of(model, outputs, builtin())


@pytest.mark.parametrize("at_once", [1, 3])
@pytest.mark.parametrize(("outputs", "logits"), [("regions", 3), ("labels", 4)])
def test_adding_up_tiles_on_the_device_equals_adding_them_up_on_the_host(outputs, logits, at_once):
    forward, on_device = ways_of(outputs, logits)
    image = np.random.default_rng(0).normal(size=(19, 13, 6, 1)).astype(np.float16)
    found = tiled(forward, image, (4, 4, 4), (8, 8, 8), 0.5, at_once, on_device)
    assert found.shape == (19, 13, 6, 3) and np.ptp(found) > 0.05
    np.testing.assert_allclose(found, tiled(forward, image, (4, 4, 4), (8, 8, 8), 0.5, at_once), atol=1e-6)


def test_networks_that_are_used_once_each_draw_no_warning_of_tensorflow(caplog):
    model = build("model", models.known(), TINY, channels=1, outputs=3, dtype="float32", seed=0)
    tf.get_logger().addHandler(caplog.handler)
    try:
        for _ in range(6):
            forward_of(model, "regions", builtin())(np.zeros((1, 8, 8, 8, 1), np.float16))
    finally:
        tf.get_logger().removeHandler(caplog.handler)
    assert caplog.records == []


def test_a_recipe_with_an_unknown_setting_of_prediction_is_refused():
    recipe = {"inference": WHOLE["inference"] | {"mirrorx": "none"}}
    with pytest.raises(SettingsError, match=r"holds inference\.mirrorx, which this version does not know"):
        Network(small_memory, recipe, (1, 1, 1)).with_options(mode="tiles")


def test_out_of_memory_of_tensorflow_becomes_memory_full():
    with pytest.raises(MemoryFull, match="a batch of 2 patches of 8×8×8 voxels"), explain_full_memory((2, 8, 8, 8, 4)):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")
