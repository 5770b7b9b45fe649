"""Distances between the surfaces of two masks, in millimetres, in the three definitions that are all called HD95."""

from functools import lru_cache
from itertools import permutations, product

import numpy as np
from scipy.spatial import cKDTree

from brats_unet.geometry import bounding_box, crop
from brats_unet.metrics.counts import require_masks
from brats_unet.metrics.empty import PROTOCOLS, WhenEmpty

Spacing = tuple[float, float, float]

DEFINITIONS = ("per_direction_max", "pooled", "area_weighted")

# The 14 ways in which a surface can cut a cube of 2×2×2 voxels, up to turning, mirroring and exchanging inside and
# outside: corners inside the mask, and the triangles' normals (their length is the area) in eighths of a voxel face,
# without sign. These are the triangulations of Lorensen and Cline 1987, doi:10.1145/37402.37422, with every vertex in
# the middle of its edge, as google-deepmind/surface-distance takes them.
CUTS: dict[tuple[str, ...], tuple[tuple[int, int, int], ...]] = {
    (): (),
    ("111",): ((1, 1, 1),),
    ("110", "111"): ((2, 2, 0), (2, 2, 0)),
    ("101", "110"): ((1, 1, 1), (1, 1, 1)),
    ("101", "110", "111"): ((1, 1, 1), (2, 2, 2), (4, 0, 0)),
    ("100", "101", "110", "111"): ((4, 0, 0), (4, 0, 0)),
    ("011", "101", "110"): ((1, 1, 1), (1, 1, 1), (1, 1, 1)),
    ("011", "101", "110", "111"): ((1, 1, 1), (1, 1, 1), (2, 2, 2), (2, 2, 2)),
    ("011", "100"): ((1, 1, 1), (1, 1, 1)),
    ("011", "100", "111"): ((0, 2, 2), (0, 2, 2), (1, 1, 1)),
    ("011", "100", "110", "111"): ((0, 2, 2), (1, 1, 1), (2, 0, 2), (3, 3, 3)),
    ("011", "100", "101", "110"): ((1, 1, 1), (1, 1, 1), (2, 2, 2), (4, 0, 0)),
    ("010", "011", "100", "101"): ((2, 2, 0), (2, 2, 0), (2, 2, 0), (2, 2, 0)),
    ("001", "010", "100", "111"): ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
}


def hausdorff95_mm(
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing_mm: Spacing,
    *,
    definition: str = PROTOCOLS["brats2020"].hd95_definition,
    when_empty: WhenEmpty = PROTOCOLS["brats2020"].hd95_mm,
) -> float:
    """95th-percentile Hausdorff distance between the surfaces of two masks.

    Args:
        reference: Expert mask, bool, shape (X, Y, Z).
        prediction: Model mask, bool, same shape and grid.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres.
        definition: On the same masks they differ by up to 2x.
            "per_direction_max": the surface is the voxels with one of their six faces on the outside; the percentile
            of the distances from each surface to the other, and the larger of the two. MONAI's
            `compute_hausdorff_distance(percentile=95)`.
            "pooled": the same surfaces; the percentile of all distances of both directions together. medpy's `hd95`.
            "area_weighted": the surface lies on the corners of voxels, and each of its points weighs as much as the
            area of the surface there; the percentile by area per direction, and the larger of the two. DeepMind's
            `compute_robust_hausdorff(…, 95)`, taken up by BraTS 2023.
        when_empty: What to return if either mask has no voxel.

    Returns:
        Distance in millimetres, 0 for identical masks, lower is better; the rule's value if either mask is empty.

    Raises:
        ValueError: The masks do not share one grid, a spacing is not positive, or there is no such definition.

    Source:
        Huttenlocher et al. 1993, doi:10.1109/34.232073.
    """
    require_masks(reference, prediction)
    if len(spacing_mm) != reference.ndim or reference.ndim != 3 or not all(s > 0 for s in spacing_mm):
        raise ValueError(f"Three positive spacings and three axes are expected, not {spacing_mm}, {reference.shape}.")
    if definition not in DEFINITIONS:
        raise ValueError(f"There is no definition of HD95 named {definition}. Known: {', '.join(DEFINITIONS)}.")
    ruled = when_empty.value(reference_empty=not reference.any(), prediction_empty=not prediction.any())
    if ruled is not None:
        return ruled
    box = bounding_box(reference | prediction)
    reference, prediction = crop(reference, box), crop(prediction, box)
    if definition == "area_weighted":
        return _area_weighted_percentile_mm(reference, prediction, spacing_mm)
    there, back = surface_distances_mm(surface_voxels(reference), surface_voxels(prediction), spacing_mm)
    if definition == "pooled":
        return float(np.percentile(np.concatenate([there, back]), 95))
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def surface_voxels(mask: np.ndarray) -> np.ndarray:
    """Voxels of `mask` with at least one of their six faces on the outside; beyond the array all is outside."""
    padded = np.pad(mask, 1)
    inner = mask.copy()
    for axis in range(3):
        for shift in (0, 2):
            window = [slice(1, -1)] * 3
            window[axis] = slice(shift, shift + mask.shape[axis])
            inner &= padded[tuple(window)]
    return mask & ~inner


def surface_distances_mm(surface: np.ndarray, other: np.ndarray, spacing_mm: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """From each point of each surface to the nearest point of the other.

    Args:
        surface: bool, shape (X, Y, Z); its True voxels (or corners of voxels) are the points. Not empty.
        other: Likewise, same shape.
        spacing_mm: Distances of neighbours along x, y, z, in millimetres.

    Returns:
        Distances in millimetres, float64: from the points of `surface`, and from those of `other`, in array order.
    """
    return _nearest_mm(surface, other, spacing_mm), _nearest_mm(other, surface, spacing_mm)


def _nearest_mm(points: np.ndarray, targets: np.ndarray, spacing_mm: Spacing) -> np.ndarray:
    """A tree of the surface's points beats a distance map of the box (it is exact too, where `edt` has float32)."""
    apart = ~targets[points]  # points in common are 0 mm apart: no search
    distances = np.zeros(apart.size)
    if apart.any():
        tree = cKDTree(np.argwhere(targets) * np.asarray(spacing_mm, float), leafsize=32)
        distances[apart] = tree.query(np.argwhere(points & ~targets) * np.asarray(spacing_mm, float))[0]
    return distances


def _area_weighted_percentile_mm(reference: np.ndarray, prediction: np.ndarray, spacing_mm: Spacing) -> float:
    codes = (corner_codes(reference), corner_codes(prediction))
    surfaces = tuple((code != 0) & (code != 255) for code in codes)
    both = surface_distances_mm(surfaces[0], surfaces[1], spacing_mm)
    areas = code_areas_mm2(spacing_mm)
    percentiles = []
    for code, surface, distances in zip(codes, surfaces, both, strict=True):
        weights = areas[code[surface]]
        order = np.lexsort((weights, distances))
        share = np.cumsum(weights[order]) / weights[order].sum()
        index = min(int(np.searchsorted(share, 0.95)), order.size - 1)
        percentiles.append(float(distances[order][index]))
    return max(percentiles)


def corner_codes(mask: np.ndarray) -> np.ndarray:
    """Which of the eight voxels around each corner lie in the mask, uint8, one longer than `mask` along each axis.

    Bit 4 i + 2 j + k stands for the voxel that is i, j, k steps up the axes.
    """
    padded = np.pad(mask, 1)
    codes = np.zeros([n + 1 for n in mask.shape], np.uint8)
    for i, j, k in product((0, 1), repeat=3):
        window = tuple(slice(s, s + n) for s, n in zip((i, j, k), codes.shape, strict=True))
        codes |= padded[window].astype(np.uint8) << np.uint8(4 * i + 2 * j + k)
    return codes


@lru_cache(maxsize=1)
def _code_normals() -> np.ndarray:
    """Normals of the triangles of each of the 256 codes, float64, shape (256, 4, 3), in voxel faces; 0 fills up."""
    normals = np.full((256, 4, 3), np.nan)
    for corners, triangles in CUTS.items():
        inside = np.zeros((2, 2, 2), bool)
        for corner in corners:
            inside[tuple(int(c) for c in corner)] = True
        faces = np.zeros((4, 3))
        faces[: len(triangles)] = np.reshape(triangles, (-1, 3)) / 8.0
        for axes, flips, exchange in product(permutations(range(3)), product((1, -1), repeat=3), (False, True)):
            turned = inside.transpose(axes)[tuple(slice(None, None, f) for f in flips)] ^ exchange
            code = int(np.packbits(turned.ravel(), bitorder="little")[0])
            normals[code] = faces[:, axes]
    return normals


def code_areas_mm2(spacing_mm: Spacing) -> np.ndarray:
    """Area of the surface at a corner of each of the 256 codes, float64, shape (256,), in square millimetres."""
    x, y, z = spacing_mm
    return np.sqrt(((_code_normals() * (y * z, x * z, x * y)) ** 2).sum(axis=-1)).sum(axis=-1)
