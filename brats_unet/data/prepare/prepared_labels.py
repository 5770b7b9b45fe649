"""Labels of a case on the prepared grid, and where patches of a region can be centred."""

import numpy as np

from brats_unet.data.prepare.grid import Grid
from brats_unet.errors import DataError
from brats_unet.geometry import crop
from brats_unet.schemes.scheme import Scheme

FOREGROUND_POSITIONS = 10_000
SMALLEST_KEPT = 8  # voxels of the prepared grid; a smaller region may be lost when it is resampled


def prepared_labels(labels: np.ndarray, grid: Grid, scheme: Scheme) -> np.ndarray:
    """Map labels to the prepared grid; after resampling, a region has the voxels that it fills at least half."""
    if grid.ratio == (1.0, 1.0, 1.0) and grid.straight is None:
        return np.ascontiguousarray(grid.to_prepared(labels))
    return scheme.labels_from_masks(grid.to_prepared(scheme.predicted_masks(labels)) >= 0.5)


def refuse_lost_labels(case_id: str, labels: np.ndarray, prepared: np.ndarray, grid: Grid, scheme: Scheme) -> None:
    """Raise DataError if the crop or the resampling has lost a region that the mask holds.

    A region of fewer than `SMALLEST_KEPT` voxels of the prepared grid may vanish, unless the mask is empty then.
    """
    kept = 0 if grid.straight is not None else np.count_nonzero(crop(grid.turn.apply(labels), grid.box))
    if grid.straight is None and (cropped := np.count_nonzero(labels) - kept):
        raise DataError(
            f"{case_id}: {cropped:,} voxels of the mask lie outside the brain or head, where the crop cuts them off. "
            f"Correct the mask or the scans, or set data.preparation.crop=none."
        )
    lost = []
    for region in scheme.predicted:
        voxels = np.count_nonzero(scheme.region_mask(labels, region))
        large = voxels / float(np.prod(grid.ratio)) >= SMALLEST_KEPT
        if voxels and (large or not prepared.any()) and not scheme.region_mask(prepared, region).any():
            lost.append(f"{region} ({voxels:,} voxels)")
    if lost:
        spacing = "×".join(f"{length:.3g}" for length in grid.case_spacing_mm)
        raise DataError(
            f"{case_id}: {' and '.join(lost)} of the mask would be lost: by their header the scans have voxels of "
            f"{spacing} mm, and they are prepared as {'×'.join(map(str, grid.shape))} voxels. Correct the header, or "
            f"set a smaller data.preparation.spacing_mm."
        )


def foreground_positions(labels: np.ndarray, case_id: str, scheme: Scheme) -> dict[str, np.ndarray]:
    """Up to 10,000 random voxel positions of each predicted region, int16, shape (n, 3); the case id gives the seed."""
    seed = int.from_bytes(case_id.encode()[-8:], "little")
    draw = np.random.Generator(np.random.Philox(key=seed))
    masks = scheme.predicted_masks(labels)
    positions = {}
    for index, region in enumerate(scheme.predicted):
        voxels = np.argwhere(masks[..., index]).astype(np.int16)
        if len(voxels) > FOREGROUND_POSITIONS:
            voxels = voxels[np.sort(draw.choice(len(voxels), FOREGROUND_POSITIONS, replace=False))]
        positions[region] = voxels
    return positions
