"""The training loop: draw, step, look at the loss, validate, save; resumable from any checkpoint."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from brats_unet.data.patches.pipeline import batches
from brats_unet.data.patches.sampling import Sampler
from brats_unet.errors import DataError, Interrupted
from brats_unet.models import checkpoint
from brats_unet.run import Run
from brats_unet.training.averaging import Average
from brats_unet.training.budget import ENDLESS, Budget, Clock
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.schedules import Schedule
from brats_unet.training.step import LossScale, Step, per_replica
from brats_unet.training.strategy import Devices

# Region name to mean Dice over the held-out cases looked at.
Validate = Callable[[], dict[str, float]]


class ProgressReporter(Protocol):
    """What shows a person how it goes; `steps` is the whole run's, None while it is not known."""

    def step(self, step: int, steps: int | None, loss: float, patches_per_second: float) -> None: ...

    def validation(self, step: int, steps: int | None, dice: dict[str, float], seconds: float, best: bool) -> None: ...


class Running(NamedTuple):
    """An update that was handed to the devices: its rate, its loss and norm when they are done, and the scale's end."""

    learning_rate: float
    loss: Any
    norm: Any
    scale_at_its_end: bool


def train(
    *,
    run: Run,
    devices: Devices,
    model: keras.Model,
    step: Step,
    optimizer: Optimizer,
    schedule: Schedule,
    sampler: Sampler,
    budget: Budget,
    state: checkpoint.State,
    loss_scale: LossScale | None,
    average: Average | None,
    validate: Validate | None,
    display: ProgressReporter,
) -> checkpoint.State:
    """Go on from `state` to the end of the budget.

    Where steps decide, the same settings give the same run. With a time limit the schedule follows the clock, so that
    two runs differ as their machines' speeds do.

    Args:
        run: Where checkpoints, journal and TensorBoard's events go.
        devices: Where it computes.
        model: Its weights are those of `state`.
        step: One update.
        optimizer: Its slots are those of `state`.
        schedule: Factor on the base learning rate.
        sampler: Where patches are cut.
        budget: How long.
        state: Steps done, best Dice so far.
        loss_scale: Of float16, already restored; None otherwise.
        average: Of the weights, saved beside them; None for none.
        validate: Mean Dice by region on the held-out cases; None if there are none.
        display: For people.

    Returns:
        The state at the end; the last checkpoint holds it.

    Raises:
        DataError: The loss is not finite; the message names the step and the cases.
        Interrupted: On Ctrl-C or a polite kill, once the step is done and saved.
    """
    best = state.best
    validations = run.journal("validation")[-1:]
    clock = Clock(
        budget,
        state.step,
        state.seconds or 0.0,
        0.0 if validate is None else validations[0]["seconds"] if validations else None,
    )
    running: list[Running] = []  # those that have not been looked at
    named = None if average is None else average.named()

    def save(which: str, done: int, total: int) -> checkpoint.State:
        begun = time.perf_counter()
        scale = None if loss_scale is None else [loss_scale.value, loss_scale.since]
        spent = clock.spent()
        if spent is not None and budget.seconds is not None and done >= total:
            spent = max(spent, budget.seconds)  # what is left is too short for a step
        reached = checkpoint.State(done, scale, best, spent)
        checkpoint.save(run.checkpoint_file(which), model, optimizer.rule, reached, named)
        clock.saved(time.perf_counter() - begun)
        return reached

    def finish_oldest(done: int, total: int) -> None:
        """At the oldest update that has not been looked at: the device works meanwhile on those after it."""
        learning_rate, loss, norm, scale_at_its_end = running.pop(0)
        loss, norm = float(loss), float(norm)
        if not math.isfinite(loss):
            raise not_finite(sampler, done - 1, f"the loss is {loss}")
        overflowed = not math.isfinite(norm)
        if overflowed and scale_at_its_end:
            raise not_finite(sampler, done - 1, f"the loss is {loss:.4g}, but its gradient is not finite")
        seconds = clock.rate.update()
        speed = sampler.batch / seconds if seconds else 0.0
        facts = {"loss": loss, "learning_rate": learning_rate}
        if not overflowed:  # else the loss scale has left this update out
            facts["gradient_norm"] = norm
        run.note("step", step=done, **facts, patches_per_second=round(speed, 3))
        for name, value in facts.items():
            tf.summary.scalar(f"train/{name}", value, step=done)
        display.step(done, None if total == ENDLESS else total, loss, speed)

    def validated(done: int, total: int) -> None:
        nonlocal best
        assert validate is not None
        begun = time.perf_counter()
        dice = validate()
        seconds = time.perf_counter() - begun
        mean = sum(dice.values()) / len(dice)
        improved = best is None or mean > best
        run.note("validation", step=done, dice=dice, seconds=round(seconds, 2), best=improved)
        for region, value in dice.items():
            tf.summary.scalar(f"validation/dice_{region}", value, step=done)
        if improved:
            best = mean
            save("best", done, total)
        display.validation(done, None if total == ENDLESS else total, dice, seconds, improved)
        clock.validated(seconds, done, total)

    writer = tf.summary.create_file_writer(str(run.tensorboard_folder))
    share = devices.replicas
    dataset = iter(batches(sampler, first_step=state.step, steps=budget.steps, replicas=share))
    done, total = state.step, clock.total(state.step)
    try:
        with stop_requests() as stop, writer.as_default():
            while done < total:
                learning_rate = optimizer.learning_rate * schedule(done, total)
                optimizer.rule.learning_rate.assign(learning_rate)
                inputs = per_replica(devices, [next(dataset) for _ in range(share)])
                loss, norm = step(*inputs)
                running.append(Running(learning_rate, loss, norm, loss_scale is None or loss_scale.value <= 1))
                done += 1
                if len(running) > devices.ahead:
                    finish_oldest(done - devices.ahead, total)
                total = clock.total(done)
                validation_due = validate is not None and clock.validation_due(done, total)
                saves = validation_due or clock.saves(done) or done >= total
                if running and (saves or stop()):
                    finish_oldest(done, total)  # nothing is saved that has not been looked at
                if validation_due:
                    validated(done, total)
                stopping = stop() and not running  # what is announced below must have been saved here
                if saves or stopping:
                    state = save("last", done, total)
                if stopping and done < total:
                    about = "about " if budget.seconds else ""
                    raise Interrupted(
                        f"Stopped at step {done} of {about}{total}; everything up to there is saved in {run.folder}. "
                        f"Give the same command again to go on."
                    )
    finally:
        del dataset  # ends the reading ahead: a thread that is still at it when Python ends would hang the process
    return state


def not_finite(sampler: Sampler, step: int, found: str) -> DataError:
    """The message for a loss that is no number, with the cases to look at."""
    places = [sampler.place(step, sample) for sample in range(sampler.batch)]
    ids = ", ".join(sorted({sampler.cases[place.case].id for place in places}))
    return DataError(
        f"Step {step + 1}: {found}; the batch was cut from {ids}. The last checkpoint is from before. Look at these "
        f"cases with `brats-unet check`, or lower optimizer.learning_rate."
    )


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM has come: the step in hand is finished first. A second Ctrl-C stops at once."""
    asked = []

    def note(number: int, frame: Any) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    old = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
