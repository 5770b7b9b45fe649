"""Learning-rate schedules: the factor on the base rate as a pure function of the step and the number of steps."""

import math
from collections.abc import Callable
from typing import Annotated

from brats_unet.binding import Range

Schedule = Callable[[int, int], float]
WarmupSteps = Annotated[int, Range(0)]


def polynomial(*, power: Annotated[float, Range(0, above_least=True)] = 0.9, warmup_steps: WarmupSteps = 0) -> Schedule:
    """(1 - step / steps) ** power, after a linear warm-up; the default is the schedule of nnU-Net.

    Returns:
        Function (step, steps) -> factor from 0 to 1. Steps count from 0, so the factor of the last update is above 0.
    """

    def factor(step: int, steps: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return (1 - progress(step, steps, warmup_steps)) ** power

    return factor


def cosine(*, warmup_steps: WarmupSteps = 0, floor: Annotated[float, Range(0, 1, below_most=True)] = 0.0) -> Schedule:
    """Half a cosine period from 1 down to `floor`, after a linear warm-up.

    Returns:
        Function (step, steps) -> factor from `floor` to 1; below `floor` only during the warm-up.

    Source:
        Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    """

    def factor(step: int, steps: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return floor + (1 - floor) * (1 + math.cos(math.pi * progress(step, steps, warmup_steps))) / 2

    return factor


def constant(*, warmup_steps: WarmupSteps = 0) -> Schedule:
    """Factor 1 at every step, after a linear warm-up."""
    return lambda step, steps: (step + 1) / warmup_steps if step < warmup_steps else 1.0


def progress(step: int, steps: int, warmup_steps: int) -> float:
    """Share of the steps after the warm-up that are done, 0 to 1; 1 if all steps belong to the warm-up."""
    return min(1.0, (step - warmup_steps) / max(1, steps - warmup_steps))


SCHEDULES: dict[str, Callable[..., Schedule]] = {"polynomial": polynomial, "cosine": cosine, "constant": constant}
