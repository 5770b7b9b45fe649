"""Distances between the surfaces of two masks: HD95 in three definitions, average surface distance, surface Dice."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from brats_unet.geometry import bounding_box, crop
from brats_unet.metrics.counts import require_masks
from brats_unet.metrics.empty import WhenEmpty
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.metrics.surface_points import (
    Spacing,
    code_areas_mm2,
    corner_codes,
    surface_distances_mm,
    surface_voxels,
)

HD95_DEFINITIONS = ("per_direction_max", "pooled", "area_weighted")
NSD_DEFINITIONS = ("area_weighted", "mean_of_directions")
ASSD_DEFINITIONS = ("pooled", "mean_of_directions", "area_weighted")
OURS = PROTOCOLS["brats2020"]


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances from each point of two surfaces to the nearest point of the other surface.

    Attributes:
        there: Distances from the reference's points, float64, in millimetres.
        back: Distances from the prediction's points, float64, in millimetres.
        there_mm2: Area of the surface at each of the reference's points; None if all points weigh the same.
        back_mm2: Area of the surface at each of the prediction's points; None if all points weigh the same.
    """

    there: np.ndarray
    back: np.ndarray
    there_mm2: np.ndarray | None = None
    back_mm2: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Two masks that are not empty, and the distances between their surfaces, computed once when they are needed.

    Attributes:
        reference: Expert mask, bool, shape (X, Y, Z).
        prediction: Model mask, same shape and grid.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres.

    Raises:
        ValueError: The masks do not share one grid, one is empty, or a spacing is not positive.
    """

    reference: np.ndarray
    prediction: np.ndarray
    spacing_mm: Spacing

    def __post_init__(self) -> None:
        require_masks(self.reference, self.prediction)
        _require_volume(self.reference, self.spacing_mm)
        if not self.reference.any() or not self.prediction.any():
            raise ValueError("An empty mask has no surface: see metrics.empty.")

    @cached_property
    def voxels(self) -> Distances:
        """Distances between voxels with at least one of their six faces outside; all voxels weigh the same."""
        reference, prediction = self._cropped
        return Distances(*surface_distances_mm(surface_voxels(reference), surface_voxels(prediction), self.spacing_mm))

    @cached_property
    def corners(self) -> Distances:
        """Distances between corners of voxels on the surface, each weighed by the area of the surface there."""
        codes = [corner_codes(mask) for mask in self._cropped]
        one, two = ((code != 0) & (code != 255) for code in codes)
        there, back = surface_distances_mm(one, two, self.spacing_mm)
        areas = code_areas_mm2(self.spacing_mm)
        return Distances(there, back, areas[codes[0][one]], areas[codes[1][two]])

    @property
    def _cropped(self) -> tuple[np.ndarray, np.ndarray]:
        box = bounding_box(self.reference | self.prediction)
        return crop(self.reference, box), crop(self.prediction, box)

    def hausdorff95_mm(self, definition: str) -> float:
        """See the function `hausdorff95_mm`, without its rule for empty masks."""
        _require_known("HD95", definition, HD95_DEFINITIONS)
        if definition == "area_weighted":
            return max(_area_percentile95(*side) for side in _sides(self.corners))
        there, back = self.voxels.there, self.voxels.back
        if definition == "pooled":
            return float(np.percentile(np.concatenate([there, back]), 95))
        return float(max(np.percentile(there, 95), np.percentile(back, 95)))

    def average_mm(self, definition: str) -> float:
        """Average symmetric surface distance (ASSD): mean distance between the two surfaces.

        Args:
            definition: "pooled": the sum of the distances of both directions between surface voxels, divided by their
                number; MONAI's `compute_average_surface_distance(symmetric=True)` and medpy's `assd`.
                "mean_of_directions": the mean of the two directions' means; panoptica's. "area_weighted": the same,
                from corners weighed by area; the mean of DeepMind's two numbers.

        Returns:
            Distance in millimetres, 0 for identical masks; lower is better.

        Raises:
            ValueError: There is no such definition.

        Source:
            Heimann et al. 2009, doi:10.1109/TMI.2009.2013851.
        """
        _require_known("ASSD", definition, ASSD_DEFINITIONS)
        if definition == "area_weighted":
            return float(np.mean([np.average(distances, weights=mm2) for distances, mm2 in _sides(self.corners)]))
        there, back = self.voxels.there, self.voxels.back
        if definition == "mean_of_directions":
            return float((there.mean() + back.mean()) / 2)
        return float((there.sum() + back.sum()) / (there.size + back.size))

    def dice(self, tolerance_mm: float, definition: str = "area_weighted") -> float:
        """Surface Dice (NSD, normalised surface Dice): the share of both surfaces that is close to the other.

        Args:
            tolerance_mm: Largest distance at which a piece of surface counts as right, inclusive; 0 or more.
            definition: "area_weighted": the surface is on the corners of voxels, each weighed by the surface's area
                there; DeepMind's. "mean_of_directions": the surface is all voxels with at least one of their six faces
                outside; the mean of both surfaces' shares of voxels; panoptica's.

        Returns:
            0 to 1; higher is better.

        Raises:
            ValueError: The tolerance is negative or not a number, or there is no such definition.

        Source:
            Nikolov et al. 2021, doi:10.2196/26151; DeepMind's `compute_surface_dice_at_tolerance`.
        """
        if not tolerance_mm >= 0:
            raise ValueError(f"A tolerance is 0 mm or more, not {tolerance_mm}.")
        _require_known("surface Dice", definition, NSD_DEFINITIONS)
        if definition == "mean_of_directions":
            sides = self.voxels.there, self.voxels.back
            return float(np.mean([np.mean(distances <= tolerance_mm) for distances in sides]))
        near, all_mm2 = 0.0, 0.0
        for distances, mm2 in _sides(self.corners):
            near += float(mm2[distances <= tolerance_mm].sum())
            all_mm2 += float(mm2.sum())
        return near / all_mm2


def hausdorff95_mm(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing_mm: Spacing,
    *,
    definition: str = OURS.hd95_definition,
    when_empty: WhenEmpty = OURS.hd95_mm,
) -> float:
    """95th-percentile Hausdorff distance between the surfaces of two masks.

    Args:
        reference: Expert mask, bool, shape (X, Y, Z).
        prediction: Model mask, bool, same shape and grid.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres.
        definition: One of three, which differ by up to 2x on the same masks.
            "per_direction_max": the surface is all voxels with at least one of their six faces outside; the percentile
            of the distances from each surface to the other, and the larger of the two. MONAI's
            `compute_hausdorff_distance(percentile=95)`.
            "pooled": the same surfaces; the percentile of all distances of both directions together. medpy's `hd95`.
            "area_weighted": the surface is on the corners of voxels, and each point is weighed by the area of the
            surface there; the percentile by area per direction, and the larger of the two. DeepMind's
            `compute_robust_hausdorff(…, 95)`, adopted by BraTS 2023.
        when_empty: Rule to follow if either mask has no voxel.

    Returns:
        Distance in millimetres, 0 for identical masks, lower is better; the rule's value if either mask is empty.

    Raises:
        ValueError: The masks do not share one grid, a spacing is not positive, or there is no such definition.

    Source:
        Huttenlocher et al. 1993, doi:10.1109/34.232073.
    """
    _require_known("HD95", definition, HD95_DEFINITIONS)
    require_masks(reference, prediction)
    _require_volume(reference, spacing_mm)
    ruled = when_empty.value(reference_empty=not reference.any(), prediction_empty=not prediction.any())
    return Surfaces(reference, prediction, spacing_mm).hausdorff95_mm(definition) if ruled is None else ruled


def _require_volume(mask: np.ndarray, spacing_mm: Spacing) -> None:
    if len(spacing_mm) != 3 or mask.ndim != 3 or not all(s > 0 for s in spacing_mm):
        raise ValueError(
            f"spacing_mm is {spacing_mm}, the shape {mask.shape}. Expected 3 positive spacings and 3 axes."
        )


def _require_known(score: str, definition: str, known: tuple[str, ...]) -> None:
    if definition not in known:
        raise ValueError(f"There is no definition of {score} named {definition}. Known: {', '.join(known)}.")


def _sides(distances: Distances) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    assert distances.there_mm2 is not None and distances.back_mm2 is not None  # those of `Surfaces.corners` have areas
    return (distances.there, distances.there_mm2), (distances.back, distances.back_mm2)


def _area_percentile95(distances: np.ndarray, mm2: np.ndarray) -> float:
    order = np.lexsort((mm2, distances))
    share = np.cumsum(mm2[order]) / mm2[order].sum()
    return float(distances[order][min(int(np.searchsorted(share, 0.95)), order.size - 1)])
