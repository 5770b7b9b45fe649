"""Spikes: a loss or gradient that is not finite. The run goes back to its last checkpoint and leaves that step out."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from brats_unet.data.patches.sampling import Sampler
from brats_unet.errors import DataError

# Steps that a run may leave out after a spike; the next spike stops it.
MOST_PER_RUN = 3


class Spike(Exception):  # noqa: N818  (the run recovers from it)
    """The loss or the gradient of an update is not finite, and no loss scale can prevent it.

    Attributes:
        step: Step of the update, counted from 1.
        problem: What is not finite, as a clause such as "the loss is nan".
    """

    def __init__(self, step: int, problem: str) -> None:
        super().__init__(f"Step {step}: {problem}")
        self.step = step
        self.problem = problem


class PendingUpdate(NamedTuple):
    """An update that was started on the devices; its loss and gradient norm have not been checked yet.

    Attributes:
        step: Step of the update, counted from 1.
        learning_rate: Learning rate of the update.
        loss: Loss over all replicas, scalar tensor; reading it waits for the device.
        norm: Norm of the gradient over all replicas, scalar tensor; reading it waits for the device.
        scale_at_minimum: True if the loss scale could not be reduced for this update, or there is none.
    """

    step: int
    learning_rate: float
    loss: Any
    norm: Any
    scale_at_minimum: bool

    def numbers(self) -> dict[str, float]:
        """Loss, learning rate and gradient norm; without the norm if the loss scale handled an overflow.

        Raises:
            Spike: The loss is not finite, or the gradient is not and the loss scale could not be reduced.
        """
        loss, norm = float(self.loss), float(self.norm)
        if not math.isfinite(loss):
            raise Spike(self.step, f"the loss is {loss}")
        found = {"loss": loss, "learning_rate": self.learning_rate}
        if math.isfinite(norm):
            return found | {"gradient_norm": norm}
        if self.scale_at_minimum:
            raise Spike(self.step, f"the loss is {loss:.4g}, but its gradient is not finite")
        return found  # the update was skipped, and the loss scale halved


def leave_out(spike: Spike, left_out: Sequence[int], sampler: Sampler) -> list[int]:
    """Steps to leave out after a spike: those of `left_out`, and the step of the spike.

    Args:
        spike: The spike.
        left_out: Steps that the run leaves out already, counted from 1.
        sampler: Sampler that placed the patches.

    Returns:
        The steps, ascending, counted from 1.

    Raises:
        DataError: The run has left out `MOST_PER_RUN` steps already; the message gives them, the spike and the cases.
    """
    if len(left_out) < MOST_PER_RUN:
        return sorted([*left_out, spike.step])
    tried = ", ".join(map(str, left_out))
    raise DataError(
        f"{spike}; the batch was cut from {', '.join(cases_of(spike, sampler))}. The run went back to a checkpoint "
        f"{len(left_out)} times before, and leaves out steps {tried}; it does not try again. The last checkpoint is "
        f"from before this step. Check these cases with `brats-unet check`, or lower optimizer.learning_rate."
    )


def cases_of(spike: Spike, sampler: Sampler) -> list[str]:
    """Ids of the cases that the batch of the spike was cut from, sorted, each once."""
    places = [sampler.place(spike.step - 1, sample) for sample in range(sampler.batch)]
    return sorted({sampler.cases[place.case].id for place in places})
