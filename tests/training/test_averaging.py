import keras
import numpy as np
import pytest
import tensorflow as tf

from brats_unet.training.averaging import Average


def linear(norm=False):
    image = keras.Input((2,), name="image")
    x = keras.layers.Dense(1, use_bias=False, name="w")(image)
    if norm:
        x = keras.layers.BatchNormalization(name="norm")(keras.layers.Dropout(0.5, name="drop", seed=1)(x))
    return keras.Model(image, x)


def averaged(decay, path, model=None):
    """Mean after each update, when the weights take the values of `path`."""
    model = model or linear()
    average = Average(model, decay, tf.distribute.get_strategy())
    update = tf.function(average.update, reduce_retracing=True)
    found = []
    for step, value in enumerate(path):
        model.get_layer("w").kernel.assign(np.full((2, 1), value, np.float32))
        update(tf.constant(step, tf.int64))
        found.append(float(average.means["w/kernel"][0, 0]))
    return found


def test_a_mean_by_hand_starts_with_the_weights_after_the_first_update():
    # factors of the previous mean: 0, 1/10, 2/11, then the decay 0.2
    second = 5 * 0.1 + 7 * 0.9
    third = second * 2 / 11 + 1 * 9 / 11
    np.testing.assert_allclose(averaged(0.2, [5, 7, 1, 2]), [5, second, third, third * 0.2 + 2 * 0.8], rtol=1e-6)


def test_the_mean_of_constant_weights_is_those_weights():
    assert averaged(0.999, [3.0] * 20) == pytest.approx([3.0] * 20, rel=1e-6)


def test_a_larger_decay_follows_more_slowly():
    path = [0.0] * 100 + [1.0] * 10
    slow, fast = averaged(0.99, path)[-1], averaged(0.5, path)[-1]
    assert slow < 0.6 < 0.99 < fast


def test_batch_normalisation_statistics_are_averaged_and_integer_variables_are_not():
    model = linear(norm=True)
    average = Average(model, 0.9, tf.distribute.get_strategy())
    assert "norm/moving_mean" in average.means and set(average.means) < {v.path for v in model.variables}


def test_into_assigns_the_means_to_another_network():
    model, other = linear(norm=True), linear(norm=True)
    average = Average(model, 0.9, tf.distribute.get_strategy())
    model.get_layer("w").kernel.assign(np.full((2, 1), 4.0))
    average.update(tf.constant(0))
    average.into(other)
    assert other.get_layer("w").kernel.numpy().ravel().tolist() == [4, 4]
    assert model.get_layer("w").kernel.numpy().ravel().tolist() == [4, 4]


@pytest.mark.parametrize("decay", [0.5, 0.999])
def test_the_mean_depends_only_on_the_weights_and_the_step(decay):
    assert averaged(decay, [1.0, 2.0, 4.0]) == averaged(decay, [1.0, 2.0, 4.0], linear())
