import keras
import numpy as np
import pytest

from brats_unet.errors import SettingsError
from brats_unet.training.optimizers import OPTIMIZERS, adam, adamw, sgd


def moved(rule, slopes, start=1.0):
    """A weight of `start` after the updates with these gradients."""
    weight = keras.Variable(np.array([start], np.float32), name="weight")
    rule.build([weight])
    for slope in slopes:
        rule.apply([np.array([slope], np.float32)], [weight])
    return float(weight.numpy()[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_names_its_rule_and_keeps_its_base_rate(name):
    optimizer = OPTIMIZERS[name](learning_rate=0.25)
    assert optimizer.rule.name == name.removesuffix("w")  # AdamW goes on with the moments of Adam
    assert optimizer.learning_rate == 0.25 == float(optimizer.rule.learning_rate)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_clipping_is_never_left_to_keras_which_would_do_it_per_replica(name):
    rule = OPTIMIZERS[name](clip_norm=1.0).rule
    assert rule.clipnorm is None and rule.global_clipnorm is None and rule.clipvalue is None


def test_the_defaults_of_sgd_are_nnunets():
    optimizer = sgd()
    assert (optimizer.learning_rate, optimizer.clip_norm, optimizer.coupled_decay) == (1e-2, 12, 3e-5)
    assert (optimizer.rule.momentum, optimizer.rule.nesterov) == (0.99, True)
    assert optimizer.rule.weight_decay is None  # Keras' would be decoupled


def test_nesterov_momentum_by_hand():
    # velocity v = m v - r g, then w += m v - r g
    v, w = 0.0, 1.0
    for slope in (1.0, 0.5):
        v = 0.9 * v - 0.1 * slope
        w += 0.9 * v - 0.1 * slope
    assert moved(sgd(learning_rate=0.1, momentum=0.9).rule, (1.0, 0.5)) == pytest.approx(w, rel=1e-6)


def test_the_first_step_of_adam_has_the_length_of_the_rate_whatever_the_gradient():
    for slope in (1e-2, 3.0):
        assert moved(adam(learning_rate=0.1).rule, [slope]) == pytest.approx(0.9, rel=1e-4)


def test_an_average_of_weights_is_off_unless_asked_for():
    assert [OPTIMIZERS[name]().ema for name in OPTIMIZERS] == [None] * 3 and adamw(ema=0.99).ema == 0.99


@pytest.mark.parametrize("ema", [0, 1, 1.5, -0.1])
def test_a_decay_that_is_no_share_is_refused(ema):
    with pytest.raises(SettingsError, match=rf"optimizer.ema={ema}: expected a decay between 0 and 1"):
        sgd(ema=ema)


def test_adamw_is_adam_where_nothing_decays():
    slopes = (1.0, -0.3, 0.2)
    assert moved(adamw(weight_decay=0.0).rule, slopes) == moved(adam().rule, slopes)


def test_adam_with_a_decay_is_adamw_its_decay_decoupled():
    optimizer = adam(learning_rate=0.1, weight_decay=0.5)
    assert isinstance(optimizer.rule, keras.optimizers.AdamW) and optimizer.coupled_decay == 0
    assert moved(optimizer.rule, [1.0]) == pytest.approx(1 - 0.1 * 0.5 * 1 - 0.1, rel=1e-4)
    assert not isinstance(adam().rule, keras.optimizers.AdamW)
