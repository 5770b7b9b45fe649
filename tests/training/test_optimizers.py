import keras
import numpy as np
import pytest

from brats_unet.errors import SettingsError
from brats_unet.parts import build
from brats_unet.training.optimizers import OPTIMIZERS, adam, adamw, sgd, with_keras_momentum


def updated(rule, slopes, rates=None, start=1.0):
    """Value of a weight that starts at `start`, after updates with these gradients, and rates if given."""
    weight = keras.Variable(np.array([start], np.float32), name="weight")
    rule.build([weight])
    for index, slope in enumerate(slopes):
        if rates is not None:
            rule.learning_rate = rates[index]
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


# 60 gradients, and rates that fall from 0.1 to 0 as in nnU-Net
SLOPES = np.random.default_rng(0).normal(size=60)
FALLING = [0.1 * (1 - step / 60) ** 0.9 for step in range(60)]


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99])
def test_sgd_follows_pytorch_for_60_steps_under_a_falling_rate(momentum, nesterov):
    # PyTorch: b = m b + g, then w -= r (g + m b); without Nesterov w -= r b
    b, w = 0.0, 1.0
    for rate, slope in zip(FALLING, SLOPES, strict=True):
        b = momentum * b + slope
        w -= rate * (slope + momentum * b if nesterov else b)
    assert updated(sgd(momentum=momentum, nesterov=nesterov).rule, SLOPES, FALLING) == pytest.approx(w, rel=1e-4)


def test_sgd_by_the_rules_of_version_1_keeps_the_rate_of_each_gradient():
    # Keras: v = m v - r g, then w += m v - r g
    v, w = 0.0, 1.0
    for rate, slope in zip(FALLING, SLOPES, strict=True):
        v = 0.99 * v - rate * slope
        w += 0.99 * v - rate * slope
    assert updated(with_keras_momentum(sgd()).rule, SLOPES, FALLING) == pytest.approx(w, rel=1e-4)


def test_at_a_constant_rate_the_momentum_of_keras_and_of_pytorch_is_the_same():
    for nesterov in (True, False):
        optimizer = sgd(momentum=0.9, nesterov=nesterov)
        ours, keras_own = (updated(o.rule, SLOPES, [0.01] * 60) for o in (optimizer, with_keras_momentum(optimizer)))
        assert ours == pytest.approx(keras_own, rel=1e-5)


def test_the_last_tenth_of_a_falling_rate_is_4_5_times_as_long_with_the_momentum_of_keras():
    # 400 steps with a constant gradient
    rates = [0.01 * (1 - step / 400) ** 0.9 for step in range(400)]

    def last_tenth(rule):
        before, after = updated(rule(sgd()), [1.0] * 360, rates[:360]), updated(rule(sgd()), [1.0] * 400, rates)
        return after - before

    ratio = last_tenth(lambda o: with_keras_momentum(o).rule) / last_tenth(lambda o: o.rule)
    assert ratio == pytest.approx(4.5, abs=0.1)


def test_only_sgd_has_another_momentum_by_the_rules_of_version_1():
    for optimizer in (adam(), adamw()):
        assert with_keras_momentum(optimizer) is optimizer
    rule = with_keras_momentum(sgd(momentum=0.5, nesterov=False)).rule
    assert (rule.momentum, rule.nesterov, rule.name, type(rule)) == (0.5, False, "sgd", keras.optimizers.SGD)


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
