"""Probabilities of the regions: read and checked beside their reference, and how well they are calibrated."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from brats_unet.anatomy import Region, region_mask
from brats_unet.errors import DataError
from brats_unet.evaluation.grids import grid_mismatch
from brats_unet.geometry import crop
from brats_unet.metrics.calibration import brier, calibration_box, expected_calibration_error
from brats_unet.nifti import read_volume


def calibration(reference: np.ndarray, probabilities: np.ndarray) -> dict[Region, dict[str, float]]:
    """Calibration of each region, by metric: "ece" and "brier", shares, judged around the reference's tumour.

    Args:
        reference: Integers of `anatomy.Label`, shape (X, Y, Z).
        probabilities: Of the regions, shape (X, Y, Z, 3), 0 to 1.

    Raises:
        ValueError: They do not share one grid.
    """
    if probabilities.shape != (*reference.shape, len(Region)):
        raise ValueError(f"Probabilities of shape {probabilities.shape} for masks of {reference.shape}.")
    box = calibration_box(region_mask(reference, Region.WT))
    labels, near = crop(reference, box), crop(probabilities, box)
    found = {}
    for index, region in enumerate(Region):
        mask, stated = region_mask(labels, region), near[..., index]
        found[region] = {"ece": expected_calibration_error(mask, stated), "brier": brier(mask, stated)}
    return found


def read_probabilities(
    case_id: str, files: Mapping[Region, Path], reference: Path, shape: tuple[int, ...], affine: np.ndarray
) -> np.ndarray:
    """Region probabilities of a case, float32, shape (X, Y, Z, 3), 0 to 1.

    Args:
        case_id: Named in messages.
        files: One a region.
        reference: The mask whose grid they must lie on.
        shape: Its voxels along each axis.
        affine: Its voxel indices to millimetres, shape (4, 4).

    Raises:
        DataError: Files that cannot be read, lie on another grid, or hold what is no probability: all are named.
    """
    problems, regions = [], []
    for region in Region:
        path = files[region]
        try:
            volume = read_volume(path)
        except DataError as problem:
            problems.append(str(problem))
            continue
        mismatch = grid_mismatch(shape, affine, volume.array.shape, volume.affine)
        low, high = float(np.min(volume.array)), float(np.max(volume.array))
        if mismatch:
            problems.append(f"{case_id}: {path} does not lie on the grid of {reference}: {mismatch}")
        elif not (low >= 0 and high <= 1):  # NaN is neither
            problems.append(
                f"{case_id}: {path} holds values from {low:g} to {high:g}. Expected probabilities, 0 to 1: "
                f"write them after the sigmoid or softmax."
            )
        regions.append(volume.array)
    if problems:
        raise DataError("\n".join(problems))
    return np.stack(regions, axis=-1)
