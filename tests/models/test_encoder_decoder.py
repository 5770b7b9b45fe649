"""What holds for every network."""

import itertools
import os
import re
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from brats_unet.models import MODELS, describe

ROOT = Path(__file__).parents[2]
SMALL = {
    "unet2d": {"convolutions": 1},
    "unet3d": {"convolutions": 1},
    "resenc_unet": {"blocks": [1, 2, 1]},
    "nvidia_unet": {"deep_supervision": 1},
}
STYLES = [
    {},
    {"norm": "batch"},
    {"norm": "group", "groups": 2},
    {"norm": "none"},
    {"deep_supervision": False},
    {"deep_supervision": 1, "foreground_channel": True},
]
EVERY = [(name, style) for name in MODELS for style in STYLES] + [
    ("resenc_unet", {"rank": 2}),
    ("resenc_unet", {"strides": [2, 2, [2, 2, 1]], "decoder_convolutions": [2, 1]}),
]
every_network = pytest.mark.parametrize(("name", "style"), EVERY, ids=str)


def options_of(name, style):
    return {"features": [4, 6, 8], **SMALL.get(name, {}), **style}


def build(name, style=None, *, dtype="float32", seed=0):
    return MODELS[name](channels=4, outputs=3, dtype=dtype, seed=seed, **options_of(name, style or {}))


def images(name, style=None, edges=(8, 16, 24)):
    rank = describe(name, options_of(name, style or {})).rank
    return np.random.default_rng(0).normal(size=(2, *edges[:rank], 4)).astype("float32")


def arrays(logits):
    return [keras.ops.convert_to_numpy(head) for head in (logits if isinstance(logits, list) else [logits])]


@every_network
def test_every_name_is_chosen_unique_and_the_same_when_built_again(name, style):
    def names(model):
        return [model.name, *(layer.name for layer in model.layers)], [weight.path for weight in model.weights]

    model = build(name, style)
    found, paths = names(model)
    assert (found, paths) == names(build(name, style))
    assert model.name == name
    assert len(set(found)) == len(found) and len(set(paths)) == len(paths)
    automatic = {re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower() for kind in dir(keras.layers)}
    automatic |= {keras.src.utils.naming.to_snake_case(type(layer).__name__) for layer in model.layers}
    automatic |= {"functional", "model"}
    assert not [name for name in found if re.sub(r"_\d+$", "", name) in automatic]
    assert all("/" not in name for name in found)


@every_network
def test_logits_are_as_many_and_as_fine_as_planned(name, style):
    network_shape, image = describe(name, options_of(name, style)), images(name, style)
    logits = arrays(build(name, style)(image))
    assert len(logits) == network_shape.heads
    assert logits[0].shape == (*image.shape[:-1], 3) and {head.dtype for head in logits} == {np.dtype("float32")}
    assert all(coarse.size < fine.size for fine, coarse in itertools.pairwise(logits))


@every_network
def test_a_saved_network_loads_without_custom_objects_and_predicts_the_same(name, style, tmp_path):
    model, image = build(name, style), images(name, style, (8, 8, 8))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for before, after in zip(arrays(model(image)), arrays(loaded(image)), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_finite_and_reach_every_weight_in_16_bits(name, dtype):
    model, image = build(name, {"norm": "batch"}, dtype=dtype), images(name, edges=(8, 8, 8))
    assert {weight.dtype for weight in model.weights} == {"float32"}
    with tf.GradientTape() as tape:
        loss = sum(tf.reduce_mean(head**2) for head in model(image, training=True))
    slopes = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, slope in zip(model.trainable_weights, slopes, strict=True):
        assert slope is not None and np.isfinite(slope.numpy()).all(), weight.path


@pytest.mark.parametrize("name", MODELS)
def test_first_weights_depend_on_the_seed_alone(name):
    one, again, other = (build(name, seed=seed).get_weights() for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_the_foreground_channel_is_one_where_any_channel_is_not_zero(name):
    model, image = build(name, {"foreground_channel": True}), images(name, edges=(8, 8, 8))
    image[:, :3] = 0
    image[:, 4, ..., :3] = 0
    given = keras.Model(model.input, model.get_layer("image_foreground").output)(image).numpy()
    np.testing.assert_array_equal(given[..., :4], image)
    np.testing.assert_array_equal(given[..., 4], (image != 0).any(axis=-1))
    assert given[:, 4, ..., 4].all() and not given[:, :3, ..., 4].any()


def test_batch_normalisation_follows_the_batch_in_training_and_its_moving_statistics_otherwise():
    model, image = build("unet3d", {"norm": "batch"}), images("unet3d", edges=(8, 8, 8))
    norm = model.get_layer("encoder_0_norm_0")
    features = keras.Model(model.input, [model.get_layer("encoder_0_conv_0").output, norm.output])
    before, after = arrays(features(image, training=True))
    axes = (0, 1, 2, 3)
    np.testing.assert_allclose(after.mean(axis=axes), 0, atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.1 * before.mean(axis=axes), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.numpy(), 0.9 + 0.1 * before.var(axis=axes), rtol=1e-4)
    plain = arrays(features(image))[1]
    moving = (before - norm.moving_mean.numpy()) / np.sqrt(norm.moving_variance.numpy() + 1e-5)
    np.testing.assert_allclose(plain, moving, rtol=1e-3, atol=1e-4)


JAX = ROOT / ".venv-jax" / "bin" / "python"


@pytest.mark.skipif(not JAX.exists(), reason="no .venv-jax: an environment with jax, keras and numpy alone")
def test_on_jax_every_network_predicts_what_it_does_on_tensorflow(tmp_path):
    style = {"foreground_channel": True}
    given = {f"{name}/image": images(name, edges=(8, 8, 8)) for name in MODELS}
    expected = {}
    for name in MODELS:
        model = build(name, style)
        given |= {f"{name}/{index}": weight for index, weight in enumerate(model.get_weights())}
        expected[name] = arrays(model(given[f"{name}/image"]))[0]
    np.savez(tmp_path / "in.npz", **given)
    script = (
        "import sys, numpy as np\n"
        "from brats_unet.models import MODELS\n"
        f"options = { ({name: options_of(name, style) for name in MODELS})!r}\n"
        "given, found = np.load(sys.argv[1] + '/in.npz'), {}\n"
        "for name, build in MODELS.items():\n"
        "    model = build(channels=4, outputs=3, **options[name])\n"
        "    model.set_weights([given[f'{name}/{i}'] for i in range(len(model.weights))])\n"
        "    found[name] = np.asarray(model(given[name + '/image'])[0])\n"
        "np.savez(sys.argv[1] + '/out.npz', **found)\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    command = [str(JAX), "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, theirs in np.load(tmp_path / "out.npz").items():
        np.testing.assert_allclose(theirs, expected[name], atol=2e-5, err_msg=name)
