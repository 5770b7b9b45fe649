"""How long a training goes on, and when it looks up: so many steps, or as many as fit into a time."""

import math
import time
from dataclasses import dataclass

# Of a run whose end is not known yet; steps are keys of random draws and stay below it.
ENDLESS = 2**31 - 1
# A run with a time limit looks at its held-out cases by then, to know how long that takes.
FIRST_LOOK = 0.1


@dataclass(frozen=True)
class Budget:
    """How long, and when to look up.

    Attributes:
        steps: Updates in all; with a time limit: at most. ENDLESS where the time alone decides.
        validate_every: Updates between validations, where steps decide.
        save_every: Updates between checkpoints at the most, where steps decide.
        seconds: Time limit of stepping, validating and saving, over all the processes of a run; None for none.
        validate_share: Share of the run between validations, where the time decides.
    """

    steps: int
    validate_every: int
    save_every: int
    seconds: float | None = None
    validate_share: float = 1.0

    @classmethod
    def of(cls, steps: int | None, validate_share: float, minutes: float | None = None) -> "Budget":
        """Validations every `validate_share` of the run; checkpoints every hundredth, at least 50 steps apart."""
        most = ENDLESS if steps is None else steps
        every = max(1, round(most * validate_share))
        return cls(most, every, max(50, most // 100), None if minutes is None else 60 * minutes, validate_share)


class Rate:
    """Seconds of a step; the first step, which traces the graph, and validations are left out.

    Attributes:
        seconds: Smoothed over the last ten or so; 0 until two steps are known.
        mean: Smoothed over the last hundred or so, what is saved in between included; 0 likewise.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.mean = 0.0
        self.steps = 0
        self.last: float | None = None

    def update(self) -> float:
        """Call after each step; gives `seconds`."""
        now = time.perf_counter()
        if self.last is not None:
            self.steps += 1
            self.seconds += (now - self.last - self.seconds) * max(0.1, 1 / self.steps)
            self.mean += (now - self.last - self.mean) * max(0.01, 1 / self.steps)
        self.last = now
        return self.seconds

    def restart(self) -> None:
        """Leave out what came between two steps."""
        self.last = time.perf_counter()


class Clock:
    """When a run ends, looks at its held-out cases and saves; with a time limit it estimates its end anew at each step.

    The estimate is what is left of the time, less the validations to come and the last save, over the seconds of a
    step: wrong at first, it is exact at the end, so that the schedule ends in time whatever the machine does.
    At least half of the time is left to the steps: validations that take longer come less often.

    Args:
        budget: How long.
        done: Steps that earlier processes have done.
        spent: Seconds that they have taken; 0 where no time was kept.
        look_seconds: What a validation took them; None if unknown, 0 if there is nothing to look at.
    """

    def __init__(self, budget: Budget, done: int, spent: float = 0.0, validation_seconds: float | None = None) -> None:
        self.budget = budget
        self.rate = Rate()
        self.before = spent
        self.begun = self.validated_at = self.saved_at = time.perf_counter()
        self.first_guess = spent / done if done else 0.0
        self.validation_seconds = validation_seconds
        self.save_seconds = 0.0
        self.last_validation = True  # whether there is time for one at the end
        share = min(1.0, spent / budget.seconds) if budget.seconds else 0.0
        self.validations = math.floor(share / budget.validate_share)

    def spent(self) -> float | None:
        """Seconds of the limit that are gone; None where steps decide."""
        return None if self.budget.seconds is None else self.before + time.perf_counter() - self.begun

    def total(self, done: int) -> int:
        """Steps of the whole run as far as can be told after `done` of them; `done` itself when it is over."""
        spent, seconds = self.spent(), self.rate.mean or self.first_guess
        if spent is None or self.budget.seconds is None or not seconds:
            return self.budget.steps
        left = self.budget.seconds - spent - self.save_seconds
        validations = 0
        if self.validation_seconds and self.last_validation:
            wanted = math.ceil(1 / self.budget.validate_share) - self.validations
            validations = max(1, min(wanted, int(left / (2 * self.validation_seconds))))
        left -= validations * (self.validation_seconds or 0)
        return min(self.budget.steps, done + max(0, int(left / seconds)))

    def validation_due(self, done: int, total: int) -> bool:
        """Whether it is time for the held-out cases, after `done` of `total` steps."""
        if self.budget.seconds is None:
            return done % self.budget.validate_every == 0 or done >= total
        if done >= total:
            return self.last_validation
        due = (self.validations + 1) * self.budget.validate_share
        if self.validation_seconds is None:
            return done / total >= min(due, FIRST_LOOK)
        now = time.perf_counter()
        left = self.budget.seconds - self.before - (now - self.begun)
        # Not one that would cost the last one its time.
        return (
            done / total >= due
            and now - self.validated_at >= self.validation_seconds
            and left >= 3 * self.validation_seconds
        )

    def validated(self, seconds: float, done: int, total: int) -> None:
        """Take note of a validation."""
        self.validation_seconds = seconds
        self.validations = math.floor(done / total / self.budget.validate_share + 1e-9)
        self.validated_at = time.perf_counter()
        self.rate.restart()
        spent = self.spent()
        if spent is not None and self.budget.seconds is not None:
            self.last_validation = self.budget.seconds - spent >= 2 * seconds

    def saves(self, done: int) -> bool:
        """Whether a checkpoint is due."""
        if self.budget.seconds is None:
            return done % self.budget.save_every == 0
        return time.perf_counter() - self.saved_at >= max(60.0, self.budget.seconds / 100)

    def saved(self, seconds: float) -> None:
        """Take note of a checkpoint."""
        self.save_seconds = seconds
        self.saved_at = time.perf_counter()
