"""For the first steps of a fine-tuning only the new parts of the network are updated."""

from functools import partial

import numpy as np
import pytest
import tensorflow as tf

from brats_unet.data.augment.mirror import none
from brats_unet.losses import region_dice_bce
from brats_unet.losses.compound import deep_supervision
from brats_unet.models.unet import unet3d
from brats_unet.schemes.scheme_file import builtin
from brats_unet.training.averaging import Average
from brats_unet.training.freezing import frozen_first
from brats_unet.training.optimizers import adamw, sgd
from brats_unet.training.step import LossScale, build_step, per_replica
from brats_unet.training.strategy import Devices, choose_devices

ONE = Devices(tf.distribute.get_strategy(), 1, "float32", False, "CPU")
FIRST = "encoder_0_conv_0/kernel"
# Of the three channels, the second is new; and so are the heads.
NEW = {FIRST: np.array([[False], [True], [False]]), "head_0/kernel": None, "head_0/bias": None}
RULES = {
    "sgd": lambda: sgd(learning_rate=0.1, weight_decay=0.1),
    "adamw": lambda: adamw(learning_rate=0.01, weight_decay=0.1),
}


def values(model):
    return {variable.path: np.asarray(variable).copy() for variable in model.variables}


class Trained:
    """A tiny U-Net with everything that steps need; `frozen` updates only the parts in NEW."""

    def __init__(self, devices=ONE, rule="sgd", norm="instance", accumulate=1, only=NEW, dtype=None, scale=None):
        self.devices = devices
        with devices.strategy.scope():
            options = {"features": [4, 6], "convolutions": 1, "norm": norm, "dtype": dtype or devices.policy}
            self.model = unet3d(channels=3, outputs=3, seed=0, **options)
            self.optimizer = RULES[rule]()
        self.average = Average(self.model, 0.5, devices.strategy)
        given = {"devices": devices, "model": self.model, "optimizer": self.optimizer, "augmentation": none()}
        loss = partial(deep_supervision, region_dice_bce(), scheme=builtin())
        given |= {"loss": loss, "seed": 5, "batch": 4, "accumulate": accumulate, "average": self.average}
        self.whole = build_step(**given, loss_scale=scale)
        self.frozen = build_step(**given, loss_scale=scale, only=only)

    def phased(self, steps):
        return frozen_first(self.frozen, self.whole, steps, self.optimizer, self.devices)

    def go(self, step, numbers):
        """Do the updates of these numbers; their losses and gradient norms."""
        return [[float(x) for x in step(*self.inputs(number))] for number in numbers]

    def inputs(self, number):
        rng = np.random.default_rng(number)
        images = rng.normal(size=(4, 4, 4, 4, 3)).astype(np.float16)
        labels = rng.choice(np.array([0, 1, 2, 4], np.uint8), size=images.shape[:-1])
        index, samples = tf.constant(number, tf.int64), np.arange(4)
        slices = [slice(replica, None, self.devices.replicas) for replica in range(self.devices.replicas)]
        return per_replica(
            self.devices, [(index, *map(tf.constant, (samples[s], images[s], labels[s]))) for s in slices]
        )


def refuse_moved(before, after):
    """Fail unless of all weights exactly the new parts have moved, by the bit."""
    for path, value in after.items():
        new = np.broadcast_to(True if NEW.get(path, 0) is None else NEW.get(path, False), value.shape)
        np.testing.assert_array_equal(value[~new], before[path][~new], err_msg=path)
        assert (value[new] != before[path][new]).all(), path


@pytest.mark.parametrize(("rule", "jit"), [("sgd", False), ("adamw", True)], ids=["sgd", "adamw with XLA"])
def test_only_new_parts_and_their_averages_move_despite_decay_and_momentum(rule, jit):
    trained = Trained(Devices(ONE.strategy, 1, "float32", jit, "CPU"), rule)
    before = values(trained.model)
    trained.go(trained.frozen, range(3))
    refuse_moved(before, values(trained.model))
    for path in before.keys() - NEW.keys():
        np.testing.assert_allclose(trained.average.means[path].numpy(), before[path], rtol=1e-6, err_msg=path)


@pytest.mark.parametrize("left_out", [(), (6,), (6, 7, 8)])
def test_the_optimizer_starts_afresh_also_if_the_first_whole_updates_are_left_out(left_out):
    trained = Trained(rule="adamw")
    numbers = [number for number in range(11) if number not in left_out]
    trained.go(trained.phased(6), numbers)
    assert int(trained.optimizer.rule.iterations) == len([number for number in numbers if number >= 6])


def test_a_taken_batch_normalisation_keeps_its_statistics_and_uses_them():
    trained = Trained(norm="batch")
    statistic = trained.model.get_layer("encoder_0_norm_0").moving_mean
    statistic.assign(np.full(4, 3.0))
    before = values(trained.model)
    first = trained.go(trained.frozen, [0])
    refuse_moved(before, values(trained.model))
    other = Trained(norm="batch")
    assert other.go(other.frozen, [0]) != first  # other statistics, another loss
    trained.go(trained.whole, [1])
    assert (np.asarray(statistic) != 3.0).all()


def test_the_gradient_norm_is_that_of_the_new_parts():
    heads = {"head_0/kernel": None, "head_0/bias": None}
    channel = {FIRST: NEW[FIRST]}
    norms = {}
    for name, only in {"both": heads | channel, "heads": heads, "channel": channel}.items():
        trained = Trained(only=only)
        ((_, norms[name]),) = trained.go(trained.frozen, [0])
    assert norms["both"] ** 2 == pytest.approx(norms["heads"] ** 2 + norms["channel"] ** 2, rel=1e-5)


def test_a_frozen_update_that_overflows_float16_is_skipped():
    scale = LossScale(2.0**24)
    trained = Trained(dtype="mixed_float16", scale=scale)
    before = values(trained.model)
    trained.go(trained.frozen, [0])
    assert scale.value < 2.0**24
    for path, value in values(trained.model).items():
        np.testing.assert_array_equal(value, before[path])
    scale.value = 1.0
    trained.go(trained.frozen, [1])
    refuse_moved(before, values(trained.model))


def test_after_the_frozen_steps_all_weights_are_updated_by_an_optimizer_that_starts_afresh():
    trained = Trained(rule="adamw")
    trained.go(trained.phased(2), range(2))
    here = values(trained.model)
    trained.go(trained.phased(2), range(2, 4))
    assert all((value != here[path]).all() for path, value in values(trained.model).items() if "kernel" in path)
    fresh = Trained(rule="adamw")
    for variable in fresh.model.variables:
        variable.assign(here[variable.path])
    fresh.go(fresh.whole, range(2, 4))
    before = values(trained.model)
    for path, value in values(fresh.model).items():
        np.testing.assert_array_equal(before[path], value, err_msg=path)
    trained.go(trained.phased(2), [1])  # back to a frozen one, as after a loss that is not finite
    refuse_moved(before, values(trained.model))


def mirrored(devices, accumulate=1):
    """Losses and gradient norms of two frozen updates; fails where other weights move or the replicas differ."""
    trained = Trained(devices, "adamw", norm="batch", accumulate=accumulate)
    before = values(trained.model)
    numbers = trained.go(trained.phased(2), range(2))
    refuse_moved(before, values(trained.model))
    trained.go(trained.phased(2), [2])
    local = devices.strategy.experimental_local_results
    for variable in trained.model.variables:
        copies = [value.numpy() for value in local(variable.value)]
        assert len(copies) == devices.replicas and all((copy == copies[0]).all() for copy in copies), variable.path
    return numbers


def on_two():
    """Number of replicas, and what `mirrored` gives with them."""
    devices = choose_devices(device="mirrored", precision="float32", jit="off", replicas=2)
    return devices.replicas, mirrored(devices, 2)


@pytest.mark.slow
def test_two_logical_devices_that_accumulate_gradients_freeze_and_update_as_one_that_does_not(in_new_process):
    replicas, on_two = in_new_process(__file__, "on_two")
    assert replicas == 2
    np.testing.assert_allclose(on_two, mirrored(ONE), rtol=1e-5)
