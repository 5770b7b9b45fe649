import keras
import numpy as np
import pytest

from brats_unet.models.blocks import start_blocks_at_one
from brats_unet.models.resenc import resenc_unet


@pytest.mark.usefixtures("zero_weights")
@pytest.mark.parametrize(
    ("given", "options", "expected"),
    [  # dynamic-network-architectures 0.4.4, ResidualEncoderUNet with affine instance norm and deep supervision
        ((4, 3), {}, 102_353_167),
        ((4, 3), {"features": [8, 12, 12], "blocks": [1, 2, 1]}, 40_058),
        ((2, 4), {"rank": 2, "features": [32, 64, 128, 256, 512], "blocks": [1, 3, 4, 6, 6]}, 37_717_616),
        (
            (4, 3),
            {
                "features": [8, 16, 32],
                "kernels": [[3, 3, 1], 3, 3],
                "strides": [1, [2, 2, 1], 2],
                "blocks": [1, 2, 3],
                "decoder_convolutions": [1, 2],
            },
            205_990,
        ),
    ],
)
def test_it_has_as_many_weights_as_nnunets_network_to_the_last_one(given, options, expected):
    assert resenc_unet(channels=given[0], outputs=given[1], **options).count_params() == expected


def small(**options):
    return resenc_unet(channels=4, outputs=3, **{"features": [4, 8, 8], "blocks": [1, 2, 1], **options})


def test_layers_are_named_by_what_they_are():
    names = [layer.name for layer in small().layers]
    assert names[:4] == ["image", "lead_in_conv_0", "lead_in_norm_0", "lead_in_act_0"]
    block = [name for name in names if name.startswith("encoder_1_block_0")]
    assert sorted(block) == sorted(
        "encoder_1_block_0_" + piece
        for piece in (
            *("skip_pool", "skip_conv", "skip_norm", "conv_0", "norm_0", "act_0"),
            *("conv_1", "norm_1", "add", "act_1"),
        )
    )
    assert "decoder_0_conv_0" in names and "decoder_0_conv_1" not in names


def test_what_a_block_is_given_is_brought_to_its_shape_only_where_it_has_another():
    names = [layer.name for layer in small().layers]
    assert [name for name in names if name.endswith("skip_pool")] == [
        "encoder_1_block_0_skip_pool",
        "encoder_2_block_0_skip_pool",
    ]
    assert [name for name in names if name.endswith("skip_conv")] == ["encoder_1_block_0_skip_conv"]


def test_a_block_whose_convolutions_are_zero_hands_on_the_average_of_what_it_was_given():
    model = small(norm="none", slope=0.0)
    for layer in model.layers:
        if layer.name.startswith("encoder_2_block_0_conv"):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    ends = ("encoder_1_block_1_act_1", "encoder_2_block_0_act_1")
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 8, 4)).astype("float32")
    given, found = keras.Model(model.input, [model.get_layer(name).output for name in ends])(image)
    blocks = given.numpy().reshape(1, 2, 2, 2, 2, 2, 2, 8)
    np.testing.assert_allclose(found.numpy(), blocks.mean(axis=(2, 4, 6)), rtol=1e-5)


@pytest.mark.parametrize("norm", ["instance", "group", "batch"])
def test_at_first_a_residual_block_passes_on_its_input(norm):
    network = small(norm=norm, groups=2)
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 16, 4)).astype("float32")
    parts = [network.get_layer(f"encoder_1_block_1_{name}").output for name in ("add", "act_1")]
    given = network.get_layer("encoder_1_block_0_act_1").output
    before, added, passed_on = keras.Model(network.input, [given, *parts])(image)
    np.testing.assert_array_equal(added, before)
    np.testing.assert_array_equal(passed_on, np.where(np.asarray(before) < 0, 0.01 * np.asarray(before), before))


def test_by_the_rules_of_version_1_every_scale_starts_at_one():
    network = small()
    scales = {layer.name: layer.gamma.numpy() for layer in network.layers if hasattr(layer, "gamma")}
    from_zero = {f"encoder_{level}_block_{block}_norm_1" for level, block in ((0, 0), (1, 0), (1, 1), (2, 0))}
    assert {name for name, scale in scales.items() if not scale.any()} == from_zero
    start_blocks_at_one(network)
    for layer in network.layers:
        if hasattr(layer, "gamma"):
            np.testing.assert_array_equal(layer.gamma, np.ones(layer.gamma.shape))
