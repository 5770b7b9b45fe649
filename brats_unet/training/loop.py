"""Training loop: read a batch, update the weights, check the loss, validate, save; resumable from any checkpoint."""

import time
from collections.abc import Callable
from contextlib import suppress

import keras

from brats_unet.data.patches.pipeline import batches
from brats_unet.data.patches.sampling import Sampler
from brats_unet.errors import Interrupted, Stopped
from brats_unet.models import checkpoint
from brats_unet.run import Run
from brats_unet.stopping import StopRequest
from brats_unet.training.averaging import Average
from brats_unet.training.budget import ENDLESS, Budget, Clock
from brats_unet.training.held_out_dice import mean_by_region
from brats_unet.training.last_checkpoints import CheckpointWriter
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.progress_reporter import ProgressReporter
from brats_unet.training.pseudo_dice import PatchValidation, best_so_far
from brats_unet.training.schedules import Schedule
from brats_unet.training.spikes import MOST_PER_RUN, PendingUpdate, Spike, cases_of, leave_out
from brats_unet.training.step import LossScale, Step, per_replica
from brats_unet.training.strategy import Devices
from brats_unet.training.tracker import Tracker

# Returns the Dice of each validation case of this worker, by region name.
Validate = Callable[[], list[dict[str, float]]]


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
    draw: Callable[[int], bytes] | None,
    patches: PatchValidation | None,
    tracker: Tracker,
    display: ProgressReporter,
    stop: StopRequest,
    keep: int,
) -> checkpoint.State:
    """Train from `state` to the end of the budget.

    Without a time limit, the same settings give the same run. With a time limit, the learning-rate schedule follows the
    clock, so the result depends on the speed of the machine.

    After a loss or gradient that is not finite, the run goes back to its last checkpoint and leaves that step out: the
    step counts, but has no update. The checkpoints hold the steps that are left out.

    Args:
        run: Run folder for checkpoints and journal; only the chief of several workers writes.
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
        validate: Function that returns the Dice of each validation case of this worker; None if there are no cases.
        draw: Function of the steps done that returns a PNG file of the first case just validated; None for no picture.
        patches: Validation on held-out patches, which chooses the checkpoint "best"; None to let `validate` choose.
        tracker: Where losses, Dice and pictures are reported.
        display: Display of the progress.
        stop: Asked after each step; if one of several workers is to stop, all do. A validation is broken off at once,
            and done again at the next start.
        keep: Number of last checkpoints to keep.

    Returns:
        The state at the end or pause, which is also in the last checkpoint.

    Raises:
        DataError: The loss or the gradient is not finite once more than `MOST_PER_RUN` times; the message gives the
            step and the cases.
        Interrupted: A stop was requested; the current step was finished and a checkpoint saved.
        MachineError: A checkpoint cannot be written; those before it stay as they are.
    """
    workers, best, left_out = devices.workers, best_so_far(state, patches), state.left_out
    validations = run.journal("validation")[-1:]
    before = 0.0 if validate is None else validations[0]["seconds"] if validations else None
    clock = Clock(budget, state.step, state.seconds or 0.0, before)
    pending: list[PendingUpdate] = []
    means = None if average is None else average.named()

    def save_checkpoint(which: str, done: int, total: int, *, validation_pending: bool = False) -> checkpoint.State:
        started = time.perf_counter()
        scale = None if loss_scale is None else [loss_scale.value, loss_scale.since]
        spent = clock.spent()
        if spent is not None and budget.seconds is not None and done >= total:
            spent = max(spent, budget.seconds)  # the time left is shorter than a step
        mean = None if patches is None else patches.running_mean
        reached = checkpoint.State(done, scale, best, spent, left_out, mean, validation_pending)
        writer.save(which, model, optimizer.rule, reached, means)
        if which == "last":
            clock.saved(max(time.perf_counter() - started, writer.seconds))
        return reached

    def finish_oldest(total: int) -> None:
        """Check and log the oldest pending update; the device works on later ones meanwhile. Raises Spike."""
        update = pending.pop(0)
        facts = update.numbers()
        seconds = clock.rate.update()
        speed = sampler.batch / seconds if seconds else 0.0
        run.note("step", step=update.step, **facts, patches_per_second=round(speed, 3))
        told = facts | ({"patches_per_second": speed} if speed else {})
        tracker.scalars({f"train/{name}": value for name, value in told.items()}, update.step)
        display.step(update.step, None if total == ENDLESS else total, facts["loss"], speed)

    def go_back(spike: Spike) -> checkpoint.State:
        """Restore the last checkpoint, and save it again with the step of the spike left out."""
        nonlocal best, left_out
        left_out = leave_out(spike, left_out, sampler)
        pending.clear()
        writer.wait()
        workers.gather("the checkpoint before a spike", None)
        which = "last" if run.checkpoint_file("last").exists() else "initial"
        reached = checkpoint.restore(run.checkpoint_file(which), model, optimizer.rule, means)
        workers.gather("restored after a spike", None)
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
        again = reached.validation_pending
        return save_checkpoint("last", reached.step, clock.total(reached.step), validation_pending=again)

    def validate_patches(done: int, total: int) -> None:
        """Measure held-out patches after `done` steps; save a checkpoint if their running mean is the best so far."""
        nonlocal best
        assert patches is not None
        started, traced = time.perf_counter(), patches.is_traced
        if patches.validate(done, best, run, tracker):
            best = patches.running_mean
            save_checkpoint("best", done, total)
        display.patches(patches.running_mean)
        clock.patches_validated(time.perf_counter() - started, traced)

    def run_validation(done: int, total: int) -> None:
        """Validate after `done` steps and log the result; without patches, save the best checkpoint so far.

        Raises:
            Stopped: A stop was requested, on any worker, before the result was there.
        """
        nonlocal best
        assert validate is not None
        started, own = time.perf_counter(), None
        with suppress(Stopped), stop.raising():
            own = validate()
        shares = workers.gather(f"validation after step {done}", own, patient=True)
        if None in shares:
            raise Stopped
        dice = mean_by_region(workers.in_order(shares))
        mean = sum(dice.values()) / len(dice)
        tracker.scalars({f"held_out/dice_{name}": value for name, value in (dice | {"mean": mean}).items()}, done)
        if draw is not None:
            tracker.picture("held_out/first_case", draw(done), done)
        seconds = time.perf_counter() - started
        improved = patches is None and (best is None or mean > best)
        run.note("validation", step=done, dice=dice, seconds=round(seconds, 2), best=improved)
        if improved:
            best = mean
            save_checkpoint("best", done, total)
        display.validation(done, None if total == ENDLESS else total, dice, seconds, improved)
        clock.validated(seconds, done, total)

    def validate_and_save(done: int, total: int, *, validation: bool, save: bool, stopping: bool) -> checkpoint.State:
        """Do what is due after `done` steps, and end the training if a stop is requested."""
        broken_off = False
        if validation:
            try:
                run_validation(done, total)
            except Stopped:
                broken_off = stopping = True
        if not (save or stopping):
            return state
        reached = save_checkpoint("last", done, total, validation_pending=broken_off)
        if stopping and (done < total or broken_off):
            writer.wait()
            of = f"{done} of {'about ' if budget.seconds else ''}{total}"
            where = f"in the validation after step {of}" if broken_off else f"at step {of}"
            by = f" by {stop.by}" if stop.requested else ""
            raise Interrupted(f"Stopped{by} {where}; the checkpoint is saved in {run.folder}.")
        return reached

    def run_steps() -> None:
        """Train from `state`, which the network holds, to the end of the budget. Raises Spike."""
        nonlocal state
        parts = {"replicas": devices.replicas, "workers": workers.count, "worker": workers.index}
        dataset = iter(batches(sampler, first_step=state.step, steps=budget.steps, **parts))
        done, total = state.step, workers.of_chief("start", clock.total(state.step))
        try:
            if state.validation_pending and validate is not None:
                state = validate_and_save(done, total, validation=True, save=True, stopping=False)
            while done < min(total, budget.until):
                learning_rate = optimizer.learning_rate * schedule(done, total)
                optimizer.rule.learning_rate.assign(learning_rate)
                inputs = per_replica(devices, [next(dataset) for _ in range(devices.local_replicas)])
                done += 1
                if done not in left_out:
                    scale_at_minimum = loss_scale is None or loss_scale.value <= 1
                    pending.append(PendingUpdate(done, learning_rate, *step(*inputs), scale_at_minimum))
                while len(pending) > (0 if done in left_out else int(devices.asynchronous)):
                    finish_oldest(total)
                if done in left_out:
                    run.note("left_out", step=done)
                writer.check()
                total = clock.total(done)
                validation_due = validate is not None and clock.validation_due(done, total)
                save_due = validation_due or clock.checkpoint_due(done) or done >= min(total, budget.until)
                plan = [total, validation_due, save_due]
                (total, validation_due, save_due), stopping = workers.decide(f"step {done}", plan, stop.requested)
                patches_due = patches is not None and patches.due(done, total)
                if pending and (save_due or patches_due or stopping):
                    finish_oldest(total)  # only checked updates may be saved
                if patches_due:
                    validate_patches(done, total)
                state = validate_and_save(done, total, validation=validation_due, save=save_due, stopping=stopping)
        finally:
            del dataset  # stops prefetching: a thread that still reads when Python exits would hang the process

    with stop.deferred(), CheckpointWriter(run, keep) as writer:
        if state.step < clock.total(state.step) and not run.last_checkpoints():
            save_checkpoint("initial", state.step, clock.total(state.step))
        while True:
            try:
                run_steps()
                return state
            except Spike as spike:
                state = go_back(spike)
