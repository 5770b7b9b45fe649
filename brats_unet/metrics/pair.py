"""Two masks of one region on one grid: the argument of every metric."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from brats_unet.geometry import bounding_box, crop
from brats_unet.metrics.counts import Counts, count, require_masks
from brats_unet.metrics.empty import WhenEmpty
from brats_unet.metrics.lesions import LesionScores, lesion_scores
from brats_unet.metrics.protocols import Protocol
from brats_unet.metrics.surface import Surfaces


@dataclass(frozen=True, eq=False)
class MaskPair:
    """The two masks, their spacing and the rules: all that a metric may use.

    Attributes:
        reference: Expert mask of one region, bool, shape (X, Y, Z).
        prediction: Model mask, same shape and grid.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres.
        protocol: Protocol whose definitions and rules apply.
        outside_voxels: Number of voxels of the case's grid outside these arrays, which may have been cropped; they are
            in neither mask.
    """

    reference: np.ndarray
    prediction: np.ndarray
    spacing_mm: tuple[float, float, float]
    protocol: Protocol
    outside_voxels: int = 0

    def __post_init__(self) -> None:
        require_masks(self.reference, self.prediction)

    @cached_property
    def counts(self) -> Counts:
        return count(self.reference, self.prediction, outside_voxels=self.outside_voxels)

    @cached_property
    def surfaces(self) -> Surfaces:
        """Distances between the surfaces of both masks, computed once for all metrics; neither mask may be empty."""
        return Surfaces(self.reference, self.prediction, self.spacing_mm)

    @cached_property
    def lesions(self) -> LesionScores:
        """Scores by lesion, by the protocol's rules; raises ValueError if it has none."""
        if self.protocol.lesions is None:
            raise ValueError(f"The protocol {self.protocol.name} has no rules for lesions.")
        return lesion_scores(self.reference, self.prediction, self.spacing_mm, rules=self.protocol.lesions)

    def ruled(self, when_empty: WhenEmpty) -> float | None:
        """The value by a rule for empty masks, or None if neither mask is empty."""
        return when_empty.value(
            reference_empty=self.counts.reference_empty, prediction_empty=self.counts.prediction_empty
        )

    def cropped(self) -> "MaskPair":
        """The same pair cropped to the bounding box of both masks; no score changes."""
        union = self.reference | self.prediction
        if not union.any():
            corner = (slice(0, 1),) * union.ndim
            reference, prediction = self.reference[corner], self.prediction[corner]
        else:
            box = bounding_box(union)
            reference, prediction = crop(self.reference, box), crop(self.prediction, box)
        outside = self.outside_voxels + union.size - reference.size
        return MaskPair(reference, prediction, self.spacing_mm, self.protocol, outside)
