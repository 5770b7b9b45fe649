"""What a score is when a mask is empty."""

import math
from dataclasses import dataclass

UNDEFINED = math.nan


@dataclass(frozen=True)
class WhenEmpty:
    """The value of a score where its formula has none; NaN says undefined: such a row is counted, not averaged.

    Attributes:
        both: Neither mask has a voxel: there was nothing to find, and nothing was claimed.
        reference: Only the reference is empty: everything claimed is false.
        prediction: Only the prediction is empty: everything was missed.
    """

    both: float
    reference: float
    prediction: float

    def value(self, *, reference_empty: bool, prediction_empty: bool) -> float | None:
        """The value by rule, or None where both masks have voxels and the formula holds."""
        if reference_empty and prediction_empty:
            return self.both
        if reference_empty:
            return self.reference
        return self.prediction if prediction_empty else None


def is_undefined(value: float) -> bool:
    """Whether a score says that it has no value."""
    return math.isnan(value)
