"""Learning-rate schedules: the factor on the base rate as a pure function of the step."""

from collections.abc import Callable

from brats_unet.errors import SettingsError

Schedule = Callable[[int, int], float]


def polynomial(*, power: float = 0.9, warmup_steps: int = 0) -> Schedule:
    """(1 - step / steps) ** power, after a linear warm-up; nnU-Net's with power 0.9 and no warm-up.

    Returns:
        (step, steps) -> factor from 0 to 1; step counts from 0, so that the last update still moves.
    """
    refuse_negative(warmup_steps)

    def factor(step: int, steps: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        return (1 - (step - warmup_steps) / max(1, steps - warmup_steps)) ** power

    return factor


def constant(*, warmup_steps: int = 0) -> Schedule:
    """1 always, after a linear warm-up."""
    refuse_negative(warmup_steps)
    return lambda step, steps: (step + 1) / warmup_steps if step < warmup_steps else 1.0


def refuse_negative(warmup_steps: int) -> None:
    """Raise SettingsError for a warm-up below 0."""
    if warmup_steps < 0:
        raise SettingsError(f"schedule.warmup_steps={warmup_steps}: expected 0 or more.")


SCHEDULES: dict[str, Callable[..., Schedule]] = {"polynomial": polynomial, "constant": constant}
