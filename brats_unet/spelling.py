"""The nearest known name to a misspelt one, for messages."""

import difflib
from collections.abc import Iterable


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The known name most like `name`, or None if none is near enough to be what was meant."""
    return next(iter(difflib.get_close_matches(name, list(choices), n=1, cutoff=0.6)), None)


def suggestion(name: str, choices: Iterable[str]) -> str:
    """The sentence that follows "There is no X.": the nearest known name, or all of them if none is near."""
    known = sorted(choices)
    if near := nearest(name, known):
        return f"Did you mean {near}?"
    return f"Known: {', '.join(known)}."
