import os
import signal
import weakref
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import load_file

from brats_unet.data.augment.mirror import mirror
from brats_unet.data.patches.sampling import Sampler
from brats_unet.distributed.workers import Workers
from brats_unet.errors import Interrupted
from brats_unet.losses import region_dice_bce
from brats_unet.losses.compound import deep_supervision
from brats_unet.models import checkpoint
from brats_unet.models.unet import unet3d
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from brats_unet.stopping import SIGNALS, StopRequest
from brats_unet.training import loop
from brats_unet.training.averaging import Average
from brats_unet.training.background import InBackground
from brats_unet.training.budget import Budget
from brats_unet.training.loop import train
from brats_unet.training.optimizers import sgd
from brats_unet.training.pseudo_dice import PatchScores, PatchValidation, patch_measure
from brats_unet.training.schedules import polynomial
from brats_unet.training.step import LossScale, build_step
from brats_unet.training.strategy import Devices
from brats_unet.training.tracker import Trackers

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
        self.steps, self.validations, self.patch_dice, self.at, self.do = [], [], [], at, do

    def step(self, step, steps, loss, patches_per_second):
        self.steps.append((step, loss))
        if step == self.at:
            self.do()

    def patches(self, running_mean_dice):
        self.patch_dice.append(running_mean_dice)

    def spike(self, sentence):
        pass

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
        loss=partial(deep_supervision, region_dice_bce(), scheme=builtin()),
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


def patches_of(net, sampler):
    """Validation on patches after every second step, with the averaged weights of `net`."""
    measure = patch_measure(
        model=unet3d(channels=2, outputs=3, seed=0, features=[4, 8], convolutions=1),
        outputs="regions",
        scheme=builtin(),
        loss=partial(deep_supervision, region_dice_bce(), scheme=builtin()),
        sampler=replace(sampler, seed=4),
        batches=1,
        at_once=2,
        average=net.average,
    )
    return PatchValidation(measure, 2)


def scripted_patches(*dice, every=2):
    """Validation on patches whose measurements find these Dice values of WT, one after another."""
    return PatchValidation(lambda number: PatchScores(0.5, {"WT": dice[number - 1], "TC": None}), every)


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
    patches=None,
    devices=ONE,
    display=None,
    scale=None,
    keep=1,
    draw=None,
    tracker=None,
):
    run = Run(folder)
    with StopRequest() as stop:
        end = train(
            run=run,
            devices=devices,
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
            draw=draw,
            patches=patches,
            tracker=tracker or Trackers(),
            display=display or Watcher(),
            stop=stop,
            keep=keep,
        )
    return run, end


def resumed(run, net):
    average = None if net.average is None else net.average.named()
    return checkpoint.restore(run.checkpoint_file("last"), net.model, net.optimizer.rule, average)


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_stop_and_resume_gives_the_same_bits_as_running_straight_through(tmp_path, sampler):
    straight, parts = network(), network()
    whole, end = go(tmp_path / "whole", straight, sampler, patches=patches_of(straight, sampler))
    with pytest.raises(Interrupted) as caught:
        go(tmp_path / "parts", parts, sampler, patches=patches_of(parts, sampler), display=Watcher(3, interrupt))
    assert "Stopped by Ctrl-C at step 3 of 6" in str(caught.value)

    # A new process starts with other values: all variables must come from the checkpoint.
    for variable in (*parts.model.variables, *parts.optimizer.rule.variables, *parts.average.means.values()):
        variable.assign(keras.ops.zeros_like(variable))
    run = Run(tmp_path / "parts")
    state = resumed(run, parts)
    assert state.step == 3
    _, end_of_parts = go(tmp_path / "parts", parts, sampler, state=state, patches=patches_of(parts, sampler))

    assert end == end_of_parts and end.step == 6 and 0 < end.running_mean <= end.best < 1
    for which in ("last", "best"):
        expected, found = (load_file(r.checkpoint_file(which)) for r in (whole, run))
        assert expected.keys() == found.keys() and len(expected) > 30
        for key, value in expected.items():
            np.testing.assert_array_equal(found[key], value, err_msg=key)
    measured = [
        [{key: value for key, value in line.items() if key != "seconds"} for line in r.journal("patches")]
        for r in (whole, run)
    ]
    assert measured[0] == measured[1] and [line["step"] for line in measured[0]] == [2, 4, 6]
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


def test_validation_runs_at_its_interval_and_at_the_end_and_the_best_is_saved(tmp_path, sampler):
    scores = iter([0.5, 0.7, 0.7, 0.6])
    net, watcher = scripted(), Watcher()
    run, end = go(
        tmp_path,
        net,
        sampler,
        steps=7,
        every=2,
        validate=lambda: [{"WT": next(scores) + 0.1, "TC": 0.0, "ET": 0.0}],
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
        validate=lambda: [{"WT": 0.8}],
        display=watcher,
    )
    assert watcher.validations == [(6, False)] and not Run(tmp_path).checkpoint_file("best").exists()


def test_without_validation_only_the_last_checkpoint_is_saved(tmp_path, sampler):
    run, _ = go(tmp_path, scripted(), sampler, every=1)
    assert run.checkpoint_file("last").exists() and not run.checkpoint_file("best").exists()
    assert run.journal("validation") == []


def test_the_running_mean_of_patches_chooses_the_best_and_whole_volumes_do_not(tmp_path, sampler):
    net, watcher, volumes = scripted(), Watcher(), iter([0.1, 0.9, 0.8, 0.7])
    run, end = go(
        tmp_path,
        net,
        sampler,
        steps=7,
        every=2,
        validate=lambda: [{"WT": next(volumes)}],
        patches=scripted_patches(0.5, 0.9, 0.3, 0.3),
        display=watcher,
    )
    # 0.5, then 0.9 * 0.5 + 0.1 * 0.9 and so on; measured after every second step and at the end
    means = pytest.approx([0.5, 0.54, 0.516, 0.4944])
    assert watcher.patch_dice == means
    lines = run.journal("patches")
    assert [line["running_mean_dice"] for line in lines] == means
    assert [(line["step"], line["best"]) for line in lines] == [(2, True), (4, True), (6, False), (7, False)]
    assert [line["dice"] for line in lines] == [{"WT": dice, "TC": None} for dice in (0.5, 0.9, 0.3, 0.3)]
    assert watcher.validations == [(2, False), (4, False), (6, False), (7, False)]
    assert end == resumed(run, net) == checkpoint.State(7, best=means.expected[1], running_mean=means.expected[3])
    best = checkpoint.restore(run.checkpoint_file("best"), net.model, None)
    assert (best.step, best.running_mean) == (4, best.best)


def test_a_run_shorter_than_the_interval_is_measured_at_its_end(tmp_path, sampler):
    run, end = go(tmp_path, scripted(), sampler, patches=scripted_patches(0.25, every=100))
    assert [line["step"] for line in run.journal("patches")] == [6] and end.best == 0.25
    assert run.checkpoint_file("best").exists()


def test_where_volumes_chose_the_best_before_patches_choose_anew(tmp_path, sampler):
    before = checkpoint.State(4, None, 0.9)  # as in a checkpoint without a running mean
    run, end = go(tmp_path / "a", scripted(), sampler, state=before, patches=scripted_patches(0, 0, 0.25))
    assert end.best == 0.25 and run.checkpoint_file("best").exists()
    before = checkpoint.State(4, best=0.9, running_mean=0.8)
    _, end = go(tmp_path / "b", scripted(), sampler, state=before, validate=lambda: [{"WT": 0.5}])
    assert end == checkpoint.State(6, None, 0.5)
    _, end = go(tmp_path / "c", scripted(), sampler, state=before, patches=scripted_patches(0, 0, 0.5))
    assert end.best == 0.9 and end.running_mean == pytest.approx(0.77)


def test_on_devices_that_run_ahead_patches_are_measured_after_their_step_is_checked(tmp_path, sampler):
    net, seen = scripted(), []
    patches = PatchValidation(lambda number: seen.append(len(net.seen)) or PatchScores(0.5, {"WT": 0.5}), 4)
    go(tmp_path, net, sampler, devices=replace(ONE, asynchronous=True), patches=patches)
    assert seen == [4, 6]
    lines = [(line["event"], line["step"]) for line in Run(tmp_path).journal()]
    assert lines == [*(("step", n) for n in (1, 2, 3, 4)), ("patches", 4), ("step", 5), ("step", 6), ("patches", 6)]


def test_after_a_spike_the_running_mean_goes_back_too_and_measurements_are_repeated(tmp_path, sampler):
    straight, _ = go(tmp_path / "straight", scripted(), sampler, patches=scripted_patches(0.5, 0.9, 0.7))
    net = scripted({4: (float("nan"), 1.0)})
    run, end = go(tmp_path / "spike", net, sampler, patches=scripted_patches(0.5, 0.9, 0.7))
    assert net.seen == [0, 1, 2, 3, 4, 0, 1, 2, 3, 5] and end.left_out == [5]
    # 0.54 after two measurements, 0.9 * 0.54 + 0.07 after the third
    assert (end.best, end.running_mean) == (pytest.approx(0.556), pytest.approx(0.556))
    means = [[line["running_mean_dice"] for line in r.journal("patches")] for r in (straight, run)]
    assert means[0] == means[1] and len(means[0]) == 3


def test_without_patches_nothing_is_measured_or_written(tmp_path, sampler):
    watcher = Watcher()
    run, end = go(tmp_path, scripted(), sampler, validate=lambda: [{"WT": 0.5}], display=watcher)
    assert run.journal("patches") == [] and watcher.patch_dice == []
    assert end == checkpoint.State(6, None, 0.5) and watcher.validations == [(6, True)]


def test_checkpoints_are_saved_every_save_every_steps(tmp_path, sampler, monkeypatch):
    written, write = [], checkpoint.write

    def record(path, tensors, state, **given):
        write(path, tensors, state, **given)
        written.append((path.stem, state.step))

    monkeypatch.setattr(checkpoint, "write", record)
    go(tmp_path, scripted(), sampler, save_every=2)
    assert written == [("initial", 0), ("last", 2), ("last", 4), ("last", 6)]


def test_a_run_at_the_end_of_its_budget_does_no_step(tmp_path, sampler):
    net = scripted()
    _, end = go(tmp_path, net, sampler, state=checkpoint.State(6, None, 0.4))
    assert net.seen == [] and end == checkpoint.State(6, None, 0.4)


def test_in_float16_an_overflow_is_skipped_and_its_norm_is_not_logged(tmp_path, sampler):
    overflow = {1: (0.5, float("inf")), 4: (0.5, float("nan"))}
    run, end = go(tmp_path, scripted(overflow), sampler, scale=LossScale(8.0, since=2))
    assert end == checkpoint.State(6, [8.0, 2])
    assert ["gradient_norm" in line for line in run.journal("step")] == [True, False, True, True, False, True]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_signal_finishes_the_step_and_saves_a_checkpoint(tmp_path, sampler, number):
    net = scripted()
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught:
        go(tmp_path, net, sampler, display=Watcher(2, lambda: os.kill(os.getpid(), number)))
    by = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGUSR1: "SIGUSR1"}[number]
    assert str(caught.value) == f"Stopped by {by} at step 2 of 6; the checkpoint is saved in {tmp_path}."
    assert caught.value.exit_code == 75
    assert net.seen == [0, 1] and resumed(Run(tmp_path), net).step == 2
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("at", [2, 6])
def test_a_validation_is_broken_off_by_a_stop_and_done_again_at_the_next_start(tmp_path, sampler, at):
    _, end = go(tmp_path / "straight", scripted(), sampler, every=2, validate=lambda: [{"WT": 0.5}])
    asked, net = [], scripted()

    def validate():
        asked.append(len(net.seen))
        if asked == list(range(2, at + 1, 2)):
            interrupt()
            raise AssertionError("the validation was not broken off")
        return [{"WT": 0.5}]

    with pytest.raises(Interrupted, match=f"Stopped by Ctrl-C in the validation after step {at} of 6; the checkpoint"):
        go(tmp_path / "run", net, sampler, every=2, validate=validate)
    run = Run(tmp_path / "run")
    state = resumed(run, net)
    assert state.step == at and state.validation_pending and len(run.journal("validation")) == at // 2 - 1
    assert go(tmp_path / "run", net, sampler, state=state, every=2, validate=validate) == (run, end)
    assert asked == [*range(2, at + 1, 2), *range(at, 7, 2)]  # after as many steps in all, some of them again
    assert resumed(run, net) == end == checkpoint.State(6, None, 0.5)
    assert checkpoint.restore(run.checkpoint_file("best"), net.model, None).step == 2
    assert [line["step"] for line in run.journal("validation")] == [2, 4, 6]


class OtherStops(Workers):
    """A worker whose other one is stopped within each validation."""

    def gather(self, point, value, *, patient=False):
        return [value, None] if point.startswith("validation after") else [value]


def test_a_stop_of_another_worker_breaks_the_validation_off_on_this_one_too(tmp_path, sampler):
    net, devices = scripted(), replace(ONE, workers=OtherStops())
    with pytest.raises(Interrupted, match="Stopped in the validation after step 2 of 6; the checkpoint"):
        go(tmp_path, net, sampler, every=2, validate=lambda: [{"WT": 0.5}], devices=devices)
    run = Run(tmp_path)
    assert resumed(run, net).validation_pending and run.journal("validation") == []


def test_a_stop_before_a_validation_leaves_it_out_for_the_next_start(tmp_path, sampler):
    def measure(number):
        interrupt()
        return PatchScores(0.5, {"WT": 0.5})

    def validate():
        raise AssertionError("validated after a stop")

    net = scripted()
    with pytest.raises(Interrupted, match="in the validation after step 2 of 6"):
        go(tmp_path, net, sampler, every=2, validate=validate, patches=PatchValidation(measure, 2))
    assert resumed(Run(tmp_path), net).validation_pending


def test_a_stop_at_the_last_step_does_not_interrupt(tmp_path, sampler):
    _, end = go(tmp_path, scripted(), sampler, display=Watcher(STEPS, interrupt))
    assert end.step == STEPS


def test_a_second_ctrl_c_stops_at_once_and_the_last_checkpoint_stays(tmp_path, sampler):
    def twice():
        interrupt()
        interrupt()

    net = scripted()
    with pytest.raises(KeyboardInterrupt) as caught:
        go(tmp_path, net, sampler, save_every=2, display=Watcher(4, twice))
    assert type(caught.value) is KeyboardInterrupt and net.seen == [0, 1, 2, 3]
    assert resumed(Run(tmp_path), net).step == 2


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


# Trackers


class Told:
    """A tracker that keeps what it is told; each call of `scalars` raises if it fails."""

    def __init__(self, fails=False):
        self.numbers, self.pictures, self.fails = [], [], fails

    def start(self, run):
        return ""

    def scalars(self, values, step):
        if self.fails:
            raise ConnectionError("no route to the server")
        self.numbers.append((step, values))

    def picture(self, name, png, step):
        self.pictures.append((name, png, step))

    def finish(self, end):
        pass


def test_a_tracker_is_told_every_step_and_validation_and_gets_a_picture_of_it(tmp_path, sampler):
    told, scores = Told(), iter([0.25, 0.5])
    go(
        tmp_path,
        scripted(),
        sampler,
        every=3,
        validate=lambda: [{"WT": next(scores), "TC": 0.0}],
        draw=lambda step: f"png {step}".encode(),
        tracker=told,
    )
    losses = [(step, values["train/loss"]) for step, values in told.numbers if "train/loss" in values]
    assert losses == [(t + 1, 1 / (1 + t)) for t in range(6)]
    first = next(values for step, values in told.numbers if step == 3 and "train/loss" in values)
    assert (first["train/learning_rate"], first["train/gradient_norm"]) == (pytest.approx(4 / 6), 1.0)
    assert [(step, values) for step, values in told.numbers if "held_out/dice_WT" in values] == [
        (3, {"held_out/dice_WT": 0.25, "held_out/dice_TC": 0.0, "held_out/dice_mean": 0.125}),
        (6, {"held_out/dice_WT": 0.5, "held_out/dice_TC": 0.0, "held_out/dice_mean": 0.25}),
    ]
    name = "held_out/first_case"
    assert told.pictures == [(name, b"png 3", 3), (name, b"png 6", 6)]


def test_a_tracker_that_fails_changes_nothing_in_the_training_and_is_said_once(tmp_path, sampler):
    said = []
    _, straight = go(tmp_path / "straight", scripted(), sampler, validate=lambda: [{"WT": 0.5}])
    failing = InBackground(Told(fails=True), "tracking=x", said.append)
    failing.start(None)
    net = scripted()
    _, end = go(tmp_path / "failing", net, sampler, validate=lambda: [{"WT": 0.5}], tracker=failing)
    failing.finish("done")
    assert end == straight and len(net.seen) == STEPS
    assert said == ["tracking=x fails: no route to the server. The training goes on without it."]
