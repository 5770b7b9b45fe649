import keras
import numpy as np
import pytest

from brats_unet.errors import SettingsError
from brats_unet.parts import build
from brats_unet.training.optimizers import OPTIMIZERS, adam, adamw, sgd


def updated(rule, slopes, start=1.0):
    """Value of a weight that starts at `start`, after updates with these gradients."""
    weight = keras.Variable(np.array([start], np.float32), name="weight")
    rule.build([weight])
    for slope in slopes:
        rule.apply([np.array([slope], np.float32)], [weight])
    return float(weight.numpy()[0])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_has_a_rule_of_its_name_and_the_given_base_rate(name):
    optimizer = OPTIMIZERS[name](learning_rate=0.25)
    assert optimizer.rule.name == name.removesuffix("w")  # AdamW shares the variables of Adam
    assert optimizer.learning_rate == 0.25 == float(optimizer.rule.learning_rate)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_keras_does_no_clipping_because_it_would_clip_per_replica(name):
    rule = OPTIMIZERS[name](clip_norm=1.0).rule
    assert rule.clipnorm is None and rule.global_clipnorm is None and rule.clipvalue is None


def test_the_defaults_of_sgd_are_nnunets():
    optimizer = sgd()
    assert (optimizer.learning_rate, optimizer.clip_norm, optimizer.coupled_decay) == (1e-2, 12, 3e-5)
    assert (optimizer.rule.momentum, optimizer.rule.nesterov) == (0.99, True)
    assert optimizer.rule.weight_decay is None  # the weight decay of Keras is decoupled


def test_nesterov_momentum_by_hand():
    # velocity v = m v - r g, then w += m v - r g
    v, w = 0.0, 1.0
    for slope in (1.0, 0.5):
        v = 0.9 * v - 0.1 * slope
        w += 0.9 * v - 0.1 * slope
    assert updated(sgd(learning_rate=0.1, momentum=0.9).rule, (1.0, 0.5)) == pytest.approx(w, rel=1e-6)


def test_the_first_step_of_adam_has_the_size_of_the_rate_for_any_gradient():
    for slope in (1e-2, 3.0):
        assert updated(adam(learning_rate=0.1).rule, [slope]) == pytest.approx(0.9, rel=1e-4)


def test_the_moving_average_is_off_by_default():
    assert [OPTIMIZERS[name]().ema for name in OPTIMIZERS] == [None] * 3 and adamw(ema=0.99).ema == 0.99


@pytest.mark.parametrize("ema", [0, 1, 1.5, -0.1])
def test_a_decay_that_is_no_share_is_refused(ema):
    with pytest.raises(
        SettingsError, match=rf"optimizer.ema={ema} does not fit. Expected a number above 0 and below 1"
    ):
        build("optimizer", OPTIMIZERS, {"name": "sgd", "ema": ema})


def test_adamw_without_decay_is_adam():
    slopes = (1.0, -0.3, 0.2)
    assert updated(adamw(weight_decay=0.0).rule, slopes) == updated(adam().rule, slopes)


def test_adam_with_weight_decay_is_adamw_with_decoupled_decay():
    optimizer = adam(learning_rate=0.1, weight_decay=0.5)
    assert isinstance(optimizer.rule, keras.optimizers.AdamW) and optimizer.coupled_decay == 0
    assert updated(optimizer.rule, [1.0]) == pytest.approx(1 - 0.1 * 0.5 * 1 - 0.1, rel=1e-4)
    assert not isinstance(adam().rule, keras.optimizers.AdamW)
