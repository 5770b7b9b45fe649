"""How well two volumes match if one is mirrored or shifted: edges of scans, compared by cross-correlation."""

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import fft

AXES = ("left-right", "front-back", "top-bottom")  # of L-P-S arrays
Flip = tuple[bool, bool, bool]
NO_FLIP: Flip = (False, False, False)
FLIPS: tuple[Flip, ...] = tuple((x, y, z) for x, y, z in product((False, True), repeat=3) if x or y or z)
PERCENTILES = (1, 99)  # of the brain, between which intensities are compared


@dataclass(frozen=True)
class Peak:
    """Where two volumes match best.

    Attributes:
        similarity: Correlation there, up to 1.
        shift: Shift of the second volume, in voxels along each axis, interpolated between voxels.
    """

    similarity: float
    shift: tuple[float, float, float]


def flipped(volume: np.ndarray, flip: Flip) -> np.ndarray:
    """View of a volume, mirrored along the axes where `flip` is True."""
    return volume[tuple(slice(None, None, -1) if mirrored else slice(None) for mirrored in flip)]


def words_of(flip: Flip) -> str:
    """A flip in words, such as "left-right and front-back"."""
    return " and ".join(axis for axis, mirrored in zip(AXES, flip, strict=True) if mirrored)


def unit(volume: np.ndarray) -> np.ndarray:
    """A volume with mean 0 and norm 1, float32; zeros if it is constant."""
    centred = volume - volume.mean(dtype=np.float64)
    norm = float(np.sqrt(np.square(centred).sum()))
    return (centred / norm if norm > 0 else centred).astype(np.float32)


def edges(scan: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Size of the gradient of a scan, `unit`: alike in all MR contrasts, whatever is bright in them.

    Args:
        scan: Intensities, shape (X, Y, Z).
        brain: Bool, same shape, at least one voxel.
    """
    low, high = np.percentile(scan[brain], PERCENTILES)
    grey = (np.clip(scan, low, high) - low) / max(float(high - low), 1e-12)
    return unit(np.sqrt(sum(np.square(slope) for slope in np.gradient(grey))))


def correlations(fixed: np.ndarray, moved: np.ndarray, reach: int) -> np.ndarray:
    """Sums of products of two volumes for all shifts of the second up to `reach` voxels along each axis.

    Returns:
        Float array with an odd number of elements along each axis; the middle one is for no shift.
    """
    reaches = [min(reach, n - 1) for n in fixed.shape]
    shape = [fft.next_fast_len(n + r, real=True) for n, r in zip(fixed.shape, reaches, strict=True)]
    product_of_both = fft.rfftn(fixed, shape) * np.conj(fft.rfftn(moved, shape))
    whole = fft.irfftn(product_of_both, shape)
    return whole[np.ix_(*[np.arange(-r, r + 1) for r in reaches])]


def best_match(fixed: np.ndarray, moved: np.ndarray, reach: int) -> Peak:
    """The best match of two `unit` volumes of one shape over shifts up to `reach` voxels along each axis."""
    table = correlations(fixed, moved, reach)
    top = np.unravel_index(int(table.argmax()), table.shape)
    shift = []
    for axis, at in enumerate(top):
        line = table[tuple(slice(None) if i == axis else top[i] for i in range(3))]
        shift.append(float(at - len(line) // 2 + _vertex(line, int(at))))
    return Peak(float(table[top]), (shift[0], shift[1], shift[2]))


def _vertex(line: np.ndarray, at: int) -> float:
    """Vertex of the parabola through a maximum and its neighbours, -0.5 to 0.5 from it; 0 at an end."""
    if not 0 < at < len(line) - 1:
        return 0.0
    before, top, after = (float(line[i]) for i in (at - 1, at, at + 1))
    bend = before - 2 * top + after
    return 0.5 * (before - after) / bend if bend < 0 else 0.0
