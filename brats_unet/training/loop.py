"""Training loop: read a batch, update the weights, check the loss, validate, save; resumable from any checkpoint."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import keras

from brats_unet.data.patches.pipeline import batches
from brats_unet.data.patches.sampling import Sampler
from brats_unet.errors import Interrupted
from brats_unet.files import remove_file
from brats_unet.models import checkpoint
from brats_unet.run import Run
from brats_unet.training.averaging import Average
from brats_unet.training.budget import ENDLESS, Budget, Clock
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.pseudo_dice import PatchValidation, best_so_far
from brats_unet.training.scalar_events import ScalarEvents
from brats_unet.training.schedules import Schedule
from brats_unet.training.spikes import MOST_PER_RUN, PendingUpdate, Spike, cases_of, leave_out
from brats_unet.training.step import LossScale, Step, per_replica
from brats_unet.training.strategy import Devices

# Returns the mean Dice over the validation cases, by region name.
Validate = Callable[[], dict[str, float]]


class ProgressReporter(Protocol):
    """Display of the progress. `step` counts from 1; `steps` is the length of the whole run, None if unknown."""

    def step(self, step: int, steps: int | None, loss: float, patches_per_second: float) -> None: ...

    def patches(self, running_mean_dice: float | None) -> None: ...

    def validation(self, step: int, steps: int | None, dice: dict[str, float], seconds: float, best: bool) -> None: ...

    def spike(self, sentence: str) -> None: ...


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
    patches: PatchValidation | None,
    display: ProgressReporter,
) -> checkpoint.State:
    """Train from `state` to the end of the budget.

    Without a time limit, the same settings give the same run. With a time limit, the learning-rate schedule follows the
    clock, so the result depends on the speed of the machine.

    After a loss or gradient that is not finite, the run goes back to its last checkpoint and leaves that step out: the
    step counts, but has no update. The checkpoints hold the steps that are left out.

    Args:
        run: Run folder for checkpoints, journal and TensorBoard events.
        devices: Devices to train on.
        model: Network with the weights of `state`.
        step: Function that does one update; see `build_step`.
        optimizer: Optimizer with the variables of `state`.
        schedule: Learning-rate schedule.
        sampler: Sampler that places the patches.
        budget: Length of the run.
        state: State to start from: steps done, steps to leave out, and best Dice so far.
        loss_scale: Loss scale for float16, already restored from `state`; None for other precisions.
        average: Moving average of the weights, saved in the checkpoints; None for none.
        validate: Function that returns the mean Dice by region on the validation cases; None if there are no cases.
        patches: Validation on held-out patches, which chooses the checkpoint "best"; None to let `validate` choose.
        display: Display of the progress.

    Returns:
        The state at the end, which is also in the last checkpoint.

    Raises:
        DataError: The loss or the gradient is not finite once more than `MOST_PER_RUN` times; the message gives the
            step and the cases.
        Interrupted: Ctrl-C or SIGTERM was received; the current step was finished and a checkpoint saved.
    """
    best, left_out = best_so_far(state, patches), state.left_out
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
        mean = None if patches is None else patches.running_mean
        reached = checkpoint.State(done, scale, best, spent, left_out, mean)
        checkpoint.save(run.checkpoint_file(which), model, optimizer.rule, reached, means)
        if which == "last":
            remove_file(run.checkpoint_file("initial"))
            clock.saved(time.perf_counter() - started)
        return reached

    def finish_oldest(total: int) -> None:
        """Check and log the oldest pending update; the device works on later ones meanwhile. Raises Spike."""
        update = pending.pop(0)
        facts = update.numbers()
        seconds = clock.rate.update()
        speed = sampler.batch / seconds if seconds else 0.0
        run.note("step", step=update.step, **facts, patches_per_second=round(speed, 3))
        for name, value in facts.items():
            events.add(f"train/{name}", value, step=update.step)
        display.step(update.step, None if total == ENDLESS else total, facts["loss"], speed)

    def go_back(spike: Spike) -> checkpoint.State:
        """Restore the last checkpoint, and save it again with the step of the spike left out."""
        nonlocal best, left_out
        left_out = leave_out(spike, left_out, sampler)
        pending.clear()
        which = "last" if run.checkpoint_file("last").exists() else "initial"
        reached = checkpoint.restore(run.checkpoint_file(which), model, optimizer.rule, means)
        best = best_so_far(reached, patches)
        if loss_scale is not None:
            loss_scale.restore(reached.loss_scale)
        cases = cases_of(spike, sampler)
        # Without the key "step": the lines of the steps that are repeated would hide it; see `Run.journal`.
        run.note("spike", at=spike.step, problem=spike.problem, cases=cases, back_to=reached.step)
        display.spike(
            f"{spike}; the batch was cut from {', '.join(cases)}. The run goes back to step {reached.step} and leaves "
            f"out step {spike.step} ({len(left_out)} of at most {MOST_PER_RUN} times)."
        )
        clock.rate.restart()
        return save_checkpoint("last", reached.step, clock.total(reached.step))

    def validate_patches(done: int, total: int) -> None:
        """Measure held-out patches after `done` steps; save a checkpoint if their running mean is the best so far."""
        nonlocal best
        assert patches is not None
        started, traced = time.perf_counter(), patches.is_traced
        if patches.validate(done, best, run, events):
            best = patches.running_mean
            save_checkpoint("best", done, total)
        display.patches(patches.running_mean)
        clock.patches_validated(time.perf_counter() - started, traced)

    def run_validation(done: int, total: int) -> None:
        """Validate after `done` steps and log the result; without patches, save the best checkpoint so far."""
        nonlocal best
        assert validate is not None
        started = time.perf_counter()
        dice = validate()
        seconds = time.perf_counter() - started
        mean = sum(dice.values()) / len(dice)
        improved = patches is None and (best is None or mean > best)
        run.note("validation", step=done, dice=dice, seconds=round(seconds, 2), best=improved)
        for region, value in dice.items():
            events.add(f"validation/dice_{region}", value, step=done)
        if improved:
            best = mean
            save_checkpoint("best", done, total)
        display.validation(done, None if total == ENDLESS else total, dice, seconds, improved)
        clock.validated(seconds, done, total)

    def run_steps(state: checkpoint.State) -> checkpoint.State:
        """Train from `state`, which the network holds, to the end of the budget. Raises Spike."""
        dataset = iter(batches(sampler, first_step=state.step, steps=budget.steps, replicas=devices.replicas))
        done, total = state.step, clock.total(state.step)
        try:
            while done < total:
                learning_rate = optimizer.learning_rate * schedule(done, total)
                optimizer.rule.learning_rate.assign(learning_rate)
                inputs = per_replica(devices, [next(dataset) for _ in range(devices.replicas)])
                done += 1
                if done not in left_out:
                    scale_at_minimum = loss_scale is None or loss_scale.value <= 1
                    pending.append(PendingUpdate(done, learning_rate, *step(*inputs), scale_at_minimum))
                while len(pending) > (0 if done in left_out else max_pending):
                    finish_oldest(total)
                if done in left_out:
                    run.note("left_out", step=done)
                total = clock.total(done)
                validation_due = validate is not None and clock.validation_due(done, total)
                save_due = validation_due or clock.checkpoint_due(done) or done >= total
                patches_due = patches is not None and patches.due(done, total)
                if pending and (save_due or patches_due or stop()):
                    finish_oldest(total)  # only checked updates may be saved
                if patches_due:
                    validate_patches(done, total)
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

    events = ScalarEvents(run.tensorboard_folder)
    max_pending = int(devices.asynchronous)
    with stop_requests() as stop, events:
        if state.step < clock.total(state.step) and not run.checkpoint_file("last").exists():
            save_checkpoint("initial", state.step, clock.total(state.step))
        while True:
            try:
                return run_steps(state)
            except Spike as spike:
                state = go_back(spike)


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
