"""Two masks of one region on one grid: the argument of every metric."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from brats_unet.geometry import bounding_box, crop
from brats_unet.metrics.counts import Counts, count, require_masks
from brats_unet.metrics.empty import WhenEmpty
from brats_unet.metrics.instances import InstanceScores, instance_scores
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
        missing: Whether there is no prediction; its mask is empty then.
    """

    reference: np.ndarray
    prediction: np.ndarray
    spacing_mm: tuple[float, float, float]
    protocol: Protocol
    outside_voxels: int = 0
    missing: bool = False

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

    @cached_property
    def instances(self) -> InstanceScores:
        """Scores by instance, by the protocol's rules; raises ValueError if it has none."""
        if self.protocol.instances is None:
            raise ValueError(f"The protocol {self.protocol.name} has no rules for instances.")
        return instance_scores(self.reference, self.prediction, self.spacing_mm, rules=self.protocol.instances)

    def ruled(self, when_empty: WhenEmpty) -> float | None:
        """The value by a rule for empty masks, or None if neither mask is empty."""
        return self.rule(when_empty).value(
            reference_empty=self.counts.reference_empty, prediction_empty=self.counts.prediction_empty
        )

    def rule(self, when_empty: WhenEmpty) -> WhenEmpty:
        """A rule of the protocol for empty masks; all of its values are the same where a missing prediction `fails`."""
        missed = when_empty.prediction
        return WhenEmpty(missed, missed, missed) if self.fails else when_empty

    def ruled_distance(self, when_empty: WhenEmpty) -> float | None:
        """As `ruled`; by some protocols, masks without a common voxel are as far apart as if nothing were predicted."""
        apart = self.protocol.apart_fails and self.counts.true_positive == 0
        if apart and not (self.counts.reference_empty or self.counts.prediction_empty):
            return when_empty.prediction
        return self.ruled(when_empty)

    @property
    def fails(self) -> bool:
        """Whether the prediction is missing, and by the protocol misses everything even where nothing is."""
        return self.missing and self.protocol.missing_fails

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
        return replace(self, reference=reference, prediction=prediction, outside_voxels=outside)
