import numpy as np
import pytest
from keras import ops

from brats_unet.data.augment import AUGMENTATIONS, mirror, none, reversed_where
from brats_unet.errors import SettingsError


def batch(samples=3):
    """Images float16 (B, 2, 3, 4, 2) whose first channel is their label, uint8 (B, 2, 3, 4)."""
    labels = np.arange(samples * 24, dtype=np.uint8).reshape(samples, 2, 3, 4)
    return np.stack([labels, 2 * labels.astype(np.float16)], axis=-1).astype(np.float16), labels


def applied(augmentation, uniforms, images, labels):
    images, labels = augmentation.apply(images, labels, augmentation.draw(ops.convert_to_tensor(uniforms)))
    return ops.convert_to_numpy(images), ops.convert_to_numpy(labels)


def test_none_takes_no_numbers_and_changes_nothing():
    images, labels = batch()
    same = none().apply(images, labels, none().draw(np.zeros((3, 0), np.float32)))
    assert none().uniforms == 0 and same[0] is images and same[1] is labels


def test_a_number_below_the_probability_reverses_its_axis_in_its_sample_alone():
    images, labels = batch()
    uniforms = np.array([[0.9, 0.9, 0.9], [0.1, 0.9, 0.9], [0.9, 0.1, 0.1]], np.float32)
    found, _ = applied(mirror(), uniforms, images, labels)
    expected = np.stack([images[0], images[1, ::-1], images[2, :, ::-1, ::-1]])
    np.testing.assert_array_equal(found, expected)


def test_an_axis_that_is_not_named_is_never_reversed():
    images, labels = batch()
    found, _ = applied(mirror(axes=[2]), np.zeros((3, 1), np.float32), images, labels)
    assert mirror(axes=[2]).uniforms == 1
    np.testing.assert_array_equal(found, images[:, :, :, ::-1])


@pytest.mark.parametrize(("probability", "reversed_"), [(0, False), (1, True)])
def test_probability_0_is_never_and_1_is_always(probability, reversed_):
    images, labels = batch()
    extremes = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [1 - 2**-24] * 3], np.float32)
    found, _ = applied(mirror(probability=probability), extremes, images, labels)
    np.testing.assert_array_equal(found, images[:, ::-1, ::-1, ::-1] if reversed_ else images)


def test_labels_move_with_their_images_and_types_stay():
    images, labels = batch(8)
    uniforms = np.random.default_rng(0).random((8, 3)).astype(np.float32)
    found, moved = applied(mirror(), uniforms, images, labels)
    assert found.dtype == np.float16 and moved.dtype == np.uint8
    np.testing.assert_array_equal(found[..., 0], moved)
    assert not np.array_equal(moved, labels)


def test_mirroring_twice_is_the_identity():
    images, labels = batch(8)
    uniforms = np.random.default_rng(1).random((8, 3)).astype(np.float32)
    back = applied(mirror(), uniforms, *applied(mirror(), uniforms, images, labels))
    np.testing.assert_array_equal(back[0], images)
    np.testing.assert_array_equal(back[1], labels)


def test_half_of_the_patches_are_reversed():
    uniforms = np.random.default_rng(2).random((2000, 3)).astype(np.float32)
    reverse = ops.convert_to_numpy(mirror().draw(ops.convert_to_tensor(uniforms))["reverse"])
    np.testing.assert_allclose(reverse.mean(axis=0), 0.5, atol=0.05)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_in_a_graph_it_does_what_it_does_without(name):
    import tensorflow as tf

    augmentation = AUGMENTATIONS[name]()
    images, labels = batch(4)
    uniforms = np.random.default_rng(3).random((4, augmentation.uniforms)).astype(np.float32)

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, augmentation.uniforms)),
            tf.TensorSpec((None, 2, 3, 4, 2), tf.float16),
            tf.TensorSpec((None, 2, 3, 4), tf.uint8),
        ]
    )
    def graph(uniforms, images, labels):
        return augmentation.apply(images, labels, augmentation.draw(uniforms))

    for ours, theirs in zip(
        applied(augmentation, uniforms, images, labels), graph(uniforms, images, labels), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs.numpy())


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_reversal_counts_axes_behind_the_batch(axis):
    _, labels = batch(2)
    found = ops.convert_to_numpy(reversed_where(labels, np.array([True, False]), axis))
    np.testing.assert_array_equal(found, np.stack([np.flip(labels[0], axis), labels[1]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": [0, 0]}, "augmentation.axes=.0, 0.: choose different axes from 0, 1, 2"),
        ({"axes": [3]}, "choose different axes"),
        ({"probability": 1.5}, "augmentation.probability=1.5: a probability lies from 0 to 1"),
        ({"probability": -0.1}, "a probability lies"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        mirror(**options)
