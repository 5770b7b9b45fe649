"""Prediction in one pass and in tiles: exact sizes, weights by hand, and refused settings."""

import numpy as np
import pytest

from brats_unet.errors import SettingsError
from brats_unet.inference.network import Network
from brats_unet.inference.predictor import gaussian_weights, refuse_invalid_inference, tiled, whole


def identity(patches):
    return patches


def voxelwise(patches):
    """Three probabilities computed from each voxel alone."""
    low = 1 / (1 + np.exp(-patches.astype(np.float32)[..., :1]))
    return np.concatenate([low, low**2, low**3], axis=-1)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 7, 13), (1, 1, 1), (16, 3, 8)])
def test_one_pass_with_the_identity_returns_the_volume_exactly(shape):
    image = noise(*shape, 2)
    np.testing.assert_array_equal(whole(identity, image, (4, 4, 4)), image)


def test_a_whole_volume_is_padded_with_0_to_the_stride_and_no_further():
    seen = []

    def record(patches):
        seen.append(patches.copy())
        return patches

    whole(record, noise(9, 8, 5, 2), (4, 8, 2))
    assert [patches.shape for patches in seen] == [(1, 12, 8, 6, 2)]
    assert not seen[0][0, 0].any() and seen[0][0, 1:10, :, :5].all() and not seen[0][0, :, :, 5].any()


@pytest.mark.parametrize("shape", [(8, 8, 8), (11, 9, 17), (20, 8, 5), (3, 2, 1)])
@pytest.mark.parametrize("overlap", [0, 0.5, 0.75])
def test_tiles_of_a_voxelwise_network_equal_one_pass(shape, overlap):
    image = noise(*shape, 1)
    tiles = tiled(voxelwise, image, (4, 4, 4), (8, 8, 4), overlap)
    one_pass = whole(voxelwise, image, (4, 4, 4))
    assert tiles.dtype == np.float32 and tiles.shape == (*shape, 3)
    np.testing.assert_allclose(tiles, one_pass, atol=1e-6)
    assert tiles.min() >= 0 and tiles.max() <= 1


def test_every_tile_has_the_requested_size_and_the_dtype_of_the_image():
    seen = []

    def record(patches):
        seen.append((patches.shape, patches.dtype))
        return voxelwise(patches)

    tiled(record, noise(10, 8, 3, 1).astype(np.float16), (4, 4, 4), (8, 8, 4), 0.5)
    assert seen == [((1, 8, 8, 4, 1), np.float16)] * 2


def test_where_two_tiles_overlap_the_nearer_tile_has_the_larger_weight():
    calls = []

    def first_0_then_1(patches):
        calls.append(1)
        return np.full((*patches.shape[:-1], 3), len(calls) - 1, np.float32)

    found = tiled(first_0_then_1, noise(12, 8, 8, 1), (4, 4, 4), (8, 8, 8), 0.5)[:, 4, 4, 0]
    assert len(calls) == 2
    assert found[:4].tolist() == [0] * 4 and found[8:].tolist() == [1] * 4
    assert (np.diff(found[3:9]) > 0).all() and found[4] < 0.01 and found[7] > 0.99
    assert found[5] + found[6] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("tile", [(8, 8, 8), (5, 4, 1), (128, 64, 32)])
def test_weights_are_symmetric_above_0_and_largest_in_the_middle(tile):
    weights = gaussian_weights(tile)
    assert weights.shape == tile and weights.dtype == np.float32
    assert weights.min() > 0 and weights.max() == 1
    for axis in range(3):
        np.testing.assert_array_equal(weights, np.flip(weights, axis))
    assert weights[tuple(n // 2 for n in tile)] == 1
    assert np.isfinite(1 / weights).all()


def test_weights_are_a_gaussian_with_sigma_of_an_eighth_of_the_tile():
    weights = gaussian_weights((16, 1, 1)).ravel()
    expected = np.exp(-0.5 * ((np.arange(16) - 7.5) / 2) ** 2)
    np.testing.assert_allclose(weights, expected / expected.max(), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "patches"}, "inference.mode=patches is none of the choices: whole, tiles"),
        ({"tile": (8, 6, 8)}, r"inference.tile=\[8, 6, 8\]: expected three lengths that are multiples of \[4, 4, 4\]"),
        ({"tile": (8, 8)}, "expected three lengths"),
        ({"tile": (8, 8, 0)}, "expected three lengths"),
        ({"overlap": 1}, "inference.overlap=1: expected a share of the tile length, from 0 to below 1"),
        ({"overlap": -0.5}, "inference.overlap=-0.5"),
    ],
)
def test_invalid_settings_are_refused(change, message):
    settings = {"mode": "tiles", "stride": (4, 4, 4), "tile": (8, 8, 8), "overlap": 0.5, **change}
    with pytest.raises(SettingsError, match=message):
        refuse_invalid_inference(**settings)
    inference = {key: value for key, value in settings.items() if key != "stride"}
    with pytest.raises(SettingsError, match=message):
        Network(identity, {"inference": {}}, settings["stride"]).with_options(**inference)
