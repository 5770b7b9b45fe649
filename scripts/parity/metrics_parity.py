"""Our Dice, sensitivity, specificity, precision and HD95 beside MONAI's, medpy's and surface-distance's.

    PYTHONPATH=. .venv-peers/bin/python scripts/parity/metrics_parity.py [FOLDER OF MASKS]

The environment is that of scripts/peers.sh. Without a folder only made-up masks are compared. With one,
every pair of masks in each of its folders (several predictions of one case) as well, and each mask against itself
shifted, eroded, dilated and thinned at random. Exits 1 where a difference exceeds its bound.

Bounds are shares of the value: 1e-9 for those that compute in float64, 1e-6 for MONAI's float32. MONAI's HD95 is held
to 1e-6 with the percentile of its distances taken in float64, and to 1e-5 as it comes: `torch.quantile` works out the
rank 0.95 (n - 1) in float32, which for 15,000 surface voxels is off by a thousandth of a rank.
"""

import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain, combinations
from pathlib import Path

import numpy as np
import scipy.ndimage as ndimage

# surface-distance 0.1 was written for numpy < 2 and scipy < 1.15: give it back the names that they dropped.
np.Inf = np.inf  # noqa: NPY201
ndimage.filters = ndimage.morphology = ndimage

import surface_distance  # noqa: E402
import torch  # noqa: E402
from medpy.metric import binary as medpy  # noqa: E402
from monai.metrics import compute_dice, compute_hausdorff_distance, get_confusion_matrix  # noqa: E402
from monai.metrics.utils import get_edge_surface_distance  # noqa: E402

from brats_unet.anatomy import Region, region_mask  # noqa: E402
from brats_unet.geometry import bounding_box, crop  # noqa: E402
from brats_unet.metrics import counts as ours  # noqa: E402
from brats_unet.metrics.protocols import PROTOCOLS  # noqa: E402
from brats_unet.metrics.surface import hausdorff95_mm  # noqa: E402
from brats_unet.nifti import is_nifti, read_integers  # noqa: E402

RULES = PROTOCOLS["brats2020"]
BOUNDS = {"monai": 1e-6, "monai as it comes": 1e-5, "medpy": 1e-9, "surface-distance": 1e-9}
Masks = tuple[str, np.ndarray, np.ndarray, tuple[float, float, float]]


def main() -> int:
    warnings.filterwarnings("ignore")
    worst: dict[tuple[str, str], tuple[float, str]] = defaultdict(lambda: (0.0, "-"))
    seconds: dict[str, float] = defaultdict(float)
    compared = 0
    for name, reference, prediction, spacing in all_masks(sys.argv[1:]):
        compared += 1
        for (peer, metric), (mine, theirs) in scores(reference, prediction, spacing, seconds).items():
            difference = abs(mine - theirs) / max(1.0, abs(theirs))
            if not difference <= worst[peer, metric][0]:
                worst[peer, metric] = (difference, f"{name}: {mine!r} and {theirs!r}")
    print(f"{compared} pairs of masks, none of them empty")
    failed = False
    for (peer, metric), (difference, where) in sorted(worst.items()):
        bad = not difference <= BOUNDS[peer]
        failed |= bad
        print(
            f"{'DIFFERS ' if bad else 'agrees  '} {peer:17} {metric:24} {difference:.1e}  {where if difference else ''}"
        )
    print("seconds:", ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()))
    return int(failed)


def scores(
    reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float], seconds: dict[str, float]
) -> dict[tuple[str, str], tuple[float, float]]:
    """(peer, metric) -> (ours, theirs)."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    counts = ours.count(reference, prediction)

    def hd95(definition: str) -> float:
        start = time.perf_counter()
        value = hausdorff95_mm(reference, prediction, spacing, definition=definition)
        seconds[f"ours {definition}"] += time.perf_counter() - start
        return value

    def clock(name: str, start: float) -> None:
        seconds[name] += time.perf_counter() - start

    y, p = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (reference, prediction))
    start = time.perf_counter()
    theirs = float(compute_hausdorff_distance(p, y, include_background=True, percentile=95, spacing=list(spacing)))
    clock("monai hd95", start)
    mine = hd95("per_direction_max")
    found["monai as it comes", "hd95 per_direction_max"] = mine, theirs
    _, directed, _ = get_edge_surface_distance(p[0, 0], y[0, 0], spacing=list(spacing), symmetric=True)
    theirs = max(float(np.percentile(distances.double().numpy(), 95)) for distances in directed)
    found["monai", "hd95 per_direction_max"] = mine, theirs
    tp, fp, tn, fn = (float(v) for v in get_confusion_matrix(p, y, include_background=True)[0, 0])
    found["monai", "dice"] = ours.dice(counts, RULES.dice), float(compute_dice(p, y, include_background=True))
    found["monai", "specificity"] = ours.specificity(counts), tn / (tn + fp) if tn + fp else 1.0
    found["monai", "accuracy"] = ours.accuracy(counts), (tp + tn) / (tp + fp + tn + fn)

    start = time.perf_counter()
    box = bounding_box(reference | prediction)  # medpy maps the whole grid; what lies outside changes nothing
    theirs = float(medpy.hd95(crop(prediction, box), crop(reference, box), voxelspacing=spacing))
    clock("medpy hd95 (cropped)", start)
    found["medpy", "hd95 pooled"] = hd95("pooled"), theirs
    found["medpy", "dice"] = ours.dice(counts, RULES.dice), float(medpy.dc(prediction, reference))
    found["medpy", "sensitivity"] = (
        ours.sensitivity(counts, RULES.sensitivity),
        float(medpy.sensitivity(prediction, reference)),
    )
    found["medpy", "precision"] = (
        ours.precision(counts, RULES.precision),
        float(medpy.precision(prediction, reference)),
    )

    start = time.perf_counter()
    distances = surface_distance.compute_surface_distances(reference, prediction, spacing)
    theirs = float(surface_distance.compute_robust_hausdorff(distances, 95))
    clock("surface-distance hd95", start)
    found["surface-distance", "hd95 area_weighted"] = hd95("area_weighted"), theirs
    found["surface-distance", "dice"] = (
        ours.dice(counts, RULES.dice),
        float(surface_distance.compute_dice_coefficient(reference, prediction)),
    )
    return found


def all_masks(folders: list[str]) -> Iterator[Masks]:
    """Pairs of masks that are not empty."""
    for name, reference, prediction, spacing in chain(made_up(), stored(folders)):
        if reference.any() and prediction.any():
            yield name, reference, prediction, spacing


def made_up() -> Iterator[Masks]:
    """Random blobs of every density, single voxels, masks that touch the borders or fill the grid, long voxels."""
    random = np.random.default_rng(20)
    for index in range(60):
        shape = tuple(int(n) for n in random.integers(1, 24, 3))
        spacing = (1.0, 1.0, 1.0) if index % 2 else tuple(float(s) for s in random.uniform(0.3, 5, 3))
        smooth = [ndimage.gaussian_filter(random.standard_normal(shape), random.uniform(0, 3)) for _ in range(2)]
        masks = [field > np.quantile(field, random.uniform(0, 0.98)) for field in smooth]
        yield f"blobs {index} {shape}", masks[0], masks[1], spacing
    for index in range(10):
        masks = [np.zeros((12, 9, 15), bool) for _ in range(2)]
        for mask in masks:
            mask[tuple(random.integers(0, n) for n in mask.shape)] = True
        yield f"one voxel each {index}", masks[0], masks[1], (0.9, 1.1, 3.0)
    full = np.ones((6, 7, 8), bool)
    corner = np.zeros_like(full)
    corner[0, 0, 0] = corner[-1, -1, -1] = True
    yield "full grid and two corners", full, corner, (1.0, 2.0, 3.0)
    yield "the same", full, full, (1.0, 2.0, 3.0)


def stored(folders: list[str]) -> Iterator[Masks]:
    """Masks on disk: every two of a folder, and each with itself changed."""
    random = np.random.default_rng(21)
    for folder in folders:
        by_parent = defaultdict(list)
        for path in sorted(Path(folder).rglob("*.nii*")):
            if is_nifti(path):
                by_parent[path.parent].append(path)
        for paths in by_parent.values():
            volumes = {path: read_integers(path) for path in paths}
            for one, two in combinations(paths, 2):
                for region in Region:
                    masks = [region_mask(volumes[path].array, region) for path in (one, two)]
                    yield f"{one.name}, {two.name} {region}", masks[0], masks[1], volumes[one].spacing_mm
            for path, volume in volumes.items():
                for region in Region:
                    mask = region_mask(volume.array, region)
                    spacing = tuple(float(s) for s in random.uniform(0.5, 3, 3))
                    yield f"{path.name} {region} shifted", mask, np.roll(mask, (3, -2, 1), (0, 1, 2)), spacing
                    yield f"{path.name} {region} eroded", mask, ndimage.binary_erosion(mask, iterations=2), spacing
                    yield f"{path.name} {region} dilated", mask, ndimage.binary_dilation(mask, iterations=3), spacing
                    thinned = mask & (random.random(mask.shape) < 0.7)
                    yield f"{path.name} {region} thinned", mask, thinned, volume.spacing_mm


if __name__ == "__main__":
    sys.exit(main())
