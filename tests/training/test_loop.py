import os
import signal
import weakref
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from brats_unet.data.augment.mirror import mirror
from brats_unet.data.patches.sampling import Sampler
from brats_unet.errors import Interrupted
from brats_unet.losses import region_dice_bce
from brats_unet.losses.compound import deep_supervision
from brats_unet.models import checkpoint
from brats_unet.models.unet import unet3d
from brats_unet.run import Run
from brats_unet.training import loop
from brats_unet.training.averaging import Average
from brats_unet.training.budget import Budget
from brats_unet.training.loop import stop_requests, train
from brats_unet.training.optimizers import sgd
from brats_unet.training.schedules import polynomial
from brats_unet.training.step import LossScale, build_step
from brats_unet.training.strategy import Devices

ONE = Devices(tf.distribute.get_strategy(), 1, "float32", False, "CPU")
STEPS = 6


@pytest.fixture(scope="module")
def sampler(tmp_path_factory, write_prepared):
    folder = tmp_path_factory.mktemp("cases")
    labels = np.random.default_rng(0).choice(np.array([0, 0, 1, 2, 4], np.uint8), size=(3, 10, 10, 10))
    return Sampler([write_prepared(folder, f"case_{i}", labels[i]) for i in range(3)], (8, 8, 8), 2, 0.5, None, 3)


class Watcher:
    """A display that records its calls, and calls `do` at step `at`."""

    def __init__(self, at=None, do=lambda: None):
        self.steps, self.validations, self.at, self.do = [], [], at, do

    def step(self, step, steps, loss, patches_per_second):
        self.steps.append((step, loss))
        if step == self.at:
            self.do()

    def validation(self, step, steps, dice, seconds, best):
        self.validations.append((step, best))


def network(ema=0.9):
    """A tiny U-Net with its optimizer, the moving average of its weights and the compiled update."""
    model = unet3d(channels=2, outputs=3, seed=0, features=[4, 8], convolutions=1)
    optimizer = sgd(learning_rate=0.05, ema=ema)
    average = Average(model, ema, ONE.strategy)
    step = build_step(
        devices=ONE,
        model=model,
        loss=partial(deep_supervision, region_dice_bce()),
        optimizer=optimizer,
        augmentation=mirror(),
        seed=3,
        batch=2,
        average=average,
    )
    return SimpleNamespace(model=model, optimizer=optimizer, step=step, average=average)


def scripted(outcomes=None):
    """A one-layer network whose update returns the given (loss, norm) by step, or else falling losses."""
    image = keras.Input((None, None, None, 2))
    model = keras.Model(image, keras.layers.Conv3D(1, 1, name="w")(image))
    optimizer = sgd(learning_rate=1.0)
    optimizer.rule.build(model.trainable_variables)
    net = SimpleNamespace(model=model, optimizer=optimizer, average=None, rates=[], seen=[])

    def step(index, samples, images, labels):
        net.seen.append(int(index))
        net.rates.append(float(optimizer.rule.learning_rate))
        return (outcomes or {}).get(int(index), (1 / (1 + int(index)), 1.0))

    net.step = step
    return net


def go(
    folder,
    net,
    sampler,
    *,
    state=None,
    steps=STEPS,
    every=STEPS,
    save_every=100,
    validate=None,
    display=None,
    scale=None,
):
    run = Run(folder)
    end = train(
        run=run,
        devices=ONE,
        model=net.model,
        step=net.step,
        optimizer=net.optimizer,
        schedule=polynomial(power=1),
        sampler=sampler,
        budget=Budget(steps, every, save_every),
        state=state or checkpoint.State(0),
        loss_scale=scale,
        average=net.average,
        validate=validate,
        display=display or Watcher(),
    )
    return run, end


def resumed(run, net):
    average = None if net.average is None else net.average.named()
    return checkpoint.restore(run.checkpoint_file("last"), net.model, net.optimizer.rule, average)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_stop_and_resume_gives_the_same_bits_as_running_straight_through(tmp_path, sampler):
    straight, parts = network(), network()
    whole, end = go(tmp_path / "whole", straight, sampler)
    with pytest.raises(Interrupted) as caught:
        go(tmp_path / "parts", parts, sampler, display=Watcher(3, interrupt))
    assert "Stopped at step 3 of 6" in str(caught.value) and "Run the same command again" in str(caught.value)

    # A new process starts with other values: all variables must come from the checkpoint.
    for variable in (*parts.model.variables, *parts.optimizer.rule.variables, *parts.average.means.values()):
        variable.assign(keras.ops.zeros_like(variable))
    run = Run(tmp_path / "parts")
    state = resumed(run, parts)
    assert state.step == 3
    _, end_of_parts = go(tmp_path / "parts", parts, sampler, state=state)

    assert end == end_of_parts == checkpoint.State(6)
    expected, found = (load_file(r.checkpoint_file("last")) for r in (whole, run))
    assert expected.keys() == found.keys() and len(expected) > 30
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, err_msg=key)
    assert [line["loss"] for line in whole.journal("step")] == [line["loss"] for line in run.journal("step")]
    assert [line["step"] for line in run.journal("step")] == [1, 2, 3, 4, 5, 6]


def test_every_step_uses_its_batch_and_rate_and_is_logged(tmp_path, sampler):
    net, watcher = scripted(), Watcher()
    run, end = go(tmp_path, net, sampler, display=watcher)
    assert net.seen == list(range(6)) and end.step == 6
    np.testing.assert_allclose(net.rates, [1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6], rtol=1e-6)
    lines = run.journal("step")
    assert [(line["step"], line["loss"], line["gradient_norm"]) for line in lines] == [
        (t + 1, 1 / (1 + t), 1.0) for t in range(6)
    ]
    np.testing.assert_allclose([line["learning_rate"] for line in lines], net.rates)
    assert watcher.steps == [(line["step"], line["loss"]) for line in lines]
    assert [file.name for file in run.tensorboard_folder.iterdir() if "tfevents" in file.name]


def test_validation_runs_at_its_interval_and_at_the_end_and_the_best_is_saved(tmp_path, sampler):
    scores = iter([0.5, 0.7, 0.7, 0.6])
    net, watcher = scripted(), Watcher()
    run, end = go(
        tmp_path,
        net,
        sampler,
        steps=7,
        every=2,
        validate=lambda: {"WT": next(scores) + 0.1, "TC": 0.0, "ET": 0.0} | {},
        display=watcher,
    )
    assert watcher.validations == [(2, True), (4, True), (6, False), (7, False)]
    assert end == checkpoint.State(7, None, pytest.approx(0.8 / 3))
    assert resumed(run, net) == end
    best = checkpoint.restore(run.checkpoint_file("best"), net.model, None)
    assert best == checkpoint.State(4, None, pytest.approx(0.8 / 3))
    assert [(line["step"], line["best"]) for line in run.journal("validation")] == watcher.validations


def test_a_resumed_run_remembers_its_best(tmp_path, sampler):
    watcher = Watcher()
    go(
        tmp_path,
        scripted(),
        sampler,
        state=checkpoint.State(4, None, 0.9),
        validate=lambda: {"WT": 0.8},
        display=watcher,
    )
    assert watcher.validations == [(6, False)] and not Run(tmp_path).checkpoint_file("best").exists()


def test_without_validation_only_the_last_checkpoint_is_saved(tmp_path, sampler):
    run, _ = go(tmp_path, scripted(), sampler, every=1)
    assert run.checkpoint_file("last").exists() and not run.checkpoint_file("best").exists()
    assert run.journal("validation") == []


def test_checkpoints_are_saved_every_save_every_steps(tmp_path, sampler):
    net, found = scripted(), []
    file = Run(tmp_path).checkpoint_file("last")

    class CheckpointReader(Watcher):
        def step(self, step, steps, loss, patches_per_second):
            found.append(checkpoint.restore(file, net.model, None).step if file.exists() else 0)

    go(tmp_path, net, sampler, save_every=2, display=CheckpointReader())
    assert found == [0, 0, 2, 2, 4, 4]


def test_a_run_at_the_end_of_its_budget_does_no_step(tmp_path, sampler):
    net = scripted()
    _, end = go(tmp_path, net, sampler, state=checkpoint.State(6, None, 0.4))
    assert net.seen == [] and end == checkpoint.State(6, None, 0.4)


def test_in_float16_an_overflow_is_skipped_and_its_norm_is_not_logged(tmp_path, sampler):
    overflow = {1: (0.5, float("inf")), 4: (0.5, float("nan"))}
    run, end = go(tmp_path, scripted(overflow), sampler, scale=LossScale(8.0, since=2))
    assert end == checkpoint.State(6, [8.0, 2])
    assert ["gradient_norm" in line for line in run.journal("step")] == [True, False, True, True, False, True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_signal_finishes_the_step_and_saves_a_checkpoint(tmp_path, sampler, number):
    net = scripted()
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        go(tmp_path, net, sampler, display=Watcher(2, lambda: os.kill(os.getpid(), number)))
    assert caught.value.exit_code == 130 and str(tmp_path) in str(caught.value)
    assert net.seen == [0, 1] and resumed(Run(tmp_path), net).step == 2
    assert signal.getsignal(number) is before


def test_a_stop_during_validation_saves_its_result(tmp_path, sampler):
    def validate():
        interrupt()
        return {"WT": 0.5}

    net = scripted()
    with pytest.raises(Interrupted, match="Stopped at step 2 of 6"):
        go(tmp_path, net, sampler, every=2, validate=validate)
    assert resumed(Run(tmp_path), net) == checkpoint.State(2, None, 0.5)


def test_a_stop_at_the_last_step_does_not_interrupt(tmp_path, sampler):
    _, end = go(tmp_path, scripted(), sampler, display=Watcher(STEPS, interrupt))
    assert end.step == STEPS


def test_a_second_ctrl_c_stops_at_once():
    with stop_requests() as stop:
        assert not stop()
        interrupt()
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            interrupt()


@pytest.mark.parametrize("stop_at", [2, None])
def test_prefetching_stops_when_training_ends(tmp_path, sampler, monkeypatch, stop_at):
    # A thread that still reads when Python exits would hang the process.
    kept, original = [], loop.batches

    class Watched:
        def __init__(self, dataset):
            self.dataset = dataset

        def __iter__(self):
            iterator = iter(self.dataset)
            kept.append(weakref.ref(iterator))
            return iterator

    monkeypatch.setattr(loop, "batches", lambda *arguments, **options: Watched(original(*arguments, **options)))
    expected = pytest.raises(Interrupted) if stop_at else nullcontext()
    with expected as caught:
        go(tmp_path, scripted(), sampler, display=Watcher(stop_at, interrupt))
    assert len(kept) == 1 and kept[0]() is None
    assert not stop_at or caught.tb  # although the traceback still holds the frames
