"""What holds for every network in the table, built with the options that it declares in its own file."""

import itertools
import os
import re
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from brats_unet.inference.keras_archive import refuse_unsafe_keras
from brats_unet.models import MODELS, describe
from brats_unet.parts import contract_options_of

ROOT = Path(__file__).parents[2]
EVERY = [(name, options) for name, builder in MODELS.items() for options in contract_options_of(builder)]
every_network = pytest.mark.parametrize(("name", "options"), EVERY, ids=str)


def one_of(name, **wanted):
    """The first options that a network declares with these values among them; its very first if it has none."""
    declared = contract_options_of(MODELS[name])
    return next((options for options in declared if wanted.items() <= options.items()), declared[0])


def build(name, options, *, dtype="float32", seed=0):
    return MODELS[name](channels=4, outputs=3, dtype=dtype, seed=seed, **options)


def images(name, options, edges=(1, 2, 3)):
    """Two images whose edges are so many times the stride, or eight voxels where that is less."""
    shape = describe(name, options)
    units = [-(-8 // stride) * stride for stride in shape.stride]
    voxels = [n * unit for n, unit in zip(edges, units, strict=True)][: shape.rank]
    return np.random.default_rng(0).normal(size=(2, *voxels, 4)).astype("float32")


def arrays(logits):
    return [keras.ops.convert_to_numpy(head) for head in (logits if isinstance(logits, list) else [logits])]


@every_network
def test_every_name_is_chosen_unique_and_the_same_when_built_again(name, options):
    def names(model):
        return [model.name, *(layer.name for layer in model.layers)], [weight.path for weight in model.weights]

    model = build(name, options)
    found, paths = names(model)
    assert (found, paths) == names(build(name, options))
    assert model.name == name
    assert len(set(found)) == len(found) and len(set(paths)) == len(paths)
    automatic = {re.sub(r"(?<!^)(?=[A-Z])", "_", kind).lower() for kind in dir(keras.layers)}
    automatic |= {keras.src.utils.naming.to_snake_case(type(layer).__name__) for layer in model.layers}
    automatic |= {"functional", "model"}
    assert not [name for name in found if re.sub(r"_\d+$", "", name) in automatic]
    assert all("/" not in name for name in found)


@every_network
def test_logits_are_as_many_and_as_fine_as_described(name, options):
    network_shape, image = describe(name, options), images(name, options)
    logits = arrays(build(name, options)(image))
    assert len(logits) == network_shape.heads
    assert logits[0].shape == (*image.shape[:-1], 3) and {head.dtype for head in logits} == {np.dtype("float32")}
    assert all(coarse.size < fine.size for fine, coarse in itertools.pairwise(logits))


@every_network
def test_a_saved_network_loads_without_custom_objects_and_predicts_the_same(name, options, tmp_path):
    model, image = build(name, options), images(name, options, (1, 1, 1))
    model.save(tmp_path / "model.keras")
    refuse_unsafe_keras(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    for before, after in zip(arrays(model(image)), arrays(loaded(image)), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_finite_and_reach_every_weight_in_16_bits(name, dtype, request):
    if dtype == "mixed_bfloat16":
        request.getfixturevalue("onednn_has_bfloat16")
    # 4 voxels or more along x at the deepest stage. With 2 there, oneDNN's bfloat16 gradient of a 3x3x3 kernel is wrong and reads
    # memory that nobody wrote (TensorFlow 2.21; two patches or more).
    options = one_of(name, norm="batch")
    model, image = build(name, options, dtype=dtype), images(name, options, (4, 1, 1))
    assert {weight.dtype for weight in model.weights} == {"float32"}
    with tf.GradientTape() as tape:
        heads = model(image, training=True)
        loss = sum(tf.reduce_mean(head**2) for head in (heads if isinstance(heads, list) else [heads]))
    slopes = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
    for weight, slope in zip(model.trainable_weights, slopes, strict=True):
        assert slope is not None and np.isfinite(slope.numpy()).all(), weight.path


@pytest.mark.parametrize("name", MODELS)
def test_initial_weights_depend_on_the_seed_alone(name):
    one, again, other = (build(name, one_of(name), seed=seed).get_weights() for seed in (5, 5, 6))
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_the_defaults_of_every_network_have_a_shape_that_takes_a_patch_of_two_strides(name):
    network_shape = describe(name, {})
    network_shape.refuse_patch([step * 2 if step > 1 else 1 for step in network_shape.stride])
    assert network_shape.heads >= 1


WITH_FOREGROUND = [(name, options) for name, options in EVERY if options.get("foreground_channel")]


@pytest.mark.parametrize(("name", "options"), WITH_FOREGROUND, ids=str)
def test_the_foreground_channel_is_one_where_any_channel_is_not_zero(name, options):
    model, image = build(name, options), images(name, options, (1, 1, 1))
    image[:, :3] = 0
    image[:, 4, ..., :3] = 0
    given = keras.Model(model.input, model.get_layer("image_foreground").output)(image).numpy()
    np.testing.assert_array_equal(given[..., :4], image)
    np.testing.assert_array_equal(given[..., 4], (image != 0).any(axis=-1))
    assert given[:, 4, ..., 4].all() and not given[:, :3, ..., 4].any()


JAX = ROOT / ".venv-jax" / "bin" / "python"


@pytest.mark.skipif(not JAX.exists(), reason="no .venv-jax: an environment with jax, keras and numpy alone")
def test_on_jax_every_network_predicts_what_it_does_on_tensorflow(tmp_path):
    options = {name: one_of(name, foreground_channel=True) for name in MODELS}
    given = {f"{name}/image": images(name, options[name], (1, 1, 1)) for name in MODELS}
    expected = {}
    for name in MODELS:
        model = build(name, options[name])
        given |= {f"{name}/{index}": weight for index, weight in enumerate(model.get_weights())}
        expected[name] = arrays(model(given[f"{name}/image"]))[0]
    np.savez(tmp_path / "in.npz", **given)
    script = (
        "import sys, numpy as np\n"
        "from brats_unet.models import MODELS\n"
        f"options = {options!r}\n"
        "given, found = np.load(sys.argv[1] + '/in.npz'), {}\n"
        "for name, build in MODELS.items():\n"
        "    model = build(channels=4, outputs=3, **options[name])\n"
        "    model.set_weights([given[f'{name}/{i}'] for i in range(len(model.weights))])\n"
        "    heads = model(given[name + '/image'])\n"
        "    found[name] = np.asarray(heads[0] if isinstance(heads, list) else heads)\n"
        "np.savez(sys.argv[1] + '/out.npz', **found)\n"
    )
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(ROOT)}
    command = [str(JAX), "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    for name, theirs in np.load(tmp_path / "out.npz").items():
        np.testing.assert_allclose(theirs, expected[name], atol=2e-5, err_msg=name)
