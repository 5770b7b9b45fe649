"""The value of a score if a mask is empty."""

import math
from dataclasses import dataclass

UNDEFINED = math.nan


@dataclass(frozen=True)
class WhenEmpty:
    """The value of a score if its formula has none. NaN means undefined: such a row is counted, but not in a mean.

    Attributes:
        both: Value if both masks are empty: there was nothing to find, and nothing was predicted.
        reference: Value if only the reference is empty: the whole prediction is false.
        prediction: Value if only the prediction is empty: everything was missed.
    """

    both: float
    reference: float
    prediction: float

    def value(self, *, reference_empty: bool, prediction_empty: bool) -> float | None:
        """The value by this rule, or None if neither mask is empty and the formula applies."""
        if reference_empty and prediction_empty:
            return self.both
        if reference_empty:
            return self.reference
        return self.prediction if prediction_empty else None


def is_undefined(value: float) -> bool:
    """Whether a score has no value (NaN)."""
    return math.isnan(value)
