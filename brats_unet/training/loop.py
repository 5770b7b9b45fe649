"""The training loop: draw, step, look at the loss, validate, save; resumable from any checkpoint."""

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import keras
import tensorflow as tf

from brats_unet.data.pipeline import batches
from brats_unet.data.sampling import Sampler
from brats_unet.errors import DataError, Interrupted
from brats_unet.models import checkpoint
from brats_unet.run import Run
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.schedules import Schedule
from brats_unet.training.step import LossScale, Step, per_replica
from brats_unet.training.strategy import Devices

# Region name to mean Dice over the held-out cases looked at.
Validate = Callable[[], dict[str, float]]


class Display(Protocol):
    """What shows a person how it goes."""

    def step(self, step: int, loss: float, patches_per_second: float) -> None: ...

    def validation(self, step: int, dice: dict[str, float], seconds: float, best: bool) -> None: ...


@dataclass(frozen=True)
class Budget:
    """How long, and when to look up.

    Attributes:
        steps: Updates in all.
        validate_every: Updates between validations.
        save_every: Updates between checkpoints at the most.
    """

    steps: int
    validate_every: int
    save_every: int

    @classmethod
    def of(cls, steps: int, validate_share: float) -> "Budget":
        """Validations every `validate_share` of the steps; checkpoints every hundredth, at least 50 steps apart."""
        return cls(steps, max(1, round(steps * validate_share)), max(50, steps // 100))


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
    validate: Validate | None,
    display: Display,
) -> checkpoint.State:
    """Go on from `state` to the end of the budget.

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
        validate: Mean Dice by region on the held-out cases; None if there are none.
        display: For people.

    Returns:
        The state at the end; the last checkpoint holds it.

    Raises:
        DataError: The loss is not finite; the message names the step and the cases.
        Interrupted: On Ctrl-C or a polite kill, once the step is done and saved.
    """
    best = state.best

    def save(which: str, done: int) -> checkpoint.State:
        scale = None if loss_scale is None else [loss_scale.value, loss_scale.since]
        reached = checkpoint.State(done, scale, best)
        checkpoint.save(run.checkpoint_file(which), model, optimizer.rule, reached)
        return reached

    writer = tf.summary.create_file_writer(str(run.tensorboard_folder))
    share = devices.replicas
    dataset = iter(batches(sampler, first_step=state.step, steps=budget.steps, replicas=share))
    rate = Rate(sampler.batch)
    try:
        with stop_requests() as stop, writer.as_default():
            for index in range(state.step, budget.steps):
                learning_rate = optimizer.learning_rate * schedule(index, budget.steps)
                optimizer.rule.learning_rate.assign(learning_rate)
                inputs = per_replica(devices, [next(dataset) for _ in range(share)])
                loss, norm = (float(value) for value in step(*inputs))
                if not math.isfinite(loss):
                    raise not_finite(sampler, index, f"the loss is {loss}")
                overflowed = not math.isfinite(norm)
                if overflowed and (loss_scale is None or loss_scale.value <= 1):
                    raise not_finite(sampler, index, f"the loss is {loss:.4g}, but its gradient is not finite")
                done = index + 1
                speed = rate.update()
                facts = {"loss": loss, "learning_rate": learning_rate}
                if not overflowed:  # else the loss scale has left this update out
                    facts["gradient_norm"] = norm
                run.note("step", step=done, **facts, patches_per_second=round(speed, 3))
                for name, value in facts.items():
                    tf.summary.scalar(f"train/{name}", value, step=done)
                display.step(done, loss, speed)
                validated = validate is not None and (done % budget.validate_every == 0 or done == budget.steps)
                if validate is not None and validated:
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
                        save("best", done)
                    display.validation(done, dice, seconds, improved)
                    rate.restart()
                stopping = stop()  # asked once: what is announced below must have been saved here
                if validated or done % budget.save_every == 0 or done == budget.steps or stopping:
                    state = save("last", done)
                if stopping and done < budget.steps:
                    raise Interrupted(
                        f"Stopped at step {done} of {budget.steps}; everything up to there is saved in {run.folder}. "
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


class Rate:
    """Patches a second, smoothed over the last steps; the first step, which traces the graph, is left out."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.seconds = 0.0
        self.last: float | None = None

    def update(self) -> float:
        """Call after each step; 0 until two steps are known."""
        now = time.perf_counter()
        if self.last is not None:
            seconds = now - self.last
            self.seconds = seconds if self.seconds == 0 else 0.9 * self.seconds + 0.1 * seconds
        self.last = now
        return self.batch / self.seconds if self.seconds else 0.0

    def restart(self) -> None:
        """Leave out what came between two steps."""
        self.last = None


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
