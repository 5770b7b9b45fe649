"""Length of a training run, in steps or by a time limit, and when it validates and saves checkpoints."""

import math
import time
from dataclasses import dataclass

# Number of steps of a run whose end is not known yet. Steps are keys of random draws and must stay below it.
ENDLESS = 2**31 - 1
# A run with a time limit validates for the first time at or before this share of the run, to measure the duration.
FIRST_VALIDATION = 0.1


@dataclass(frozen=True)
class Budget:
    """Length of a run, and how often it validates and saves.

    Attributes:
        steps: Number of updates; with a time limit, the largest number. ENDLESS if only the time limit counts.
        validate_every: Updates between validations, in a run without a time limit.
        save_every: Largest number of updates between checkpoints; None, in a run with a time limit: each hundredth of
            it, but at least 60 s apart.
        seconds: Time limit for training, validation and saving, summed over all processes of the run; None for none.
        validate_share: Share of the run between validations, in a run with a time limit.
        save_seconds: Longest time between checkpoints in seconds, apart from the step in which it ends; None for none.
        until: Updates after which to validate, save and pause; ENDLESS for none.
    """

    steps: int
    validate_every: int
    save_every: int | None
    seconds: float | None = None
    validate_share: float = 1.0
    save_seconds: float | None = None
    until: int = ENDLESS

    @classmethod
    def of(
        cls,
        steps: int | None,
        validate_share: float,
        minutes: float | None = None,
        *,
        save_steps: int | None = None,
        save_minutes: float | None = None,
        until: int | None = None,
    ) -> "Budget":
        """Build a budget with a validation after each `validate_share` of the run.

        Args:
            steps: Number of updates; None for a run with a time limit only.
            validate_share: Share of the run between validations, above 0 and at most 1.
            minutes: Time limit; None for none.
            save_steps: Updates between checkpoints; None: each hundredth of the steps, but not more often than every 50
                steps; with a time limit, each hundredth of it, but at least 60 s apart.
            save_minutes: Longest time between checkpoints; None for none.
            until: Updates after which to pause; None for none.
        """
        limit = ENDLESS if steps is None else steps
        return cls(
            steps=limit,
            validate_every=max(1, round(limit * validate_share)),
            save_every=save_steps or (max(50, limit // 100) if minutes is None else None),
            seconds=None if minutes is None else 60 * minutes,
            validate_share=validate_share,
            save_seconds=None if save_minutes is None else 60 * save_minutes,
            until=ENDLESS if until is None else until,
        )


class Rate:
    """Duration of a step. The first step, which traces the graph, and validations do not count.

    Attributes:
        seconds: Duration smoothed over about the last 10 steps, in seconds; 0 until two steps are done.
        mean: Duration smoothed over about the last 100 steps, in seconds, including checkpoints and validations on
            patches; 0 until two steps are done.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.mean = 0.0
        self.steps = 0
        self.last: float | None = None

    def update(self) -> float:
        """Record the end of a step; call this after each step. Returns `seconds`."""
        now = time.perf_counter()
        if self.last is not None:
            self.steps += 1
            self.seconds += (now - self.last - self.seconds) * max(0.1, 1 / self.steps)
            self.mean += (now - self.last - self.mean) * max(0.01, 1 / self.steps)
        self.last = now
        return self.seconds

    def restart(self) -> None:
        """Exclude the time since the last step from the next measurement."""
        self.last = time.perf_counter()


class Clock:
    """Decides when a run ends, validates and saves. With a time limit, it estimates the last step again at each step.

    The number of steps left is the time left, minus the coming validations, the last validation on patches and the last
    checkpoint, divided by the duration of a step. The estimate becomes exact towards the end, so the learning-rate
    schedule reaches its end within the time limit even if the machine slows down. At least half of the time left is
    kept for steps: long validations become less frequent.

    Args:
        budget: Length of the run.
        done: Steps done by earlier processes of the run.
        spent: Seconds used by earlier processes; 0 if no time was recorded.
        validation_seconds: Duration of a validation in earlier processes; None if unknown, 0 if there is no validation.
    """

    def __init__(self, budget: Budget, done: int, spent: float = 0.0, validation_seconds: float | None = None) -> None:
        self.budget = budget
        self.rate = Rate()
        self.spent_before = spent
        self.started = self.validated_at = self.saved_at = time.perf_counter()
        self.first_guess = spent / done if done else 0.0
        self.validation_seconds = validation_seconds
        self.save_seconds = 0.0
        self.patch_seconds = 0.0
        self.last_validation = True  # whether there is time for a validation at the end
        share = min(1.0, spent / budget.seconds) if budget.seconds else 0.0
        self.validations = math.floor(share / budget.validate_share)

    def spent(self) -> float | None:
        """Seconds of the time limit that are used up; None without a time limit."""
        return None if self.budget.seconds is None else self.spent_before + time.perf_counter() - self.started

    def total(self, done: int) -> int:
        """Estimated number of steps of the whole run after `done` steps; equal to `done` when the run is over."""
        spent, seconds = self.spent(), self.rate.mean or self.first_guess
        if spent is None or self.budget.seconds is None or not seconds:
            return self.budget.steps
        left = self.budget.seconds - spent - self.save_seconds - self.patch_seconds
        validations = 0
        if self.validation_seconds and self.last_validation:
            wanted = math.ceil(1 / self.budget.validate_share) - self.validations
            validations = max(1, min(wanted, int(left / (2 * self.validation_seconds))))
        left -= validations * (self.validation_seconds or 0)
        return min(self.budget.steps, done + max(0, int(left / seconds)))

    def validation_due(self, done: int, total: int) -> bool:
        """Whether to validate now, after `done` of `total` steps."""
        if self.budget.seconds is None:
            return done % self.budget.validate_every == 0 or done >= min(total, self.budget.until)
        if done >= total:
            return self.last_validation
        due = (self.validations + 1) * self.budget.validate_share
        if self.validation_seconds is None:
            return done / total >= min(due, FIRST_VALIDATION)
        now = time.perf_counter()
        left = self.budget.seconds - self.spent_before - (now - self.started)
        # Leave enough time for the validation at the end.
        return (
            done / total >= due
            and now - self.validated_at >= self.validation_seconds
            and left >= 3 * self.validation_seconds
        )

    def validated(self, seconds: float, done: int, total: int) -> None:
        """Record a validation that took `seconds`, after `done` of `total` steps."""
        self.validation_seconds = seconds
        self.validations = math.floor(done / total / self.budget.validate_share + 1e-9)
        self.validated_at = time.perf_counter()
        self.rate.restart()
        spent = self.spent()
        if spent is not None and self.budget.seconds is not None:
            self.last_validation = self.budget.seconds - spent >= 2 * seconds

    def patches_validated(self, seconds: float, traced: bool) -> None:
        """Record a validation on held-out patches that took `seconds`, which count for the duration of a step.

        Args:
            seconds: Duration.
            traced: False for the first one, which also traces the graph, so that its duration does not count.
        """
        if traced:
            self.patch_seconds = seconds
        else:
            self.rate.restart()

    def checkpoint_due(self, done: int) -> bool:
        """Whether to save now, after `done` steps."""
        since = time.perf_counter() - self.saved_at
        if self.budget.save_seconds is not None and since >= self.budget.save_seconds:
            return True
        if self.budget.save_every is not None:
            return done % self.budget.save_every == 0
        return since >= max(60.0, (self.budget.seconds or 0.0) / 100)

    def saved(self, seconds: float) -> None:
        """Record a checkpoint; `seconds` is what a checkpoint takes, which the end of a time limit is kept free for."""
        self.save_seconds = seconds
        self.saved_at = time.perf_counter()
