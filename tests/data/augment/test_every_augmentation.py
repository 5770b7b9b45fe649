"""What holds for every augmentation in the table, with the values of conf/ and the options that it declares itself."""

import numpy as np
import pytest
from keras import ops

from brats_unet.data.augment import AUGMENTATIONS
from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.parts import build, contract_options_of
from tests.data.augment.samples import applied, brains, numbers, settings

EVERY = [(name, options) for name, builder in AUGMENTATIONS.items() for options in contract_options_of(builder)]
every_augmentation = pytest.mark.parametrize(("name", "options"), EVERY, ids=str)
LAST = 1 - 2**-24  # the largest uniform number: no probability below 1 is drawn


def built(name, options):
    return build("augmentation", AUGMENTATIONS, {**settings(name), **options})


@every_augmentation
def test_every_transform_draws_its_parameters_for_every_sample(name, options):
    augmentation = built(name, options)
    assert isinstance(augmentation, Augmentation)
    drawn = augmentation.draw(ops.convert_to_tensor(numbers(augmentation, 5)))
    assert len(drawn) == len(augmentation.transforms)
    assert all(value.shape[0] == 5 for parameters in drawn for value in parameters.values())
    assert all(ops.convert_to_numpy(parameters["drawn"]).dtype == bool for parameters in drawn)


@every_augmentation
def test_a_sample_for_which_nothing_is_drawn_does_not_change_by_a_bit(name, options):
    augmentation = built(name, options)
    images, labels = brains()
    uniforms = np.full((3, augmentation.uniforms), LAST, np.float32)
    if any(ops.convert_to_numpy(p["drawn"]).any() for p in augmentation.draw(ops.convert_to_tensor(uniforms))):
        assert 1.0 in options.values()  # something of probability 1
        return
    found = applied(augmentation, uniforms, images, labels)
    np.testing.assert_array_equal(found[0], images)
    np.testing.assert_array_equal(found[1], labels)


@every_augmentation
def test_types_stay_no_label_is_new_and_outside_the_brain_stays_0(name, options):
    augmentation = built(name, options)
    images, labels = brains()
    for seed in range(3):
        found, moved = applied(augmentation, numbers(augmentation, seed=seed), images, labels)
        assert found.dtype == np.float16 and moved.dtype == np.uint8
        assert found.shape == images.shape and moved.shape == labels.shape
        assert np.isfinite(found).all() and set(np.unique(moved)) <= {0, 1, 2, 4}
        outside = (found == 0).all(axis=-1)
        assert 0.2 < outside.mean() < 0.9 and not moved[outside].any()


@every_augmentation
def test_the_same_numbers_give_the_same_samples(name, options):
    augmentation = built(name, options)
    images, labels = brains()
    one, again = (applied(augmentation, numbers(augmentation), images, labels) for _ in range(2))
    np.testing.assert_array_equal(one[0], again[0])
    np.testing.assert_array_equal(one[1], again[1])


@every_augmentation
def test_of_an_image_with_a_margin_only_the_patch_is_left(name, options):
    augmentation = built(name, options).for_patches((6, 6, 6), (12, 9, 6))
    x, y, z = augmentation.margin
    assert x <= 6 and y <= 3 and z == 0
    images, labels = brains(samples=2, edge=18)
    wide, marks = images[:, : 6 + 2 * x, : 6 + 2 * y, :6], labels[:, : 6 + 2 * x, : 6 + 2 * y, :6]
    still = np.full((2, augmentation.uniforms), LAST, np.float32)
    for uniforms in (still, numbers(augmentation, 2)):
        found, moved = applied(augmentation, uniforms, wide, marks)
        assert found.shape == (2, 6, 6, 6, 4) and moved.shape == (2, 6, 6, 6)
    if 1.0 not in options.values():
        found, moved = applied(augmentation, still, wide, marks)
        np.testing.assert_array_equal(found, wide[:, x : x + 6, y : y + 6])
        np.testing.assert_array_equal(moved, marks[:, x : x + 6, y : y + 6])


WITH_DROPOUT = [(name, options) for name, options in EVERY if options.get("modality_dropout")]


@pytest.mark.parametrize(("name", "options"), WITH_DROPOUT, ids=str)
def test_dropout_comes_last_and_is_0_unless_it_is_set(name, options):
    assert built(name, options).modality_dropout == options["modality_dropout"]
    assert built(name, options).transforms[-1].name == "modality_dropout"
    assert built(name, {}).modality_dropout == 0
