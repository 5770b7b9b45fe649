"""Which voxels of scans with skull and air are head: what counts as brain in skull-stripped scans."""

from collections.abc import Sequence

import cc3d
import numpy as np
from scipy import ndimage

from brats_unet.data.prepare.brain import border_value, union

BRIGHTEST = 99  # percentile above which intensities count as equal: fat and vessels outshine everything else
BINS = 256
SHARE = 0.5  # of the way from the background to Otsu's threshold, which divides dark from bright tissue


def head_mask(scans: Sequence[np.ndarray], *, axial: int) -> np.ndarray:
    """Mask of the head: the largest connected part that is brighter than air in any scan, filled slice by slice.

    In the LGG MRI Segmentation data set, no voxel of a tumour lies outside it (docs/DATA.md).

    Args:
        scans: Scans of one case on one grid, each of shape (X, Y, Z) and not constant.
        axial: Axis along which the axial slices follow one another.

    Returns:
        Bool, shape (X, Y, Z), at least one voxel.
    """
    bright = union([scan > air_threshold(scan) for scan in scans])
    largest = cc3d.largest_k(bright, k=1, connectivity=6).astype(bool)
    slices = [ndimage.binary_fill_holes(plane) for plane in np.moveaxis(largest, axial, 0)]
    return np.moveaxis(np.stack(slices), 0, axial)


def air_threshold(scan: np.ndarray) -> float:
    """Intensity above which a voxel is not air: half-way from the background to Otsu's threshold.

    Args:
        scan: Shape (X, Y, Z), not constant.

    Source:
        Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    background = float(border_value(scan))
    # A few bright voxels would else decide alone; in a scan with hardly any, they must.
    brightest = max(float(np.percentile(scan, BRIGHTEST)), background)
    if brightest == background:
        brightest = float(scan.max())
    above = np.clip(scan.astype(np.float32) - np.float32(background), 0, brightest - background)
    return background + SHARE * otsu_threshold(above)


def otsu_threshold(values: np.ndarray) -> float:
    """Threshold between two classes of values with the largest variance between them, by a histogram of 256 bins.

    The edge of a bin; the middle one if several divide the values equally; 0 if all values are equal.
    """
    if values.min() == values.max():
        return 0.0
    counts, edges = np.histogram(values, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = counts.sum() - below
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = below * above * (total[:-1] / below - (total[-1] - total[:-1]) / above) ** 2
    best = np.flatnonzero(variance >= np.nanmax(variance) * (1 - 1e-12))
    return float(edges[1:-1][best].mean())
