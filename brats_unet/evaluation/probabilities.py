"""Read and check region probabilities, and measure their calibration against the reference."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from brats_unet.errors import DataError
from brats_unet.evaluation.grids import grid_mismatch
from brats_unet.geometry import crop
from brats_unet.metrics import CALIBRATION
from brats_unet.metrics.calibration import calibration_box
from brats_unet.nifti import read_volume
from brats_unet.schemes.scheme import Scheme


def calibration(reference: np.ndarray, probabilities: np.ndarray, scheme: Scheme) -> dict[str, dict[str, float]]:
    """Calibration of each scored region, in a box around all of them in the reference.

    Args:
        reference: Labels as in memory, shape (X, Y, Z).
        probabilities: Probability of each scored region, shape (X, Y, Z, S), 0 to 1.
        scheme: What the labels are, and which regions are scored.

    Returns:
        By region: "ece" and "brier", both from 0 to 1, lower is better. Without any of them, the box is the whole grid.

    Raises:
        ValueError: The shapes do not match.
    """
    if probabilities.shape != (*reference.shape, len(scheme.scored)):
        raise ValueError(
            f"Probabilities have shape {probabilities.shape}. Expected {(*reference.shape, len(scheme.scored))}, the "
            "shape of the mask and the number of regions."
        )
    box = calibration_box(np.any(scheme.masks(reference, scheme.scored), axis=-1))
    labels, near = crop(reference, box), crop(probabilities, box)
    found = {}
    for index, region in enumerate(scheme.scored):
        mask, probability = scheme.region_mask(labels, region), near[..., index]
        found[region] = {name: metric.function(mask, probability) for name, metric in CALIBRATION.items()}
    return found


def read_probabilities(
    case_id: str,
    files: Mapping[str, Path],
    scheme: Scheme,
    reference: Path,
    shape: tuple[int, ...],
    affine: np.ndarray,
) -> np.ndarray:
    """Probabilities of the predicted regions of a case, float32, shape (X, Y, Z, R), 0 to 1.

    Args:
        case_id: Case id, for messages.
        files: Probability file of each predicted region.
        scheme: Which regions are predicted.
        reference: Reference mask, for messages; the probabilities must lie on its grid.
        shape: Voxels of the reference along each axis.
        affine: Voxel indices of the reference to millimetres, shape (4, 4).

    Raises:
        DataError: A file cannot be read, lies on another grid, or holds values outside 0 to 1. All problems are listed.
    """
    problems, regions = [], []
    for region in scheme.predicted:
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
        elif not (low >= 0 and high <= 1):  # also true for NaN
            problems.append(
                f"{case_id}: {path} holds values from {low:g} to {high:g}. Expected probabilities, 0 to 1: "
                f"apply the sigmoid or softmax before writing them."
            )
        regions.append(volume.array)
    if problems:
        raise DataError("\n".join(problems))
    return np.stack(regions, axis=-1)
