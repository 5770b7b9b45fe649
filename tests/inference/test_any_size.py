"""Networks made to take any size: same values on multiples of the stride, correct values on other sizes."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from brats_unet.inference.any_size import for_any_size, of_any_size, size_limit
from brats_unet.inference.export_network import write_network
from brats_unet.inference.keras_network import network_of
from brats_unet.inference.runtimes import RUNTIMES
from brats_unet.models import MODELS
from brats_unet.schemes.scheme_file import builtin

SMALL = {"features": [4, 6, 8], "convolutions": 1}
NETWORKS = [
    ("unet3d", {**SMALL}, 4),
    ("unet3d", {**SMALL, "strides": [2, 2, 2], "deep_supervision": False}, 8),
    ("unet3d", {**SMALL, "strides": [1, [2, 1, 2], 2], "foreground_channel": True, "norm": "batch"}, 4),
    ("unet2d", {**SMALL, "norm": "none"}, 4),
    ("resenc_unet", {"features": [4, 6, 8], "blocks": 1}, 4),
    ("nvidia_unet", {"features": [4, 6, 8, 8]}, 8),
]


def build(name, options):
    return MODELS[name](channels=2, outputs=3, seed=1, **options)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def predict(model, image):
    heads = model(image, training=False)
    return keras.ops.convert_to_numpy(heads[0] if isinstance(heads, list) else heads)


@pytest.mark.parametrize(("name", "options", "stride"), NETWORKS)
def test_on_multiples_of_the_stride_predictions_are_the_same(name, options, stride):
    model = build(name, options)
    rank = len(model.inputs[0].shape) - 2
    image = noise(2, *(2 * stride, 3 * stride, stride)[:rank], 2)
    found, expected = predict(of_any_size(model), image), predict(model, image)
    if options.get("norm") in ("none", "batch"):  # only instance norm is replaced
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_instance_norm_is_accurate_over_millions_of_voxels(dtype):
    image = keras.Input((None, None, None, 3))
    norm = keras.layers.GroupNormalization(groups=-1, epsilon=1e-5, dtype=dtype)
    model = keras.Model(image, norm(image))
    norm.gamma.assign([1, 2, 0.5])
    norm.beta.assign([0, -1, 1])
    volume = noise(1, 128, 128, 96, 3) * 2 + 3
    rounded = np.asarray(tf.cast(tf.cast(volume, norm.compute_dtype), tf.float64))
    deviation = np.sqrt(rounded.var(axis=(1, 2, 3), keepdims=True) + 1e-5)
    expected = (rounded - rounded.mean(axis=(1, 2, 3), keepdims=True)) / deviation * [1, 2, 0.5] + [0, -1, 1]
    found = np.asarray(tf.cast(of_any_size(model)(volume), tf.float64))
    tolerance = {"float32": 2e-6, "mixed_bfloat16": 2**-7, "mixed_float16": 2**-10}[dtype]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("groups", [1, 2])
def test_group_norm_with_fewer_groups_than_features_is_not_replaced(groups):
    model = build("unet3d", {**SMALL, "features": [4, 8], "norm": "group", "groups": groups})
    image = noise(2, 4, 6, 8, 2)
    np.testing.assert_array_equal(predict(of_any_size(model), image), predict(model, image))


@pytest.mark.parametrize(("name", "options", "stride"), NETWORKS)
def test_any_shape_goes_in_and_the_same_shape_comes_out(name, options, stride):
    model = of_any_size(build(name, options))
    rank = len(model.inputs[0].shape) - 2
    for shape in ((1, 1, 1), (5, 9, 2), (stride + 1, 2 * stride - 1, stride)):
        found = predict(model, noise(1, *shape[:rank], 2))
        assert found.shape == (1, *shape[:rank], 3) and np.isfinite(found).all()


def test_later_weights_of_the_model_change_the_predictions():
    model = build("unet3d", SMALL)
    shared = of_any_size(model)
    image = noise(1, 5, 6, 7, 2)
    before = predict(shared, image)
    model.set_weights([weight * 0.5 for weight in model.get_weights()])
    assert np.abs(predict(shared, image) - before).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "options"), [("unet3d", SMALL), ("resenc_unet", {"features": [4, 6, 8], "blocks": 1})]
)
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_far_from_its_end_a_volume_of_any_length_is_predicted_as_if_padded_with_zeros(name, options, cut):
    model = build(name, {**options, "norm": "none"})
    whole = noise(1, 8, 8, 48, 2)
    whole[..., 48 - cut :, :] = 0
    padded, fitting = predict(model, whole), predict(of_any_size(model), whole[..., : 48 - cut, :])
    np.testing.assert_allclose(fitting[..., :24, :], padded[..., :24, :], rtol=1e-5, atol=1e-5)


def test_strided_convolution_of_odd_lengths_equals_a_loop():
    image = keras.Input((None, None, None, 1))
    skip = keras.layers.Conv3D(2, 3, padding="same", name="fine")(image)
    low = keras.layers.Conv3D(3, 3, strides=2, padding="same", name="down")(skip)
    grown = keras.layers.Conv3DTranspose(2, 2, strides=2, name="up")(low)
    model = keras.Model(image, keras.layers.Concatenate()([skip, grown]))
    volume = noise(1, 5, 3, 7, 1)
    fine = predict(keras.Model(image, skip), volume)
    kernel, bias = model.get_layer("down").get_weights()
    up, up_bias = model.get_layer("up").get_weights()
    wide = np.pad(fine[0], ((0, 2), (0, 2), (0, 2), (0, 0)))  # output i uses inputs 2 i, 2 i + 1 and 2 i + 2
    expected = np.zeros((6, 4, 8, 2), np.float32)
    for x, y, z in np.ndindex(3, 2, 4):
        box = wide[2 * x : 2 * x + 3, 2 * y : 2 * y + 3, 2 * z : 2 * z + 3]
        value = np.einsum("abci,abcio->o", box, kernel) + bias
        grown_box = np.einsum("i,abcoi->abco", value, up) + up_bias
        expected[2 * x : 2 * x + 2, 2 * y : 2 * y + 2, 2 * z : 2 * z + 2] = grown_box
    found = predict(of_any_size(model), volume)
    np.testing.assert_allclose(found[0, ..., 2:], expected[:5, :3, :7], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[0, ..., :2], fine[0])


@pytest.mark.parametrize(
    ("layer", "remedy"),
    [
        (keras.layers.MaxPooling3D(2, name="down"), "add it to VOXELWISE in brats_unet/inference/any_size.py"),
        (keras.layers.Conv3D(1, 3, strides=2, padding="valid", name="down"), "whose Conv3D has padding=same"),
        (
            keras.layers.Conv3DTranspose(1, 3, strides=2, padding="same", name="down"),
            "kernel_size equal to strides and padding=valid",
        ),
        (keras.layers.AveragePooling3D(2, name="down"), "pool_size equal to strides and padding=same"),
        (keras.layers.Permute((2, 1, 3, 4), name="down"), "make the layer known"),
        (lambda x: keras.ops.sort(x, axis=-1), "add it to VOXELWISE_OPERATIONS"),
    ],
)
def test_a_network_with_an_unknown_layer_keeps_its_stride_and_says_why(layer, remedy):
    image = keras.Input((None, None, None, 1))
    model = keras.Model(image, layer(image))
    limit = size_limit(model)
    assert for_any_size(model, [2, 2, 2]) == (model, (2, 2, 2), limit)
    assert remedy in limit.remedy
    name = f"{type(layer).__name__} (down)" if isinstance(layer, keras.layers.Layer) else "Sort (sort"
    assert f"the layer {name}" in limit.reason


def test_a_model_that_is_not_functional_or_has_two_inputs_keeps_its_stride():
    class Own(keras.Model):
        def call(self, x):
            return x

    assert "is a Own, not a functional Keras model" in size_limit(Own()).reason
    images = [keras.Input((None, None, None, 1)) for _ in range(2)]
    assert "has 2 inputs, not one" in size_limit(keras.Model(images, keras.layers.Add()(images))).reason


def max_pooling_network():
    """A U-Net of two levels that shrinks by max pooling, which `any_size` does not know."""
    image = keras.Input((None, None, None, 1))
    low = keras.layers.MaxPooling3D(2, name="pool")(keras.layers.Conv3D(2, 3, padding="same")(image))
    grown = keras.layers.Conv3DTranspose(3, 2, strides=2)(low)
    return keras.Model(image, grown)


def opened(model, mode, log):
    inference = {"mode": mode, "tile": [4, 4, 4], "overlap": 0.5}
    return network_of(model, {"outputs": "regions", "stride": [2, 2, 2], "inference": inference}, log)


def test_padding_for_an_unknown_layer_is_logged_once_and_names_the_layer():
    logged = []
    network = opened(max_pooling_network(), "whole", logged.append)
    network.on_prepared_grid(noise(4, 6, 2, 1))
    assert logged == []  # multiples of the stride are not padded
    for length in (5, 7):
        assert network.on_prepared_grid(noise(length, 6, 3, 1)).shape == (length, 6, 3, 3)
    assert len(logged) == 1
    assert logged[0].startswith(
        "Padded a whole volume of 5×6×3 voxels with zeros to 6×6×4: the network takes only multiples of 2×2×2, because "
        "the layer MaxPooling3D (pool) is not known to take volumes of any size."
    )
    assert "scores can be lower. Use mode=tiles, or make the layer known" in logged[0]


def test_nothing_is_logged_where_nothing_is_padded():
    logged = []
    opened(max_pooling_network(), "tiles", logged.append).on_prepared_grid(noise(5, 6, 3, 1))
    image = keras.Input((None, None, None, 1))
    known = keras.Model(image, keras.layers.Conv3D(3, 3, padding="same")(image))
    opened(known, "whole", logged.append).on_prepared_grid(noise(5, 6, 3, 1))
    assert logged == []


def test_an_exported_network_with_an_unknown_layer_says_so_when_written_and_keeps_the_reason(tmp_path):
    logged = []
    multiples = write_network(
        max_pooling_network(), "regions", builtin(), [2, 2, 2], tmp_path, "keras", log=logged.append
    )
    assert multiples == (2, 2, 2) and len(logged) == 1
    assert logged[0].startswith(
        "The exported network takes only multiples of 2×2×2 voxels, because the layer MaxPooling3D (pool) is not known"
    )
    engine = RUNTIMES["keras"](tmp_path / "model.keras", "cpu")
    assert not engine.any_size and engine.size_limit == size_limit(max_pooling_network())
