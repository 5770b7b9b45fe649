"""Compare the scores with MONAI, medpy, surface-distance, panoptica, nnU-Net and BraTS 2023, mask by mask.

    PYTHONPATH=. .venv-peers/bin/python scripts/parity/metrics_parity.py [FOLDER_OF_MASKS …]

It runs in the environment of scripts/peers.sh, on the pairs of mask_pairs.py. The exit code is 1 if a difference
exceeds its bound. If a peer has a different definition, the line says "own" and names it; its value is then compared
with that definition, computed from the distances of brats-unet.

Bounds are relative: 1e-9 for peers that compute in float64, 1e-6 for MONAI, which computes in float32. MONAI's HD95 has
a bound of 1e-6 if the percentile of its distances is taken in float64, and of 1e-5 unchanged: `torch.quantile` computes
the rank 0.95 (n - 1) in float32, which for 15,000 surface voxels is wrong by a thousandth of a rank.
"""

import math
import sys
import warnings
from collections import Counter
from collections.abc import Iterator

import numpy as np
import scipy.ndimage as ndimage

# surface-distance 0.1 needs names that numpy 2 and scipy 1.15 have removed.
np.Inf = np.inf  # noqa: NPY201
ndimage.filters = ndimage.morphology = ndimage

import monai.metrics as monai  # noqa: E402
import surface_distance  # noqa: E402
import torch  # noqa: E402
from brats2023 import region_scores  # noqa: E402
from mask_pairs import every_pair  # noqa: E402
from medpy.metric import binary as medpy  # noqa: E402
from monai.metrics.utils import get_edge_surface_distance  # noqa: E402
from nnunetv2.evaluation.evaluate_predictions import compute_metrics  # noqa: E402
from panoptica import Metric as Panoptica  # noqa: E402

from brats_unet.metrics import metrics_of  # noqa: E402
from brats_unet.metrics.pair import MaskPair  # noqa: E402
from brats_unet.metrics.protocols import PROTOCOLS  # noqa: E402
from brats_unet.metrics.surface import Surfaces  # noqa: E402

FLOAT32, FLOAT64 = 1e-6, 1e-9
BOUNDS = {"monai": FLOAT32, "monai unchanged": 1e-5}  # for all others: FLOAT64
TOLERANCES_MM = (1.0, 2.0)
# (peer, metric, value of brats-unet, value of the peer)
Found = Iterator[tuple[str, str, float, float]]


def main() -> int:
    warnings.filterwarnings("ignore")
    np.seterr(all="ignore")
    worst: dict[tuple[str, str], tuple[float, str]] = {}
    times: Counter[tuple[str, str]] = Counter()
    pairs = empty = 0
    for name, reference, prediction, spacing in every_pair(sys.argv[1:]):
        pairs += 1
        empty += not (reference.any() and prediction.any())
        for peer, metric, mine, theirs in comparisons(reference, prediction, spacing):
            key = peer, metric
            times[key] += 1
            same = (math.isnan(mine) and math.isnan(theirs)) or mine == theirs
            difference = 0.0 if same else abs(mine - theirs) / max(1.0, abs(theirs))
            if key not in worst or not difference <= worst[key][0]:
                worst[key] = (difference, f"{name}: {mine!r} and {theirs!r}")
    print(f"{pairs} pairs of masks, {empty} of them with an empty mask")
    failed = False
    for (peer, metric), (difference, where) in sorted(worst.items()):
        bad = not difference <= BOUNDS.get(peer, FLOAT64)
        failed |= bad
        print(
            f"{'DIFFERS ' if bad else 'agrees  '} {peer:17} {metric:34} {times[peer, metric]:4} {difference:.1e}"
            f"  {where if bad else ''}"
        )
    return int(failed)


def comparisons(reference: np.ndarray, prediction: np.ndarray, spacing: tuple[float, float, float]) -> Found:
    """Every score that both brats-unet and a peer compute."""
    yield from of_nnunet(reference, prediction, spacing)
    yield from of_brats2023(reference, prediction, spacing)
    if reference.any() and prediction.any():  # for empty masks, these peers return infinity or NaN
        surfaces = Surfaces(reference, prediction, spacing)
        ours = scores("brats2020", reference, prediction, spacing)
        yield from of_monai(ours, surfaces)
        yield from of_medpy(ours, surfaces)
        yield from of_surface_distance(ours, surfaces)
        yield from of_panoptica(ours, surfaces)


def scores(protocol: str, reference: np.ndarray, prediction: np.ndarray, spacing) -> dict[str, float]:
    """Scores of brats-unet, by metric."""
    rules = PROTOCOLS[protocol]
    pair = MaskPair(reference, prediction, spacing, rules).cropped()
    return {name: float(metric.function(pair)) for name, metric in metrics_of(rules, TOLERANCES_MM).items()}


def of_nnunet(reference: np.ndarray, prediction: np.ndarray, spacing) -> Found:
    """Compare with nnU-Net v2's evaluator, on arrays instead of files."""

    class Reader:
        def read_seg(self, array: np.ndarray) -> tuple[np.ndarray, dict]:
            return array.astype(np.uint8), {}

    theirs = compute_metrics(reference, prediction, Reader(), [1])["metrics"][1]
    ours = scores("nnunet", reference, prediction, spacing)
    yield "nnunet", "dice (undefined if both empty)", ours["dice"], float(theirs["Dice"])
    yield "nnunet", "iou (undefined if both empty)", ours["iou"], float(theirs["IoU"])
    yield "nnunet", "voxels of the prediction", ours["volume_prediction"] / math.prod(spacing), float(theirs["n_pred"])


def of_brats2023(reference: np.ndarray, prediction: np.ndarray, spacing) -> Found:
    """Compare with the challenge's own table, empty masks included."""
    ours = scores("brats2023", reference, prediction, spacing)
    for name, theirs in region_scores(reference, prediction, spacing).items():
        if name == "specificity" and reference.all():
            # If the reference fills the grid, the script returns 0 (epsilon in the denominator) and brats-unet 1.
            yield "brats2023", "specificity, full grid (own: 0)", ours[name] - 1, float(theirs)
        else:
            yield "brats2023", name, ours[name], float(theirs)


def of_monai(ours: dict[str, float], surfaces: Surfaces) -> Found:
    masks = (surfaces.prediction, surfaces.reference)
    p, y = (torch.from_numpy(mask[None, None].astype(np.float32)) for mask in masks)
    spacing = list(surfaces.spacing_mm)
    theirs = float(monai.compute_hausdorff_distance(p, y, include_background=True, percentile=95, spacing=spacing))
    yield "monai unchanged", "hd95 per_direction_max", ours["hd95"], theirs
    _, directed, _ = get_edge_surface_distance(p[0, 0], y[0, 0], spacing=spacing, symmetric=True)
    theirs = max(float(np.percentile(distances.double().numpy(), 95)) for distances in directed)
    yield "monai", "hd95 per_direction_max", ours["hd95"], theirs
    theirs = float(
        monai.compute_average_surface_distance(p, y, include_background=True, symmetric=True, spacing=spacing)
    )
    yield "monai", "assd pooled", ours["assd"], theirs
    for tolerance in TOLERANCES_MM:
        options = {"class_thresholds": [tolerance], "include_background": True, "spacing": spacing}
        theirs = float(monai.compute_surface_dice(p, y, **options, use_subvoxels=True))
        yield "monai", f"nsd_{tolerance:g}mm, subvoxels", ours[f"nsd_{tolerance:g}mm"], theirs
        theirs = float(monai.compute_surface_dice(p, y, **options))
        found = np.concatenate([surfaces.voxels.there, surfaces.voxels.back])
        yield "monai", f"nsd_{tolerance:g}mm (own: voxels counted)", float(np.mean(found <= tolerance)), theirs
    tp, fp, tn, fn = (float(v) for v in monai.get_confusion_matrix(p, y, include_background=True)[0, 0])
    yield "monai", "dice", ours["dice"], float(monai.compute_dice(p, y, include_background=True))
    yield "monai", "iou", ours["iou"], float(monai.compute_iou(p, y, include_background=True))
    yield "monai", "specificity", ours["specificity"], tn / (tn + fp) if tn + fp else 1.0
    yield "monai", "accuracy", ours["accuracy"], (tp + tn) / (tp + fp + tn + fn)


def of_medpy(ours: dict[str, float], surfaces: Surfaces) -> Found:
    y, p, spacing = surfaces.reference, surfaces.prediction, surfaces.spacing_mm
    yield "medpy", "hd95 pooled", surfaces.hausdorff95_mm("pooled"), float(medpy.hd95(p, y, voxelspacing=spacing))
    yield "medpy", "assd pooled", ours["assd"], float(medpy.assd(p, y, voxelspacing=spacing))
    yield "medpy", "dice", ours["dice"], float(medpy.dc(p, y))
    yield "medpy", "iou", ours["iou"], float(medpy.jc(p, y))
    yield "medpy", "sensitivity", ours["sensitivity"], float(medpy.sensitivity(p, y))
    yield "medpy", "precision", ours["precision"], float(medpy.precision(p, y))
    yield "medpy", "volume_difference_relative", ours["volume_difference_relative"], float(medpy.ravd(p, y))


def of_surface_distance(ours: dict[str, float], surfaces: Surfaces) -> Found:
    found = surface_distance.compute_surface_distances(surfaces.reference, surfaces.prediction, surfaces.spacing_mm)
    theirs = float(surface_distance.compute_robust_hausdorff(found, 95))
    yield "surface-distance", "hd95 area_weighted", surfaces.hausdorff95_mm("area_weighted"), theirs
    theirs = float(np.mean(surface_distance.compute_average_surface_distance(found)))
    yield "surface-distance", "assd area_weighted", surfaces.average_mm("area_weighted"), theirs
    for tolerance in TOLERANCES_MM:
        theirs = float(surface_distance.compute_surface_dice_at_tolerance(found, tolerance))
        yield "surface-distance", f"nsd_{tolerance:g}mm", ours[f"nsd_{tolerance:g}mm"], theirs


def of_panoptica(ours: dict[str, float], surfaces: Surfaces) -> Found:
    masks, spacing = (surfaces.reference, surfaces.prediction), surfaces.spacing_mm
    yield "panoptica", "dice", ours["dice"], float(Panoptica.DSC(*masks))
    yield "panoptica", "iou", ours["iou"], float(Panoptica.IOU(*masks))
    yield (
        "panoptica",
        "hd95 pooled",
        surfaces.hausdorff95_mm("pooled"),
        float(Panoptica.HD95(*masks, voxelspacing=spacing)),
    )
    theirs = float(Panoptica.ASSD(*masks, voxelspacing=spacing))
    yield "panoptica", "assd mean_of_directions", surfaces.average_mm("mean_of_directions"), theirs
    for tolerance in TOLERANCES_MM:
        theirs = float(Panoptica.NSD(*masks, voxelspacing=spacing, threshold=tolerance))
        mine = np.mean([np.mean(found <= tolerance) for found in (surfaces.voxels.there, surfaces.voxels.back)])
        yield "panoptica", f"nsd_{tolerance:g}mm (own: mean of two shares)", float(mine), theirs


if __name__ == "__main__":
    sys.exit(main())
