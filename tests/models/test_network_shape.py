import subprocess
import sys

import pytest

from brats_unet.errors import SettingsError
from brats_unet.models import describe
from brats_unet.models.network_shape import NetworkShape

HALVED_TWICE = NetworkShape(rank=3, strides=((1, 1, 1), (2, 2, 2), (2, 2, 1)), heads=2)


def test_the_stride_is_the_product_over_the_stages():
    assert HALVED_TWICE.stride == (4, 4, 2)


@pytest.mark.parametrize("name", ["unet2d", "unet3d", "resenc_unet", "nvidia_unet"])
def test_by_default_our_networks_take_128_voxels_and_have_a_head_at_every_level_of_the_decoder_or_three(name):
    network_shape = describe(name, {})
    network_shape.refuse_patch([128, 128, 1 if network_shape.rank == 2 else 128])
    assert network_shape.heads == (3 if name == "nvidia_unet" else len(network_shape.strides) - 1)


def test_by_default_a_volume_is_halved_five_times_and_a_slice_four_times():
    assert describe("unet3d", {}).stride == (32, 32, 32)
    assert describe("unet2d", {}).stride == (16, 16, 1)


def test_nvidias_network_halves_a_volume_six_times_and_the_residual_one_five_times():
    assert describe("nvidia_unet", {}).stride == (64, 64, 64)
    assert describe("resenc_unet", {}).stride == (32, 32, 32)
    assert describe("resenc_unet", {"rank": 2}).stride == (32, 32, 1)


@pytest.mark.parametrize(
    ("deep_supervision", "strides", "heads", "lowest"),
    [
        (True, None, 3, False),
        (False, None, 1, True),
        (0, None, 1, True),
        (1, None, 2, True),
        (2, None, 3, True),
        (True, [2, 2, 2, 2], 4, False),
        (3, [2, 2, 2, 2], 4, True),
    ],
)
def test_all_heads_but_the_lowest_are_trained_or_as_many_as_asked(deep_supervision, strides, heads, lowest):
    options = {"features": [4, 8, 8, 8], "deep_supervision": deep_supervision, "strides": strides}
    network_shape = describe("unet3d", options)
    assert (network_shape.heads, network_shape.lowest_head) == (heads, lowest)


def test_an_anisotropic_network_says_its_stride_per_axis():
    network_shape = describe("unet3d", {"features": [4, 8, 8], "strides": [1, [2, 2, 1], 2]})
    assert network_shape.strides == ((1, 1, 1), (2, 2, 1), (2, 2, 2))
    assert network_shape.stride == (4, 4, 2)


def test_a_patch_of_whole_blocks_passes():
    HALVED_TWICE.refuse_patch([60, 80, 64])
    HALVED_TWICE.refuse_patch([8, 4, 2])


@pytest.mark.parametrize(
    ("patch", "fitting"),
    [([62, 79, 63], "[64,80,64]"), ([1, 80, 64], "[4,80,64]"), ([4, 4, 2], "[8,8,4]")],
)
def test_a_patch_that_does_not_fit_is_answered_with_one_that_does(patch, fitting):
    with pytest.raises(SettingsError, match="shrinks 4×4×2 voxels to one") as refusal:
        HALVED_TWICE.refuse_patch(patch)
    assert f"sampling.patch={fitting}" in str(refusal.value)


def test_a_2d_network_refuses_a_patch_of_many_slices():
    with pytest.raises(SettingsError, match=r"takes axial slices. Set sampling.patch=\[64,80,1\]"):
        describe("unet2d", {}).refuse_patch([64, 80, 64])


def test_a_patch_of_two_numbers_is_refused():
    with pytest.raises(SettingsError, match=r"inference.tile is 64×64. Expected three"):
        HALVED_TWICE.refuse_patch([64, 64], "inference.tile")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet4d", {}, r"no model named unet4d. Did you mean unet3d\?|Did you mean unet2d\?"),
        ("unet3d", {"feature": [8, 8]}, "no option feature. Did you mean features"),
        ("unet3d", {"outputs": 3}, "no option outputs"),
        ("unet3d", {"features": [8]}, "Expected two stages or more"),
        ("unet3d", {"features": [8, 0]}, "model.features"),
        ("unet3d", {"features": [8, 8], "strides": [1, 2, 2]}, "model.strides .* Expected 2 entries"),
        ("unet2d", {"features": [8, 8], "strides": [1, [2, 2, 2]]}, "or a list of 2"),
        ("unet3d", {"features": [8, 8], "kernels": [3, "3"]}, "model.kernels"),
        ("unet3d", {"features": [8, 8], "convolutions": [1, 2, 2]}, "model.convolutions .* 2 of them"),
        ("unet3d", {"features": [8, 8], "convolutions": 101}, "Expected a whole number from 1 to 100, or 2 of"),
        ("unet3d", {"features": [8, 8], "convolutions": 10**20}, "a whole number of at most 18 digits, or a list"),
        ("unet3d", {"features": [8, 10**9]}, "model.features .* Expected a whole number from 1 to 100000, or 2 of"),
        ("unet3d", {"features": [8, 8], "decoder_convolutions": [1, 1]}, "decoder_convolutions .* 1 of them"),
        ("unet3d", {"norm": "instanse"}, "Did you mean instance"),
        ("unet3d", {"norm": "group", "features": [8, 12], "groups": 8}, "multiple of model.groups"),
        ("unet3d", {"slope": 1.5}, "model.slope is 1.5"),
        ("unet3d", {"features": [8, 8, 8], "deep_supervision": 2}, "model.deep_supervision is 2. .*: 1 at most"),
        ("nvidia_unet", {"deep_supervision": -1}, "model.deep_supervision is -1"),
        ("resenc_unet", {"blocks": [1, 2]}, r"model.blocks is \[1, 2\]"),
        ("resenc_unet", {"rank": 4}, "model.rank is 4"),
        ("nvidia_unet", {"strides": [2]}, "no option strides"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(name, options, message):
    with pytest.raises(SettingsError, match=message):
        describe(name, options)


def test_a_network_is_described_and_a_typo_refused_without_keras():
    program = (
        "import sys; from brats_unet import losses, models; models.describe('unet3d', {}); losses.LOSSES['label_ce']();"
        "sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
