"""A run that goes back to its last checkpoint after a loss or gradient that is not finite."""

import os
import signal
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from brats_unet.data.augment.mirror import mirror
from brats_unet.data.patches.pipeline import batches
from brats_unet.data.patches.sampling import Sampler
from brats_unet.data.prepare.cache import open_prepared
from brats_unet.errors import DataError, Interrupted
from brats_unet.losses import region_dice_bce
from brats_unet.losses.compound import deep_supervision
from brats_unet.models import checkpoint
from brats_unet.models.unet import unet3d
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from brats_unet.stopping import StopRequest
from brats_unet.training.averaging import Average
from brats_unet.training.budget import Budget
from brats_unet.training.loop import train
from brats_unet.training.optimizers import adam, sgd
from brats_unet.training.schedules import polynomial
from brats_unet.training.spikes import PendingUpdate, Spike
from brats_unet.training.step import LossScale, build_step, per_replica
from brats_unet.training.strategy import Devices, choose_devices
from brats_unet.training.tracker import Trackers

ONE = Devices(tf.distribute.get_strategy(), 1, "float32", False, "CPU")
LIKE_A_GPU = Devices(ONE.strategy, 1, "float32", False, "CPU", asynchronous=True)
STEPS = 6
NAN, INF = float("nan"), float("inf")


def cases_in(folder):
    return [open_prepared(f"case_{i}", Path(folder) / f"case_{i}") for i in range(3)]


def sampler_of(folder):
    return Sampler(cases_in(folder), (8, 8, 8), 2, 0.5, None, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_prepared):
    folder = tmp_path_factory.mktemp("cases")
    labels = np.random.default_rng(0).choice(np.array([0, 0, 1, 2, 4], np.uint8), size=(3, 10, 10, 10))
    for i in range(3):
        write_prepared(folder, f"case_{i}", labels[i])
    return folder


@pytest.fixture(scope="module")
def fresh():
    """Function that gives the same network as at its start; compiled once."""
    return network()


@pytest.fixture(scope="module")
def sampler(folder):
    return sampler_of(folder)


class Watcher:
    """A display that records its calls, and calls `do` at step `at` or, if `at` is "spike", at a spike."""

    def __init__(self, at=None, do=lambda: None):
        self.steps, self.validations, self.spikes, self.at, self.do = [], [], [], at, do

    def step(self, step, steps, loss, patches_per_second):
        self.steps.append(step)
        if step == self.at:
            self.do()

    def validation(self, step, steps, dice, seconds, best):
        self.validations.append((step, best))

    def spike(self, sentence):
        self.spikes.append(sentence)
        if self.at == "spike":
            self.do()


def network(devices=ONE):
    """Function that resets a tiny U-Net to its start and makes sample 1 NaN in the batches of some steps (from 1)."""
    with devices.strategy.scope():
        model = unet3d(channels=2, outputs=3, seed=0, features=[4, 8], convolutions=1, norm="batch")
        optimizer = adam(learning_rate=0.01)
    average = Average(model, 0.9, devices.strategy)
    update = build_step(
        devices=devices,
        model=model,
        loss=partial(deep_supervision, region_dice_bce(), scheme=builtin()),
        optimizer=optimizer,
        augmentation=mirror(),
        seed=3,
        batch=2,
        average=average,
    )

    start = SimpleNamespace(model=model, optimizer=optimizer, average=average)
    first = tensors(start)

    def reset(poisoned=()):
        for key, variable in variables_of(start).items():
            variable.assign(first[key])

        def poison(step, samples, images, labels):
            bad = tf.reshape((samples == 1) & tf.reduce_any(step + 1 == list(poisoned)), (-1, 1, 1, 1, 1))
            return step, samples, tf.where(bad, tf.constant(NAN, images.dtype), images), labels

        def step(*inputs):
            return update(*(devices.strategy.run(poison, inputs) if poisoned else inputs))

        return SimpleNamespace(**vars(start), step=step)

    return reset


def scripted(outcomes=None, scale=None):
    """A one-layer network whose update returns the given (loss, norm) by index, or else falling losses."""
    image = keras.Input((None, None, None, 2))
    model = keras.Model(image, keras.layers.Conv3D(1, 1, name="w")(image))
    optimizer = sgd(learning_rate=1.0)
    optimizer.rule.build(model.trainable_variables)
    net = SimpleNamespace(model=model, optimizer=optimizer, average=None, seen=[], rates={}, scales=[])

    def step(index, samples, images, labels):
        net.seen.append(int(index) + 1)
        net.rates[int(index) + 1] = float(optimizer.rule.learning_rate)
        loss, norm = (outcomes or {}).get(int(index) + 1, (1 / (1 + int(index)), 1.0))
        if scale is not None:
            net.scales.append(scale.value)
            scale.update(np.isfinite(norm))
        return loss, norm

    net.step = step
    return net


def go(folder, net, sampler, *, save_every=100, every=STEPS, validate=None, display=None, scale=None, **options):
    """Train in `folder` from its last checkpoint, if there is one, as the command does."""
    run = Run(folder)
    state = checkpoint.State(0)
    if run.checkpoint_file("last").exists():
        state = restored(run, net)
    limit = {k: options[k] for k in ("seconds",) if k in options}
    budget = Budget(STEPS, every, None if limit else save_every, **limit)
    with StopRequest() as stop:
        end = train(
            run=run,
            devices=options.get("devices", ONE),
            model=net.model,
            step=net.step,
            optimizer=net.optimizer,
            schedule=polynomial(power=1),
            sampler=sampler,
            budget=budget,
            state=options.get("state", state),
            loss_scale=scale,
            average=net.average,
            validate=validate,
            draw=None,
            patches=None,
            tracker=Trackers(),
            display=display or Watcher(),
            stop=stop,
            keep=1,
        )
    return run, end


def restored(run, net):
    return checkpoint.restore(run.checkpoint_file("last"), net.model, net.optimizer.rule, means_of(net))


def means_of(net):
    return None if net.average is None else net.average.named()


def variables_of(net):
    return checkpoint.named(net.model, net.optimizer.rule, means_of(net))


def tensors(net):
    return {key: np.asarray(variable).copy() for key, variable in variables_of(net).items()}


def by_hand(net, sampler, left_out):
    """Every variable after the updates of all steps but those left out, without the loop."""
    for index, inputs in enumerate(batches(sampler, first_step=0, steps=STEPS)):
        net.optimizer.rule.learning_rate.assign(net.optimizer.learning_rate * (1 - index / STEPS))
        if index + 1 not in left_out:
            net.step(*per_replica(ONE, [inputs]))
    return tensors(net)


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys() and len(expected) > 30
    for key, value in expected.items():
        assert np.isfinite(value).all()
        np.testing.assert_array_equal(found[key], value, err_msg=key)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


class PowerCut(BaseException):
    """Stands for the end of the process at this very moment."""


def power_cut():
    raise PowerCut


# What the run does, against updates by hand


@pytest.mark.parametrize("devices", [ONE, LIKE_A_GPU], ids=["CPU", "asynchronous"])
@pytest.mark.parametrize(
    ("poisoned", "save_every"),
    [([1], 100), ([4], 100), ([4], 2), ([3], 2), ([6], 3), ([3, 4], 2), ([1, 4, 6], 3)],
)
def test_the_run_ends_with_the_bits_of_all_updates_but_those_left_out(
    tmp_path, fresh, sampler, devices, poisoned, save_every
):
    expected = by_hand(fresh(), sampler, poisoned)
    net = fresh(poisoned)
    run, end = go(tmp_path, net, sampler, save_every=save_every, devices=devices)
    assert end == checkpoint.State(STEPS, left_out=poisoned)
    assert_same_bits(tensors(net), expected)
    assert restored(run, net) == end
    assert_same_bits(tensors(net), expected)
    assert [line["step"] for line in run.journal("step")] == [t for t in range(1, 7) if t not in poisoned]
    assert [line["step"] for line in run.journal("left_out")] == poisoned


def test_without_the_update_of_a_step_the_bits_are_others(fresh, sampler):
    kernel = "weights/encoder_0_conv_0/kernel"
    assert (by_hand(fresh(), sampler, [4])[kernel] != by_hand(fresh(), sampler, [])[kernel]).any()


def test_a_run_that_started_from_the_weights_of_another_goes_back_to_them(tmp_path, fresh, sampler):
    def from_another_run(poisoned=()):
        net, rng = fresh(poisoned), np.random.default_rng(5)
        for key, variable in variables_of(net).items():
            if not key.startswith("optimizer/"):
                variable.assign(np.asarray(variable) + rng.uniform(0, 0.1, variable.shape))
        return net

    expected = by_hand(from_another_run(), sampler, [2])
    net = from_another_run([2])
    go(tmp_path, net, sampler)
    assert_same_bits(tensors(net), expected)


@pytest.mark.parametrize(
    ("at", "do", "caught"),
    [
        (1, interrupt, Interrupted),
        (3, interrupt, Interrupted),
        ("spike", interrupt, Interrupted),
        (5, interrupt, Interrupted),
        (1, power_cut, PowerCut),
        (3, power_cut, PowerCut),
        ("spike", power_cut, PowerCut),
        (5, power_cut, PowerCut),
    ],
)
@pytest.mark.parametrize("save_every", [2, 100])
def test_a_run_that_was_stopped_or_killed_leaves_out_the_same_step_with_the_same_bits(
    tmp_path, fresh, sampler, undisturbed, at, do, caught, save_every
):
    with pytest.raises(caught):
        go(tmp_path, fresh([4]), sampler, save_every=save_every, display=Watcher(at, do))
    net = fresh([4])
    run, end = go(tmp_path, net, sampler, save_every=save_every)
    bits, losses, whole = undisturbed
    assert end == whole == checkpoint.State(STEPS, left_out=[4])
    assert_same_bits(tensors(net), bits)
    assert [(line["step"], line["loss"]) for line in run.journal("step")] == losses
    assert [line["step"] for line in run.journal("left_out")] == [4]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, fresh, sampler):
    net = fresh([4])
    run, end = go(tmp_path_factory.mktemp("whole"), net, sampler, save_every=2)
    return tensors(net), [(line["step"], line["loss"]) for line in run.journal("step")], end


def test_a_run_killed_after_it_went_back_does_not_try_the_step_again(tmp_path, sampler):
    with pytest.raises(PowerCut):
        go(tmp_path, scripted({4: (NAN, 1.0)}), sampler, save_every=3, display=Watcher(5, power_cut))
    net = scripted({4: (NAN, 1.0)})
    run, end = go(tmp_path, net, sampler, save_every=3)
    assert net.seen == [5, 6] and end.left_out == [4]
    assert len(run.journal("spike")) == 1


# What stays as it is


def test_a_step_that_is_left_out_counts_so_the_learning_rates_of_the_others_stay(tmp_path, sampler):
    net = scripted({3: (NAN, 1.0)})
    _, end = go(tmp_path, net, sampler, save_every=2)
    assert net.seen == [1, 2, 3, 4, 5, 6] and end == checkpoint.State(6, left_out=[3])
    assert net.rates == pytest.approx({1: 1, 2: 5 / 6, 3: 4 / 6, 4: 3 / 6, 5: 2 / 6, 6: 1 / 6}, rel=1e-6)


def test_validations_are_done_once_also_at_a_step_that_is_left_out_and_the_best_is_kept(tmp_path, sampler):
    scores, watcher = iter([0.5, 0.7, 0.6]), Watcher()
    net = scripted({4: (NAN, 1.0), 5: (NAN, 1.0)})
    run, end = go(
        tmp_path, net, sampler, every=2, validate=lambda: [{"WT": next(scores)}], display=watcher, save_every=100
    )
    assert watcher.validations == [(2, True), (4, True), (6, False)]
    assert end == checkpoint.State(6, None, 0.7, left_out=[4, 5])
    best = checkpoint.restore(run.checkpoint_file("best"), net.model, None)
    assert best == checkpoint.State(4, None, 0.7, left_out=[4])
    assert [line["step"] for line in run.journal("validation")] == [2, 4, 6]


def test_the_time_of_the_steps_that_are_repeated_counts_towards_the_time_limit(tmp_path, sampler):
    found = []

    def look():
        found.append(restored(Run(tmp_path), scripted()))

    _, end = go(tmp_path, scripted({4: (NAN, 1.0)}), sampler, seconds=3600, display=Watcher(5, look))
    (after_the_spike,) = found
    assert (after_the_spike.step, after_the_spike.left_out) == (0, [4]) and after_the_spike.seconds > 0
    assert end.step == 6 and end.left_out == [4] and end.seconds > after_the_spike.seconds


def test_a_run_whose_time_is_up_at_a_spike_ends_at_its_checkpoint(tmp_path, sampler):
    net, run = scripted({2: (NAN, 1.0)}), Run(tmp_path)
    start = checkpoint.State(1, seconds=0.001)  # a step takes 1 ms, so there is time for all
    checkpoint.write(run.checkpoint_file("last"), checkpoint.copies(net.model, net.optimizer.rule), start)
    update = net.step

    def slow(*inputs):
        time.sleep(1.1)
        return update(*inputs)

    net.step = slow
    _, end = go(tmp_path, net, sampler, seconds=1.0)
    assert net.seen == [2] and end.step == 1 and end.left_out == [2] and end.seconds >= 1.0
    assert restored(run, net) == end


def test_a_stop_that_comes_while_a_spike_is_found_is_not_lost(tmp_path, sampler):
    net = scripted({4: (NAN, 1.0)})
    original = net.step

    def stopped(index, *rest):
        if int(index) == 3:
            interrupt()
        return original(index, *rest)

    net.step = stopped
    with pytest.raises(Interrupted, match="Stopped by Ctrl-C at step 3 of 6"):
        go(tmp_path, net, sampler, save_every=2)
    assert restored(Run(tmp_path), net) == checkpoint.State(3, left_out=[4])


def test_the_state_before_the_first_step_is_on_disk_until_the_first_checkpoint(tmp_path, sampler, monkeypatch):
    run, found, write = Run(tmp_path), [], checkpoint.write

    def record(path, tensors, state, **given):
        before = run.checkpoint_file("initial").exists()
        write(path, tensors, state, **given)
        found.append((path.stem, before, run.checkpoint_file("initial").exists()))

    monkeypatch.setattr(checkpoint, "write", record)
    go(tmp_path, scripted(), sampler, save_every=2)
    last = ("last", False, False)
    assert found == [("initial", False, True), ("last", True, True), last, last]  # deleted once the last is whole
    assert [path.name for path in run.checkpoint_file("last").parent.iterdir()] == ["last.safetensors"]


# What is a spike


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        ((NAN, 1.0), "the loss is nan"),
        ((-INF, NAN), "the loss is -inf"),
        ((0.5, INF), "the loss is 0.5, but its gradient is not finite"),
    ],
)
def test_a_spike_is_said_and_stands_in_the_journal_with_its_cases(tmp_path, sampler, outcome, problem):
    watcher = Watcher()
    run, _ = go(tmp_path, scripted({4: outcome}), sampler, save_every=2, display=watcher)
    cases = sorted({sampler.cases[sampler.place(3, sample).case].id for sample in range(2)})
    assert watcher.spikes == [
        f"Step 4: {problem}; the batch was cut from {', '.join(cases)}. The run goes back to step 2 and leaves out "
        f"step 4 (1 of at most 3 times)."
    ]
    assert run.journal("spike") == [{"event": "spike", "at": 4, "problem": problem, "cases": cases, "back_to": 2}]
    assert watcher.steps == [1, 2, 3, 3, 5, 6]


def test_the_fourth_spike_stops_the_run_and_names_the_steps_that_were_left_out(tmp_path, sampler):
    bad = dict.fromkeys((2, 3, 5, 6), (NAN, 1.0))
    net, watcher = scripted(bad), Watcher()
    with pytest.raises(DataError) as caught:
        go(tmp_path, net, sampler, save_every=2, display=watcher)
    cases = sorted({sampler.cases[sampler.place(5, sample).case].id for sample in range(2)})
    assert str(caught.value) == (
        f"Step 6: the loss is nan; the batch was cut from {', '.join(cases)}. The run went back to a checkpoint 3 times "
        f"before, and leaves out steps 2, 3, 5; it does not try again. The last checkpoint is from before this step. "
        f"Check these cases with `brats-unet check`, or lower optimizer.learning_rate."
    )
    assert len(watcher.spikes) == 3 and watcher.spikes[-1].endswith("(3 of at most 3 times).")
    before = restored(Run(tmp_path), net)
    assert before == checkpoint.State(4, left_out=[2, 3, 5])
    # The count is that of the run, not of the process.
    with pytest.raises(DataError, match="leaves out steps 2, 3, 5; it does not try again"):
        go(tmp_path, scripted(bad), sampler, save_every=2)
    assert restored(Run(tmp_path), net) == before


def test_an_overflow_that_the_loss_scale_handled_is_no_spike_also_on_the_way_to_its_minimum(tmp_path, sampler):
    scale = LossScale(4.0)
    net = scripted({2: (0.5, INF), 3: (0.5, NAN)}, scale)
    run, end = go(tmp_path, net, sampler, scale=scale)
    assert net.scales == [4, 4, 2, 1, 1, 1] and end == checkpoint.State(6, [1.0, 3])
    assert run.journal("spike") == [] and len(run.journal("step")) == 6


def test_at_the_smallest_loss_scale_an_overflow_is_a_spike_and_the_scale_is_restored(tmp_path, sampler):
    scale = LossScale(2.0, since=7)
    net = scripted({2: (0.5, INF), 3: (0.5, INF)}, scale)
    run, end = go(tmp_path, net, sampler, scale=scale)
    # Back to the start, with its scale: step 2 overflows at 2 again and is skipped; step 3 is left out.
    assert net.seen == [1, 2, 3, 1, 2, 4, 5, 6] and net.scales == [2, 2, 1, 2, 2, 1, 1, 1]
    assert end == checkpoint.State(6, [1.0, 3], left_out=[3])
    assert [line["at"] for line in run.journal("spike")] == [3]


def test_numbers_leave_out_the_norm_of_an_overflow_only():
    assert PendingUpdate(1, 0.1, 0.5, 2.0, True).numbers() == {"loss": 0.5, "learning_rate": 0.1, "gradient_norm": 2.0}
    assert PendingUpdate(1, 0.1, 0.5, INF, False).numbers() == {"loss": 0.5, "learning_rate": 0.1}
    with pytest.raises(Spike, match="Step 7: the loss is inf") as caught:
        PendingUpdate(7, 0.1, INF, 2.0, False).numbers()
    assert (caught.value.step, caught.value.problem) == (7, "the loss is inf")


# Several devices


def run_on_two(cases, folder):
    """Losses, left-out steps and the kernels of both replicas of a run whose step 4 is NaN on the second replica only."""
    devices = choose_devices(device="mirrored", precision="float32", jit="off", replicas=2)
    net = network(devices)([4])
    run, end = go(Path(folder), net, sampler_of(cases), save_every=2, devices=devices)
    replicas = [[part.numpy().tolist() for part in w.value.values] for w in net.model.trainable_variables]
    means = [[part.numpy().tolist() for part in mean.values] for mean in net.average.means.values()]
    return [line["loss"] for line in run.journal("step")], end.left_out, run.journal("spike"), replicas, means


def test_two_devices_leave_out_a_step_together_when_one_of_them_has_a_spike(tmp_path, folder, sampler, in_new_process):
    found = in_new_process(__file__, "run_on_two", str(folder), str(tmp_path / "two"))
    losses, left_out, spikes, replicas, means = found
    assert left_out == [4] and [(line["at"], line["back_to"]) for line in spikes] == [(4, 2)]
    assert len(losses) == 5 and np.isfinite(losses).all()
    for parts in (*replicas, *means):
        assert len(parts) == 2 and np.isfinite(parts[0]).all() and parts[0] == parts[1]
