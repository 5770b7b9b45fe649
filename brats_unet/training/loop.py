"""Training loop: read a batch, update the weights, check the loss, validate, save; resumable from any checkpoint."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import keras

from brats_unet.data.patches.pipeline import batches
from brats_unet.data.patches.sampling import Sampler
from brats_unet.errors import DataError, Interrupted
from brats_unet.models import checkpoint
from brats_unet.run import Run
from brats_unet.training.averaging import Average
from brats_unet.training.budget import ENDLESS, Budget, Clock
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.scalar_events import ScalarEvents
from brats_unet.training.schedules import Schedule
from brats_unet.training.step import LossScale, Step, per_replica
from brats_unet.training.strategy import Devices

# Returns the mean Dice over the validation cases, by region name.
Validate = Callable[[], dict[str, float]]


class ProgressReporter(Protocol):
    """Display of the progress. `step` counts from 1; `steps` is the length of the whole run, None if unknown."""

    def step(self, step: int, steps: int | None, loss: float, patches_per_second: float) -> None: ...

    def validation(self, step: int, steps: int | None, dice: dict[str, float], seconds: float, best: bool) -> None: ...


class PendingUpdate(NamedTuple):
    """An update that was started on the devices; its loss and gradient norm have not been checked yet.

    Attributes:
        learning_rate: Learning rate of the update.
        loss: Loss, scalar tensor; reading it waits for the device.
        norm: Gradient norm, scalar tensor; reading it waits for the device.
        scale_at_minimum: True if the loss scale cannot be reduced further, or there is none.
    """

    learning_rate: float
    loss: Any
    norm: Any
    scale_at_minimum: bool


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
    """Train from `state` to the end of the budget.

    Without a time limit, the same settings give the same run. With a time limit, the learning-rate schedule follows the
    clock, so the result depends on the speed of the machine.

    Args:
        run: Run folder for checkpoints, journal and TensorBoard events.
        devices: Devices to train on.
        model: Network with the weights of `state`.
        step: Function that does one update; see `build_step`.
        optimizer: Optimizer with the variables of `state`.
        schedule: Learning-rate schedule.
        sampler: Sampler that places the patches.
        budget: Length of the run.
        state: State to start from: steps done and best Dice so far.
        loss_scale: Loss scale for float16, already restored from `state`; None for other precisions.
        average: Moving average of the weights, saved in the checkpoints; None for none.
        validate: Function that returns the mean Dice by region on the validation cases; None if there are no cases.
        display: Display of the progress.

    Returns:
        The state at the end, which is also in the last checkpoint.

    Raises:
        DataError: The loss or the gradient is not finite; the message gives the step and the cases.
        Interrupted: Ctrl-C or SIGTERM was received; the current step was finished and a checkpoint saved.
    """
    best = state.best
    validations = run.journal("validation")[-1:]
    clock = Clock(
        budget,
        state.step,
        state.seconds or 0.0,
        0.0 if validate is None else validations[0]["seconds"] if validations else None,
    )
    pending: list[PendingUpdate] = []
    means = None if average is None else average.named()

    def save_checkpoint(which: str, done: int, total: int) -> checkpoint.State:
        started = time.perf_counter()
        scale = None if loss_scale is None else [loss_scale.value, loss_scale.since]
        spent = clock.spent()
        if spent is not None and budget.seconds is not None and done >= total:
            spent = max(spent, budget.seconds)  # the time left is shorter than a step
        reached = checkpoint.State(done, scale, best, spent)
        checkpoint.save(run.checkpoint_file(which), model, optimizer.rule, reached, means)
        clock.saved(time.perf_counter() - started)
        return reached

    def finish_oldest(done: int, total: int) -> None:
        """Check and log the oldest pending update, step number `done`; the device works on later ones meanwhile."""
        learning_rate, loss, norm, scale_at_minimum = pending.pop(0)
        loss, norm = float(loss), float(norm)
        if not math.isfinite(loss):
            raise not_finite_error(sampler, done - 1, f"the loss is {loss}")
        overflowed = not math.isfinite(norm)
        if overflowed and scale_at_minimum:
            raise not_finite_error(sampler, done - 1, f"the loss is {loss:.4g}, but its gradient is not finite")
        seconds = clock.rate.update()
        speed = sampler.batch / seconds if seconds else 0.0
        facts = {"loss": loss, "learning_rate": learning_rate}
        if not overflowed:  # with a loss scale, an update that overflowed was skipped
            facts["gradient_norm"] = norm
        run.note("step", step=done, **facts, patches_per_second=round(speed, 3))
        for name, value in facts.items():
            events.add(f"train/{name}", value, step=done)
        display.step(done, None if total == ENDLESS else total, loss, speed)

    def run_validation(done: int, total: int) -> None:
        """Validate after `done` steps, log the result, and save a checkpoint if it is the best so far."""
        nonlocal best
        assert validate is not None
        started = time.perf_counter()
        dice = validate()
        seconds = time.perf_counter() - started
        mean = sum(dice.values()) / len(dice)
        improved = best is None or mean > best
        run.note("validation", step=done, dice=dice, seconds=round(seconds, 2), best=improved)
        for region, value in dice.items():
            events.add(f"validation/dice_{region}", value, step=done)
        if improved:
            best = mean
            save_checkpoint("best", done, total)
        display.validation(done, None if total == ENDLESS else total, dice, seconds, improved)
        clock.validated(seconds, done, total)

    events = ScalarEvents(run.tensorboard_folder)
    dataset = iter(batches(sampler, first_step=state.step, steps=budget.steps, replicas=devices.replicas))
    max_pending = int(devices.asynchronous)
    done, total = state.step, clock.total(state.step)
    try:
        with stop_requests() as stop, events:
            while done < total:
                learning_rate = optimizer.learning_rate * schedule(done, total)
                optimizer.rule.learning_rate.assign(learning_rate)
                inputs = per_replica(devices, [next(dataset) for _ in range(devices.replicas)])
                loss, norm = step(*inputs)
                scale_at_minimum = loss_scale is None or loss_scale.value <= 1
                pending.append(PendingUpdate(learning_rate, loss, norm, scale_at_minimum))
                done += 1
                if len(pending) > max_pending:
                    finish_oldest(done - max_pending, total)
                total = clock.total(done)
                validation_due = validate is not None and clock.validation_due(done, total)
                save_due = validation_due or clock.checkpoint_due(done) or done >= total
                if pending and (save_due or stop()):
                    finish_oldest(done, total)  # only checked updates may be saved
                if validation_due:
                    run_validation(done, total)
                stopping = stop() and not pending  # stop only if this step is checked and can be saved
                if save_due or stopping:
                    state = save_checkpoint("last", done, total)
                if stopping and done < total:
                    about = "about " if budget.seconds else ""
                    raise Interrupted(
                        f"Stopped at step {done} of {about}{total}; the checkpoint is saved in {run.folder}. "
                        f"Run the same command again to continue."
                    )
    finally:
        del dataset  # stops prefetching: a thread that still reads when Python exits would hang the process
    return state


def not_finite_error(sampler: Sampler, step: int, problem: str) -> DataError:
    """Error for a loss or gradient that is not finite, with the cases in the batch."""
    places = [sampler.place(step, sample) for sample in range(sampler.batch)]
    ids = ", ".join(sorted({sampler.cases[place.case].id for place in places}))
    return DataError(
        f"Step {step + 1}: {problem}; the batch was cut from {ids}. The last checkpoint is from before this step. "
        f"Check these cases with `brats-unet check`, or lower optimizer.learning_rate."
    )


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Catch Ctrl-C and SIGTERM; yields a function that tells whether one has come. A second Ctrl-C stops at once."""
    received = []

    def record(number: int, frame: Any) -> None:
        received.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    old = {number: signal.signal(number, record) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
