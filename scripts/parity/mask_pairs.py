"""Pairs of masks to compare scorers on: synthetic masks, and real masks with disturbed copies."""

import os
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy import ndimage

from brats_unet.geometry import bounding_box
from brats_unet.nifti import read_integers
from brats_unet.scan_formats import is_scan
from brats_unet.schemes.scheme_file import builtin

Masks = tuple[str, np.ndarray, np.ndarray, tuple[float, float, float]]
GLIOMA = builtin()
REAL = Path(os.environ.get("BRATS_UNET_REAL") or Path(__file__).resolve().parents[2].parent / "shared" / "real")
MARGIN = 5  # voxels of air left around both masks


def every_pair(folders: list[str]) -> Iterator[Masks]:
    """(name, reference, prediction, spacing in mm) of every pair; some masks are empty.

    Args:
        folders: Folders of masks; if there is none, the folder of the real scans is used if it exists.
    """
    yield from synthetic()
    yield from stored([Path(folder) for folder in folders] or [REAL])


def synthetic() -> Iterator[Masks]:
    """Random blobs of every density, scattered lesions, single voxels, borders, full and empty grids, long voxels."""
    random = np.random.default_rng(20)
    for index in range(190):
        shape = tuple(int(n) for n in random.integers(2, 24, 3))
        spacing = (1.0, 1.0, 1.0) if index % 2 else tuple(float(s) for s in random.uniform(0.3, 5, 3))
        smooth = [ndimage.gaussian_filter(random.standard_normal(shape), random.uniform(0, 3)) for _ in range(2)]
        masks = [field > np.quantile(field, random.uniform(0, 0.98)) for field in smooth]
        yield f"blobs {index} {shape}", masks[0], masks[1], spacing
    for index in range(100):
        shape = tuple(int(n) for n in random.integers(24, 48, 3))
        spacing = (1.0, 1.0, 1.0) if index % 2 else tuple(float(s) for s in random.uniform(0.5, 3, 3))
        field, noise = (ndimage.gaussian_filter(random.standard_normal(shape), 1.5) for _ in range(2))
        level = np.quantile(field, random.uniform(0.9, 0.995))
        yield f"lesions {index} {shape}", field > level, field + 0.4 * noise > level, spacing
    for index in range(10):
        masks = [np.zeros((12, 9, 15), bool) for _ in range(2)]
        for mask in masks:
            mask[tuple(random.integers(0, n) for n in mask.shape)] = True
        yield f"one voxel each {index}", masks[0], masks[1], (0.9, 1.1, 3.0)
    full = np.ones((6, 7, 8), bool)
    corner, empty = np.zeros_like(full), np.zeros_like(full)
    corner[0, 0, 0] = corner[-1, -1, -1] = True
    long = (1.0, 2.0, 3.0)
    yield "full grid and two corners", full, corner, long
    yield "the same", full, full, long
    yield "both empty", empty, empty, long
    for name, mask in (("full grid", full), ("two corners", corner)):
        yield f"{name} and nothing", mask, empty, long
        yield f"nothing and {name}", empty, mask, long


def stored(folders: list[Path]) -> Iterator[Masks]:
    """Masks on disk: every two masks of a folder, and each mask with disturbed copies of itself. Scans are ignored."""
    random = np.random.default_rng(21)
    by_parent: dict[Path, list[Path]] = {}
    for folder in folders:
        for path in sorted(folder.rglob("*.nii*")):
            if is_scan(path) and ("_seg" in path.name or "pred" in path.name):
                by_parent.setdefault(path.parent, []).append(path)
    for paths in by_parent.values():
        volumes = {path: read_integers(path) for path in paths}
        for one, two in combinations(paths, 2):
            for region in GLIOMA.predicted:
                masks = [GLIOMA.region_mask(volumes[path].array, region) for path in (one, two)]
                yield _near(f"{one.name}, {two.name} {region}", *masks, volumes[one].spacing_mm)
        for path, volume in volumes.items():
            for region in GLIOMA.predicted:
                mask = GLIOMA.region_mask(volume.array, region)
                spacing = tuple(float(s) for s in random.uniform(0.5, 3, 3))
                name = f"{path.name} {region}"
                yield _near(f"{name} shifted", mask, np.roll(mask, (3, -2, 1), (0, 1, 2)), spacing)
                yield _near(f"{name} eroded", mask, ndimage.binary_erosion(mask, iterations=2), spacing)
                yield _near(f"{name} dilated", mask, ndimage.binary_dilation(mask, iterations=3), volume.spacing_mm)
                thinned = mask & (random.random(mask.shape) < 0.7)
                yield _near(f"{name} thinned", mask, thinned, volume.spacing_mm)


def _near(name: str, reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> Masks:
    """Crop both masks, with a small margin: a larger one takes the peers minutes and changes only specificity."""
    union = reference | prediction
    if not union.any():
        window = (slice(0, 9),) * 3
    else:
        box = bounding_box(union)
        window = tuple(slice(max(0, a - MARGIN), b + MARGIN) for a, b in zip(box.start, box.stop, strict=True))
    return name, np.ascontiguousarray(reference[window]), np.ascontiguousarray(prediction[window]), spacing
