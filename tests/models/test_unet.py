import itertools
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import brats_unet.models
from brats_unet.models import MODELS, describe

U_NETS = ("unet2d", "unet3d")
SMALL = {"features": [4, 6, 8], "convolutions": 1}


def build(name="unet3d", *, channels=4, outputs=3, **options):
    return MODELS[name](channels=channels, outputs=outputs, **{**SMALL, **options})


def images(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def arrays(logits):
    return [keras.ops.convert_to_numpy(head) for head in (logits if isinstance(logits, list) else [logits])]


@pytest.mark.parametrize(
    ("name", "given", "options", "expected"),
    [  # dynamic-network-architectures 0.4.4, PlainConvUNet with affine instance norm and deep supervision
        ("unet3d", (4, 3), {"features": [32, 64, 128, 256, 320]}, 16_550_668),
        ("unet3d", (4, 3), {"features": [16, 32, 64, 96]}, 1_138_185),
        ("unet2d", (2, 4), {"features": [32, 64, 128, 256, 512]}, 7_767_600),
        (
            "unet3d",
            (4, 3),
            {
                "features": [8, 16, 32],
                "kernels": [[3, 3, 1], 3, 3],
                "strides": [1, [2, 2, 1], 2],
                "convolutions": [1, 2, 3],
                "decoder_convolutions": [1, 2],
            },
            106_902,
        ),
    ],
)
def test_it_has_as_many_weights_as_nnunets_network_to_the_last_one(name, given, options, expected):
    model = MODELS[name](channels=given[0], outputs=given[1], **options)
    assert model.count_params() == expected


@pytest.mark.parametrize("name", U_NETS)
def test_layers_are_named_by_what_they_are(name):
    assert [layer.name for layer in build(name).layers] == [
        "image",
        *("encoder_0_conv_0", "encoder_0_norm_0", "encoder_0_act_0"),
        *("encoder_1_conv_0", "encoder_1_norm_0", "encoder_1_act_0"),
        *("encoder_2_conv_0", "encoder_2_norm_0", "encoder_2_act_0"),
        *("decoder_1_up", "decoder_1_skip", "decoder_1_conv_0", "decoder_1_norm_0", "decoder_1_act_0"),
        *("decoder_0_up", "decoder_0_skip", "decoder_0_conv_0", "decoder_0_norm_0", "decoder_0_act_0"),
        *("head_0", "head_1", "head_0_logits", "head_1_logits"),
    ]


AWAY_FROM_DEFAULTS = [
    {},
    {"norm": "batch"},
    {"norm": "group", "groups": 2},
    {"norm": "none", "slope": 0.0},
    {"strides": [2, 2, 2]},
    {"deep_supervision": False},
    {"deep_supervision": 1},
    {"strides": [2, 2, 2], "deep_supervision": 1, "foreground_channel": True},
]


@pytest.mark.parametrize("options", AWAY_FROM_DEFAULTS, ids=str)
def test_logits_come_full_resolution_first_as_many_as_planned_on_any_volume(options):
    network_shape, model = describe("unet3d", {**SMALL, **options}), build(**options)
    for edges in ((8, 16, 24), (24, 8, 8)):
        logits = arrays(model(images(2, *edges, 4)))
        assert len(logits) == network_shape.heads
        assert logits[0].shape == (2, *edges, 3)
        for finer, coarser in itertools.pairwise(logits):
            assert coarser.shape == (2, *(edge // 2 for edge in finer.shape[1:-1]), 3)


def test_a_slice_gives_logits_of_a_slice():
    logits = arrays(build("unet2d", channels=2, outputs=4)(images(3, 8, 16, 2)))
    assert [head.shape for head in logits] == [(3, 8, 16, 4), (3, 4, 8, 4)]


def test_slices_through_a_network_flat_along_z_are_slices_through_the_2d_network():
    flat = {"kernels": [[3, 3, 1]] * 3, "strides": [1, [2, 2, 1], [2, 2, 1]], "norm": "none"}
    deep, slicewise = build("unet3d", **flat), build("unet2d", norm="none")
    assert [layer.name for layer in deep.layers] == [layer.name for layer in slicewise.layers]
    slicewise.set_weights(
        [there.reshape(here.shape) for there, here in zip(deep.get_weights(), slicewise.get_weights(), strict=True)]
    )
    volume = images(1, 8, 8, 3, 4)
    whole = arrays(deep(volume))[0]
    for z in range(3):
        np.testing.assert_allclose(whole[:, :, :, z], arrays(slicewise(volume[:, :, :, z]))[0], atol=1e-5)


def test_a_sample_is_predicted_alike_alone_and_in_company():
    model, pair = build(), images(2, 8, 8, 8, 4)
    np.testing.assert_allclose(arrays(model(pair))[0][:1], arrays(model(pair[:1]))[0], atol=1e-5)


def test_the_image_may_be_scaled_as_a_whole_without_changing_the_prediction():
    # What instance normalisation is for. Biases of the first convolution are 0 in a new network.
    model, volume = build(), images(1, 8, 8, 8, 4)
    np.testing.assert_allclose(arrays(model(3.0 * volume))[0], arrays(model(volume))[0], atol=1e-3)


def test_first_weights_depend_on_the_seed_and_the_name_alone():
    def kernels(**options):
        return {weight.path: weight.numpy() for weight in build(**options).weights if "kernel" in weight.path}

    keras.utils.set_random_seed(1)
    one = kernels(seed=5)
    keras.utils.set_random_seed(2)
    again, other, deeper = kernels(seed=5), kernels(seed=6), kernels(seed=5, convolutions=2)
    assert all(np.array_equal(one[path], again[path]) for path in one)
    assert not any(np.array_equal(one[path], other[path]) for path in one)
    assert np.array_equal(one["encoder_0_conv_0/kernel"], deeper["encoder_0_conv_0/kernel"])
    assert not np.array_equal(deeper["encoder_1_conv_1/kernel"], deeper["decoder_1_conv_1/kernel"])


def test_first_weights_have_the_spread_of_he():
    kernel = build(features=[32, 32], convolutions=2).get_layer("encoder_0_conv_1").kernel.numpy()
    assert kernel.std() == pytest.approx((2 / (27 * 32)) ** 0.5, rel=0.02)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", keras.DTypePolicy("mixed_bfloat16")], ids=["name", "policy"])
def test_in_bfloat16_the_features_are_bfloat16_and_weights_and_logits_float32(dtype):
    before = keras.config.dtype_policy().name
    model = build(dtype=dtype)
    assert model.get_layer("encoder_1_act_0").output.dtype == "bfloat16"
    assert {weight.dtype for weight in model.weights} == {"float32"}
    assert {head.dtype for head in model.outputs} == {"float32"}
    assert keras.config.dtype_policy().name == before == "float32"


def test_bfloat16_predicts_nearly_what_float32_does(onednn_has_bfloat16):
    volume = images(1, 16, 16, 16, 4)
    exact, rough = arrays(build()(volume))[0], arrays(build(dtype="mixed_bfloat16")(volume))[0]
    assert np.abs(exact - rough).mean() < 0.03 * np.abs(exact).mean()


def test_the_networks_never_import_tensorflow():
    for file in Path(brats_unet.models.__file__).parent.glob("*.py"):
        assert not re.search(r"^\s*(import|from) tensorflow", file.read_text(), re.MULTILINE), file
