"""What every score means, in a sentence or two: the words on a run's page and in docs/METRICS.md.

The words of the metrics stand in their records; here are those of the definitions of HD95 and of the seed's scores.
"""

from collections.abc import Collection

from brats_unet.metrics import CALIBRATION, IN_PLANE, METRICS, PER_TOLERANCE
from brats_unet.metrics.metric import Metric

VOXELS = "Voxels in both masks, in the prediction only, in the reference only, and in neither."  # TP, FP, FN, TN
MEANINGS: dict[str, Metric] = {**METRICS, **CALIBRATION, **IN_PLANE}
# Scores whose rule for empty masks is the protocol's: the score's name, by the field of `Protocol` that holds the rule.
RULES = {metric.rule: name for name, metric in MEANINGS.items() if metric.rule}

# Metrics that are 0 if the reference, or the prediction, is empty: one of each is scored.
REFERENCE_SIZES = ("volume_reference", "voxels_reference")
PREDICTION_SIZES = ("volume_prediction", "voxels_prediction")

# Why there is no score in mm, to read with the scores.
NO_SPACING = (
    "The size of a voxel is unknown, so nothing is measured in mm or mL: distances are in pixels within axial slices, "
    "volumes in voxels. Give data.spacing_mm to measure them."
)

# By definition of HD95: the surface, the percentile, and which other programs use it.
HD95_MEANINGS: dict[str, tuple[str, str, str]] = {
    "per_direction_max": (
        "voxels with one of their six faces outside",
        "of each direction, linear interpolation; the larger of the two",
        "MONAI `compute_hausdorff_distance(percentile=95)`",
    ),
    "pooled": (
        "voxels with one of their six faces outside",
        "of both directions' distances together, linear interpolation",
        "medpy `hd95`, GaNDLF, nnU-Net v1, panoptica",
    ),
    "area_weighted": (
        "corners of voxels that lie on the surface",
        "by surface area (marching-cubes triangles), of each direction; the larger of the two",
        "DeepMind `compute_robust_hausdorff(…, 95)`, BraTS 2023",
    ),
}

# By name of the seed's scores, whose formulas are in `seed.scores_of`: the formula, and what it is in words.
SEED_MEANINGS: dict[str, tuple[str, str]] = {
    "accuracy": ("mean of (argmax y = argmax p)", "share of all pixels that are right, background included"),
    "precision_micro": ("Σ round(y p) / (Σ round(p) + ε)", "summed over the four classes, background included"),
    "sensitivity_micro": ("Σ round(y p) / (Σ round(y) + ε)", "summed over the four classes, background included"),
    "specificity_micro": (
        "Σ round((1-y)(1-p)) / (Σ round(1-y) + ε)",
        "summed over the four classes, background included",
    ),
    "dice_macro4_s1": (
        "¼ Σc (2 Σ y p + 1) / (Σ y + Σ p + 1)",
        "background is one of the four classes; a class absent from both counts 1",
    ),
    "dice_micro_all": (
        "2 Σ y p / (Σ y + Σ p), over all classes",
        "background included; soft: the mean probability given to the true class",
    ),
    "dice_slice_mean_s1": (
        "mean over slices of (2 Σ y p + 1) / (Σ y + Σ p + 1)",
        "of the whole tumour, 1 - background; a slice without tumour in both counts 1",
    ),
    "dice_slice_mean_s1e-9": (
        "mean over slices of (2 Σ y p + s) / (Σ y + Σ p + s), s = 1e-9",
        "the same, smoothed as NVIDIA's UNet3P does",
    ),
    "dice_ncr_sq": (
        "2 Σ y p / (Σ y² + Σ p² + 1e-6)",
        "of the necrotic core; 0 if it is absent from both, although the prediction is right",
    ),
    "dice_ed_sq": ("2 Σ y p / (Σ y² + Σ p² + 1e-6)", "of the oedema; 0 if it is absent from both"),
    "dice_et_sq": ("2 Σ y p / (Σ y² + Σ p² + 1e-6)", "of the enhancing tumour; 0 if it is absent from both"),
}


def distance_of(metrics: Collection[str]) -> str:
    """Name of the distance among scored metrics: "hd95", or "hd95_slice_px" where the size of a voxel is unknown."""
    return "hd95_slice_px" if "hd95_slice_px" in metrics else "hd95"


def meaning_of(metric: str) -> Metric | None:
    """The record of a name in scores.csv; None for a score of another package."""
    return MEANINGS.get(tolerance_of(metric)[0])


def tolerance_of(metric: str) -> tuple[str, str]:
    """The name of a metric without its tolerance, and the tolerance in mm as text: ("nsd", "1"), or ("dice", "")."""
    prefix = next((prefix for prefix in PER_TOLERANCE if metric.startswith(prefix)), "")
    return (prefix[:-1], metric.removeprefix(prefix).removesuffix("mm")) if prefix else (metric, "")
