from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from brats_unet.data.augment import options
from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.data.augment.intensity import gamma, gaussian_noise
from brats_unet.data.augment.mirror import mirror, mirroring, none
from brats_unet.data.augment.spatial import spatial
from brats_unet.data.patches.draws import augmented, normals, uniforms


def drawn(seed=1, step=5, samples=(0, 1, 2, 3), count=3):
    return uniforms(seed, tf.constant(step, tf.int64), tf.constant(samples, tf.int64), count).numpy()


def test_uniform_numbers_lie_in_0_to_below_1_and_spread_evenly():
    found = drawn(samples=range(400), count=5)
    assert found.shape == (400, 5) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() < 1
    np.testing.assert_allclose(found.mean(axis=0), 0.5, atol=0.06)
    assert abs(np.corrcoef(found[:-1, 0], found[1:, 0])[0, 1]) < 0.15


def test_a_row_does_not_depend_on_the_other_samples():
    whole = drawn(samples=range(6))
    np.testing.assert_array_equal(drawn(samples=(4,)), whole[4:5])
    np.testing.assert_array_equal(drawn(samples=(5, 1, 3)), whole[[5, 1, 3]])
    np.testing.assert_array_equal(drawn(samples=range(0, 6, 2)), whole[::2])


def test_equal_keys_give_equal_numbers_and_other_keys_give_others():
    found = [drawn(), drawn(seed=2), drawn(step=6), drawn(samples=(4, 5, 6, 7))]
    np.testing.assert_array_equal(found[0], drawn())
    assert len(np.unique(np.concatenate(found))) == 4 * 12
    np.testing.assert_array_equal(drawn(step=2**31, samples=(0,)), drawn(step=2**31, samples=(0,)))


@pytest.mark.parametrize("length", [None, 3])
def test_a_graph_with_known_or_unknown_batch_size_gives_the_same_numbers(length):
    graph = tf.function(
        lambda step, samples: uniforms(1, step, samples, 3),
        input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((length,), tf.int64)],
    )
    found = graph(tf.constant(5, tf.int64), tf.constant([2, 0, 1], tf.int64)).numpy()
    np.testing.assert_array_equal(found, drawn()[[2, 0, 1]])


def test_a_count_of_0_gives_no_numbers():
    assert drawn(count=0).shape == (4, 0)


def noisy(margin=(0, 0, 0)):
    """One transform of each kind that draws differently: spatial with a displacement field, noise, gamma and mirroring."""
    axes = options.Mirror([0, 1, 2], 0.5)
    parts = options.Rotation(0.5, [-30, 30]), options.Scaling(0.3, 0, [0.7, 1.4], False)
    found = Augmentation(
        (gaussian_noise(options.Noise(0.5, [0, 0.1])), gamma(options.Gamma(0.5, [0.7, 1.5])), mirroring(axes)),
        lambda margin: spatial(*parts, options.Elastic(0.3, [0, 0.25], [0.125, 0.5]), axes, margin),
    )
    return replace(found, margin=margin)


NOISY = noisy()  # shared, so that it is compiled only once


def patches(samples=4, shape=(6, 6, 6)):
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, *shape, 2)).astype(np.float16), rng.choice(
        np.array([0, 1, 2, 4], np.uint8), size=(samples, *shape)
    )


def augmented_arrays(augmentation, images, labels, samples, step=7, graph=False):
    def call(step, samples, images, labels):
        return augmented(augmentation, 3, step, samples, images, labels)

    call = tf.function(call) if graph else call
    found = call(tf.constant(step, tf.int64), tf.constant(samples, tf.int64), tf.constant(images), tf.constant(labels))
    return [part.numpy() for part in found]


def test_a_sample_is_augmented_the_same_alone_in_a_batch_and_in_a_graph():
    images, labels = patches()
    whole = augmented_arrays(NOISY, images, labels, range(4), graph=True)
    assert whole[0].dtype == np.float16 and whole[1].dtype == np.uint8
    assert sum(not np.array_equal(*pair) for pair in zip(whole[0], images, strict=True)) >= 3
    for graph in (False, True):
        for picked in ([2], [3, 1]):
            found = augmented_arrays(NOISY, images[picked], labels[picked], picked, graph=graph)
            np.testing.assert_array_equal(found[0], whole[0][picked])
            np.testing.assert_array_equal(found[1], whole[1][picked])


def test_another_step_gives_another_augmentation_and_the_same_step_the_same():
    images, labels = patches()
    first, again, other = (augmented_arrays(NOISY, images, labels, range(4), step)[0] for step in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_margin_is_removed():
    images, labels = patches(shape=(8, 10, 6))
    found = augmented_arrays(noisy(margin=(1, 2, 0)), images, labels, range(4), graph=True)
    assert found[0].shape == (4, 6, 6, 6, 2) and found[1].shape == (4, 6, 6, 6)


def test_none_changes_nothing_and_mirror_moves_images_and_labels_together():
    images, labels = patches()
    images[..., 0] = labels
    same = augmented_arrays(none(), images, labels, range(4))
    np.testing.assert_array_equal(same[0], images)
    found = augmented_arrays(mirror(), images, labels, range(4))
    np.testing.assert_array_equal(found[0][..., 0], found[1])
    assert not np.array_equal(found[1], labels)


def test_normal_numbers_have_mean_0_and_deviation_1_and_differ_between_transforms():
    step, sample = tf.constant(5, tf.int64), tf.constant(2, tf.int64)
    found = [normals(1, step, sample, which, (20, 20, 20)).numpy() for which in (0, 1, 0)]
    assert abs(found[0].mean()) < 0.05 and found[0].std() == pytest.approx(1, abs=0.03)
    np.testing.assert_array_equal(found[0], found[2])
    assert abs(np.corrcoef(found[0].ravel(), found[1].ravel())[0, 1]) < 0.05
