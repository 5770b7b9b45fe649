import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from keras import ops

from brats_unet.data.augment import AUGMENTATIONS
from brats_unet.data.augment.augmentation import Augmentation, refuse_blank_samples
from brats_unet.data.augment.mirror import mirror, none
from brats_unet.data.augment.nnunet import full
from brats_unet.errors import SettingsError
from tests.data.augment.samples import CONF, applied, batch, brains, built, numbers, settings

RECIPES = [name for name, builder in AUGMENTATIONS.items() if builder is full]


def test_none_takes_no_numbers_and_changes_nothing():
    images, labels = batch()
    found = applied(none(), np.zeros((3, 0), np.float32), images, labels)
    assert none().uniforms == 0
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)


def test_a_number_below_the_probability_reverses_its_axis_in_its_sample_alone():
    images, labels = batch()
    uniforms = np.array([[0.9, 0.9, 0.9], [0.1, 0.9, 0.9], [0.9, 0.1, 0.1]], np.float32)
    found, _ = applied(mirror(), uniforms, images, labels)
    expected = np.stack([images[0], images[1, ::-1], images[2, :, ::-1, ::-1]])
    np.testing.assert_array_equal(found, expected)


def test_an_axis_that_is_not_named_is_never_reversed():
    images, labels = batch()
    found, _ = applied(mirror(axes=[2]), np.zeros((3, 3), np.float32), images, labels)
    np.testing.assert_array_equal(found, images[:, :, :, ::-1])


@pytest.mark.parametrize(("probability", "reversed_"), [(0, False), (1, True)])
def test_probability_0_is_never_and_1_is_always(probability, reversed_):
    images, labels = batch()
    extremes = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [1 - 2**-24] * 3], np.float32)
    found, _ = applied(mirror(probability=probability), extremes, images, labels)
    np.testing.assert_array_equal(found, images[:, ::-1, ::-1, ::-1] if reversed_ else images)


def test_labels_move_with_their_images_and_types_stay():
    images, labels = batch(8)
    found, moved = applied(mirror(), numbers(mirror(), 8), images, labels)
    assert found.dtype == np.float16 and moved.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], moved)
    assert not np.array_equal(moved, labels)


def test_mirroring_twice_is_the_identity():
    images, labels = batch(8)
    uniforms = numbers(mirror(), 8, seed=1)
    back = applied(mirror(), uniforms, *applied(mirror(), uniforms, images, labels))
    np.testing.assert_array_equal(back[0], images)
    np.testing.assert_array_equal(back[1], labels)


def test_half_of_the_patches_are_reversed():
    reverse = mirror().draw(ops.convert_to_tensor(numbers(mirror(), 2000, seed=2)))[0]["reverse"]
    np.testing.assert_allclose(ops.convert_to_numpy(reverse).mean(axis=0), 0.5, atol=0.05)


@pytest.mark.parametrize("name", RECIPES)
def test_every_transform_is_drawn_as_often_as_the_recipe_says(name):
    augmentation, recipe = built(name), settings(name)
    drawn = augmentation.draw(ops.convert_to_tensor(numbers(augmentation, 4000)))
    shares = {
        transform.name: float(np.mean(ops.convert_to_numpy(found["drawn"])))
        for transform, found in zip(augmentation.transforms, drawn, strict=True)
    }
    untouched = np.prod([1 - recipe[part]["probability"] for part in ("rotation", "scaling", "elastic")])
    assert shares.pop("spatial") == pytest.approx(1 - untouched, abs=0.03)
    assert shares.pop("mirror") == pytest.approx(untouched * 7 / 8, abs=0.03)
    for part, share in shares.items():
        # none of the four modalities may be taken
        some = 1 - (1 - recipe[part].get("per_channel", 1)) ** 4
        assert share == pytest.approx(recipe[part]["probability"] * some, abs=0.03), part
    assert set(shares) == {part for part in recipe if part in shares or recipe[part] == 0} - {
        "modality_dropout",
        "in_plane",
    }


ALL = {f"{part}__probability": 1 for part in ("rotation", "elastic", "noise", "blur", "brightness", "contrast")}
ALL |= {f"{part}__probability": 1 for part in ("low_resolution", "gamma_inverted", "shift", "gamma", "mirror")}


def test_with_all_transforms_no_label_is_new_types_stay_and_outside_the_brain_is_0():
    augmentation = built("da_star", **ALL)
    images, labels = brains()
    found, moved = applied(augmentation, numbers(augmentation), images, labels)
    assert found.dtype == np.float16 and moved.dtype == np.uint8 and found.shape == images.shape
    assert set(np.unique(moved)) <= {0, 1, 2, 4} and np.isfinite(found).all()
    outside = (found == 0).all(axis=-1)
    assert 0.2 < outside.mean() < 0.9 and not moved[outside].any()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_rotates_reads_beyond_the_patch_as_far_as_the_volume_goes(name):
    margin = built(name).for_patches((6, 6, 6), (12, 9, 6)).margin
    assert margin[2] == 0 < margin[1] <= 3


def test_the_margin_is_that_of_nnunet_and_no_larger_than_the_largest_volume():
    wide = built("nnunet").for_patches((128, 128, 128), (999, 999, 999)).margin
    assert all(100 < 64 + m < 105 for m in wide)  # nnU-Net reads 205 voxels
    assert built("nnunet").for_patches((128, 128, 128), (140, 180, 100)).margin == (12, 40, 0)
    assert built("nnunet").for_patches((128, 128, 1), (999, 999, 99)).margin[2] == 0
    assert mirror().for_patches((128, 128, 128), (999, 999, 999)).margin == (0, 0, 0)


def test_patches_that_overhang_are_read_with_all_the_volume_before_them():
    margins = {
        largest: built("nnunet").for_patches((128, 128, 128), (largest,) * 3, overhang=True).margin
        for largest in (64, 65, 70, 100, 105, 140, 999)
    }
    # the last voxel is the 64th from the start of a patch that is centred on it
    assert margins == {n: (m,) * 3 for n, m in {64: 0, 65: 0, 70: 5, 100: 35, 105: 40, 140: 40, 999: 40}.items()}
    assert built("nnunet").for_patches((128, 128, 1), (999, 999, 99), overhang=True).margin[2] == 0
    assert mirror().for_patches((128, 128, 128), (140, 180, 100), overhang=True).margin == (0, 0, 0)


def test_a_transform_of_probability_0_is_left_out():
    off = {f"{part}__probability": 0 for part, told in settings("da").items() if isinstance(told, dict)}
    assert [transform.name for transform in built("da", **off).transforms] == ["mirror"]


def test_dropout_leaves_at_least_one_modality_and_drops_the_others_as_often_as_its_probability():
    augmentation = none(modality_dropout=0.7)
    images = np.ones((500, 1, 1, 2, 4), np.float16)
    found, _ = applied(augmentation, numbers(augmentation, 500), images, np.zeros((500, 1, 1, 2), np.uint8))
    left = found[:, 0, 0, 0].sum(axis=1)
    assert left.min() == 1 and augmentation.modality_dropout == 0.7
    # binomial, the case of none counted as one
    assert left.mean() == pytest.approx(4 * 0.3 + 0.7**4, abs=0.12)
    np.testing.assert_array_equal(found[:, 0, 0, 0], found[:, 0, 0, 1])


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("mirror", {"axes": [0, 0]}, "augmentation.axes=.0, 0.: choose different axes from 0, 1, 2"),
        ("mirror", {"axes": [3]}, "choose different axes"),
        ("mirror", {"probability": 1.5}, "augmentation.probability=1.5: a probability lies from 0 to 1"),
        ("mirror", {"probability": "often"}, "augmentation.probability=often does not fit. Expected a number"),
        ("none", {"modality_dropout": 1}, "all modalities would be dropped"),
        ("none", {"modality_dropout": -0.5}, "augmentation.modality_dropout=-0.5: expected 0 up to"),
        ("nnunet", {"rotations": {}}, "augmentation=nnunet has no option rotations. Did you mean rotation?"),
        ("nnunet", {"blur__sigmas": 1}, "no setting augmentation.blur.sigmas. Did you mean sigma?"),
        ("nnunet", {"blur__sigma": [1, 0.5]}, r"augmentation.blur.sigma=\[1, 0.5\] is reversed"),
        ("nnunet", {"blur__sigma": [1]}, "expected two numbers"),
        ("nnunet", {"blur__per_channel": 2}, "augmentation.blur.per_channel=2: a probability lies"),
        ("nnunet", {"low_resolution__zoom": [0.5, 2]}, r"zoom=\[0.5, 2\]: expected numbers from 0.01 up to 1"),
        ("nnunet", {"noise__sigma": [-1, 1]}, "expected numbers from 0 or more"),
        ("nnunet", {"mirror__axes": [0, 4]}, "augmentation.mirror.axes=.0, 4."),
        ("nnunet", {"shift__sigma": -1.0}, "augmentation.shift.sigma=-1: a standard deviation is 0 or more"),
        ("nnunet", {"gamma": 3}, "augmentation.gamma=3 does not fit. Expected a section"),
        ("nnunet", {"scaling__balanced": "maybe"}, "augmentation.scaling.balanced=maybe does not fit"),
    ],
)
def test_options_out_of_range_are_refused(name, changed, message):
    with pytest.raises(SettingsError, match=message):
        built(name, **changed)


def test_dropout_of_the_only_modality_is_refused():
    with pytest.raises(SettingsError, match="with one modality would leave nothing"):
        refuse_blank_samples(none(modality_dropout=0.1), 1)
    refuse_blank_samples(none(modality_dropout=0.1), 2)
    refuse_blank_samples(Augmentation(), 1)


def test_a_recipe_needs_the_options_of_every_transform():
    with pytest.raises(TypeError, match="rotation"):
        full()


JAX = Path(__file__).parents[3] / ".venv-jax" / "bin" / "python"


@pytest.mark.skipif(not JAX.exists(), reason="no .venv-jax: an environment with jax, keras and numpy alone")
def test_on_jax_it_does_what_it_does_on_tensorflow(tmp_path):
    # The settings travel as JSON: that environment need not read YAML.
    augmentation = built("da_star", **ALL, modality_dropout=0.2)
    images, labels = brains()
    uniforms = numbers(augmentation)
    found, moved = applied(augmentation, uniforms, images.astype(np.float32), labels)
    np.savez(tmp_path / "in.npz", images=images.astype(np.float32), labels=labels, uniforms=uniforms)
    script = (
        "import json, sys, numpy as np, jax\n"
        "from keras import ops\n"
        "from brats_unet.data.augment.augmentation import of_sample, plain_run\n"
        "from brats_unet.data.augment.nnunet import full\n"
        "folder, told = sys.argv[1], json.loads(sys.argv[2])\n"
        "given = np.load(folder + '/in.npz')\n"
        "augmentation = full(**told)\n"
        "run = plain_run(lambda t, shape: np.random.default_rng(9).normal(size=shape).astype(np.float32))\n"
        "parameters = augmentation.draw(ops.convert_to_tensor(given['uniforms']))\n"
        "one = jax.jit(lambda image, labels, drawn: augmentation.apply(image, labels, drawn, run))\n"
        "done = [one(i, l, of_sample(parameters, k)) for k, (i, l) in enumerate(zip(given['images'], given['labels']))]\n"
        "np.savez(folder + '/out.npz', images=[d[0] for d in done], labels=[d[1] for d in done])\n"
    )
    told = {k: v for k, v in settings("da_star", **ALL, modality_dropout=0.2).items() if k != "name"}
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(CONF.parents[1])}
    command = [str(JAX), "-c", script, str(tmp_path), json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    theirs = np.load(tmp_path / "out.npz")
    assert np.abs(theirs["images"] - found).max() < 2e-3  # through nine transforms one after another
    assert np.mean(theirs["labels"] != moved) < 1e-3  # of those that lie half-way between two voxels


@pytest.mark.parametrize("name", RECIPES)
def test_up_to_four_channels_take_the_same_numbers_and_more_take_more(name):
    augmentation = built(name, modality_dropout=0.5)
    assert all(augmentation.for_channels(n).uniforms == augmentation.uniforms for n in (1, 4))
    per_channel = sum(transform.per_channel for transform in augmentation.rest)
    assert per_channel > 0
    assert augmentation.for_channels(6).uniforms == augmentation.uniforms + 2 * per_channel


def test_every_transform_of_six_channels_changes_the_fifth_and_sixth():
    images, labels = brains(samples=2, channels=6)
    recipe = settings("nnunet", modality_dropout=0.0)
    for part in ("noise", "blur", "brightness", "contrast", "low_resolution", "gamma_inverted", "gamma", "shift"):
        off = {
            f"{other}__probability": 0.0 for other, value in recipe.items() if isinstance(value, dict) and other != part
        }
        sure = {f"{part}__{key}": 1.0 for key in ("probability", "per_channel") if key in recipe[part]}
        augmentation = built("nnunet", **off, **sure).for_channels(6)
        found, _ = applied(augmentation, numbers(augmentation, 2), images, labels)
        assert all(not np.array_equal(found[..., channel], images[..., channel]) for channel in range(6)), part
