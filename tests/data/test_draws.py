import numpy as np
import pytest
import tensorflow as tf

from brats_unet.data.draws import uniforms


def drawn(seed=1, step=5, samples=(0, 1, 2, 3), count=3):
    return uniforms(seed, tf.constant(step, tf.int64), tf.constant(samples, tf.int64), count).numpy()


def test_numbers_lie_in_0_to_below_1_and_spread_evenly():
    found = drawn(samples=range(400), count=5)
    assert found.shape == (400, 5) and found.dtype == np.float32
    assert found.min() >= 0 and found.max() < 1
    np.testing.assert_allclose(found.mean(axis=0), 0.5, atol=0.06)
    assert abs(np.corrcoef(found[:-1, 0], found[1:, 0])[0, 1]) < 0.15


def test_a_row_depends_on_seed_step_and_sample_alone_not_on_its_company():
    whole = drawn(samples=range(6))
    np.testing.assert_array_equal(drawn(samples=(4,)), whole[4:5])
    np.testing.assert_array_equal(drawn(samples=(5, 1, 3)), whole[[5, 1, 3]])
    np.testing.assert_array_equal(drawn(samples=range(0, 6, 2)), whole[::2])


def test_the_same_again_is_the_same_and_any_change_is_another():
    found = [drawn(), drawn(seed=2), drawn(step=6), drawn(samples=(4, 5, 6, 7))]
    np.testing.assert_array_equal(found[0], drawn())
    assert len(np.unique(np.concatenate(found))) == 4 * 12
    np.testing.assert_array_equal(drawn(step=2**31, samples=(0,)), drawn(step=2**31, samples=(0,)))


@pytest.mark.parametrize("length", [None, 3])
def test_in_a_graph_of_known_or_unknown_batches_the_numbers_are_the_same(length):
    graph = tf.function(
        lambda step, samples: uniforms(1, step, samples, 3),
        input_signature=[tf.TensorSpec((), tf.int64), tf.TensorSpec((length,), tf.int64)],
    )
    found = graph(tf.constant(5, tf.int64), tf.constant([2, 0, 1], tf.int64)).numpy()
    np.testing.assert_array_equal(found, drawn()[[2, 0, 1]])


def test_no_number_is_asked_for_where_none_is_needed():
    assert drawn(count=0).shape == (4, 0)
