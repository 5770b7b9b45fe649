"""Ranges and choices of settings, and the trials of a sweep drawn from them."""

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brats_unet.binding import comma_parts
from brats_unet.errors import SettingsError

CALL = re.compile(r"\s*(?P<name>\w+)\s*\((?P<inside>.*)\)\s*", re.DOTALL)
FORMS = "a,b,c or choice(a,b,c), interval(low,high), log(low,high), int(low,high) or int(log(low,high))"
DRAWS_EACH = 100  # draws at most until a trial differs from those before it


@dataclass(frozen=True)
class Interval:
    """Numbers from `low` to `high`, both included: uniform, or uniform in their logarithm; whole ones if `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def draw(self, uniform: float) -> str:
        """The number at a share of the interval, from 0 to below 1, with four digits."""
        low, high = (self.low - 0.5, self.high + 0.5) if self.whole else (self.low, self.high)
        if self.log:
            low, high = max(low, self.low / 2), high
            value = math.exp(math.log(low) + uniform * (math.log(high) - math.log(low)))
        else:
            value = low + uniform * (high - low)
        return str(min(max(round(value), int(self.low)), int(self.high))) if self.whole else f"{value:.4g}"


@dataclass(frozen=True)
class Choice:
    """A few values, each as likely as the others."""

    values: tuple[str, ...]

    def draw(self, uniform: float) -> str:
        """The value at a share of the list, from 0 to below 1."""
        return self.values[int(uniform * len(self.values))]


Space = Mapping[str, Interval | Choice]


def is_range(text: str) -> bool:
    """Whether a typed value stands for several."""
    found = CALL.fullmatch(text)
    return len(_parts(text)) > 1 or (found is not None and found["name"] in ("choice", "interval", "log", "int", "tag"))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in comma_parts(text)]


def read_range(key: str, value: Any) -> Interval | Choice:
    """A range or a choice as typed, or a list of choices as in YAML.

    Raises:
        SettingsError: It is neither, or its limits do not fit.
    """
    if isinstance(value, list):
        return Choice(tuple(str(one) for one in value))
    found = CALL.fullmatch(str(value))
    name, inside = (found["name"], _parts(found["inside"])) if found else ("", [])
    if name == "choice" or (not found and len(_parts(str(value))) > 1):
        return Choice(tuple(inside or _parts(str(value))))
    if name in ("int", "log", "tag") and CALL.fullmatch(inside[-1]):  # Hydra: tag(log, interval(…)), int(interval(…))
        inner = read_range(key, inside[-1])
        if isinstance(inner, Interval) and (name != "tag" or inside[0] == "log"):
            whole = inner.whole or name == "int"
            return _interval(key, value, inner.low, inner.high, inner.log or name != "int", whole)
    if name in ("interval", "log", "int") and len(inside) == 2:
        try:
            low, high = map(float, inside)
        except ValueError:
            raise SettingsError(f"{key}={value}: expected two numbers in {name}(low,high).") from None
        return _interval(key, value, low, high, name == "log", name == "int")
    raise SettingsError(f"{key}={value} is no range. Expected {FORMS}.")


def draw_trials(space: Space, trials: int, seed: int) -> list[dict[str, str]]:
    """Different settings, drawn from a space; fewer than `trials` if there are not that many.

    The first ones stay the same when more are asked for.
    """
    found: list[dict[str, str]] = []
    for index in range(trials):
        rng = random.Random(f"{seed} {index}")
        for _ in range(DRAWS_EACH):
            trial = {key: one.draw(rng.random()) for key, one in sorted(space.items())}
            if trial not in found:
                found.append(trial)
                break
    return found


def rungs_of(steps: int, trials: int) -> list[int]:
    """Steps after which the worse half of the trials ends: so many halvings that about two trials are trained whole."""
    halvings = max(1, int(math.log2(max(trials, 2))) - 1)
    return sorted({max(1, steps >> count) for count in range(1, halvings + 1)} - {steps})


def better_half(scores: Sequence[float | None]) -> list[int]:
    """Indices of the better half, rounded up, of those that have a score; in their order."""
    ranked = sorted((i for i, score in enumerate(scores) if score is not None), key=lambda i: -(scores[i] or 0.0))
    return sorted(ranked[: (len(ranked) + 1) // 2])


def _interval(key: str, value: Any, low: float, high: float, log: bool, whole: bool) -> Interval:
    if not (math.isfinite(low) and math.isfinite(high) and low < high and (low > 0 or not log)):
        positive = " above 0" if log else ""
        raise SettingsError(f"{key}={value}: expected a low number{positive}, then a higher one.")
    return Interval(low, high, log, whole)
