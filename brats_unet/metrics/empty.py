"""What each score is when a mask is empty: rules as tables, one protocol each."""

import math
from dataclasses import dataclass

from brats_unet.errors import SettingsError
from brats_unet.parts import suggestion


@dataclass(frozen=True)
class WhenEmpty:
    """The value of a score where its formula has none; NaN says undefined, and such a case is left out of the mean.

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


@dataclass(frozen=True)
class Protocol:
    """How a challenge scores: the rules for empty masks, and which of the three HD95 it means.

    Attributes:
        name: As the setting `protocol` has it.
        source: Where the rules come from.
        hd95_definition: See `surface.hausdorff95_mm`.
    """

    name: str
    source: str
    hd95_definition: str
    dice: WhenEmpty
    hd95_mm: WhenEmpty
    sensitivity: WhenEmpty
    precision: WhenEmpty


# √(240² + 240² + 155²) mm, the diagonal of the BraTS grid, with the digits of the organisers' tables.
BRATS_DIAGONAL_MM = 373.12866

PROTOCOLS: dict[str, Protocol] = {
    "brats2020": Protocol(
        name="brats2020",
        source="BraTS 2020 leaderboard; CBICA/CaPTk cbicaITKUtilities.h, GetBraTSLabelStatistics",
        hd95_definition="per_direction_max",
        dice=WhenEmpty(both=1.0, reference=0.0, prediction=0.0),
        hd95_mm=WhenEmpty(both=0.0, reference=BRATS_DIAGONAL_MM, prediction=BRATS_DIAGONAL_MM),
        sensitivity=WhenEmpty(both=1.0, reference=0.0, prediction=0.0),
        precision=WhenEmpty(both=1.0, reference=0.0, prediction=0.0),  # as sensitivity, with the masks exchanged
    ),
}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        SettingsError: There is none.
    """
    if name not in PROTOCOLS:
        raise SettingsError(f"There is no protocol named {name}. {suggestion(name, PROTOCOLS)}")
    return PROTOCOLS[name]


def is_undefined(value: float) -> bool:
    """Whether a score says that it has no value."""
    return math.isnan(value)
