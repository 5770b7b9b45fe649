"""The length of nnU-Net's training in scripts/duel.py: from a timed warm-up to steps, and from steps to epochs.

Standard library only: the tests import it without the environment of the peers.
"""

UNTIMED = 3  # first steps of the warm-up, which allocate memory
TIMED = 20  # steps of the warm-up that are timed
LEAST_TIMED = 5
WARM_UP_SHARE = 0.1  # share of the training time after which the warm-up ends early, after LEAST_TIMED steps
KEPT_BACK = 0.02  # share of the training time for steps that are slower than those of the warm-up
EPOCHS = range(30, 9, -1)  # numbers of epochs to choose from, best first: each ends with a checkpoint


def warmed_up(timed: int, seconds: float, minutes: float) -> bool:
    """Whether the warm-up has timed enough steps.

    Args:
        timed: Timed steps so far.
        seconds: Their duration.
        minutes: Time limit of the training.
    """
    return timed >= TIMED or (timed >= LEAST_TIMED and seconds >= WARM_UP_SHARE * 60 * minutes)


def steps_within(minutes: float, seconds_per_step: float) -> int:
    """Number of steps that end within a time limit; at least 1.

    Args:
        minutes: Time limit, above 0.
        seconds_per_step: Mean duration of a step with the waiting for its batch, above 0.
    """
    return max(1, int((1 - KEPT_BACK) * 60 * minutes / seconds_per_step))


def epochs_of(steps: int) -> tuple[int, int]:
    """Epochs, and steps of each: their product is as near below `steps` as `EPOCHS` allows.

    Fewer steps than epochs make an epoch each.

    Args:
        steps: Number of steps, 1 or more.
    """
    if steps < EPOCHS[-1]:
        return steps, 1
    epochs = max((number for number in EPOCHS if number <= steps), key=lambda number: number * (steps // number))
    return epochs, steps // epochs
