"""What every score means, in a sentence or two: the page of a run shows these words, and docs/METRICS.md has them too.

They are kept here; a test compares the tables of docs/METRICS.md with them line by line.
"""

from dataclasses import dataclass

from brats_unet.metrics.protocols import SURFACE_DICE

BY_PROTOCOL = "by protocol"  # the rule for empty masks is the protocol's, in the field that `RULES` names
SHARE, POSITIVE = "0 to 1", "≥ 0"  # ranges
VOXELS = "Voxels in both masks, in the prediction only, in the reference only, and in neither."  # TP, FP, FN, TN


@dataclass(frozen=True)
class Meaning:
    """One score, in words that are shown to a reader.

    Attributes:
        definition: What it is, with its formula where it has one.
        unit: "1" for a share.
        range: Values that it can take.
        better: "high", "low", "near 0", or "–" for a score that is no better either way.
        when_empty: What it is where a mask is empty; `BY_PROTOCOL` where protocols differ.
        source: Where the definition comes from.
    """

    definition: str
    unit: str
    range: str
    better: str
    when_empty: str
    source: str


def _share(definition: str, source: str, when_empty: str = BY_PROTOCOL, better: str = "high") -> Meaning:
    return Meaning(definition, "1", SHARE, better, when_empty, source)


def _volume(definition: str, range_: str, better: str, source: str) -> Meaning:
    return Meaning(definition, "mm3", range_, better, "no rule needed: an empty mask has 0", source)


_BRATS2023 = "rachitsaluja/BraTS-2023-Metrics"
_NO_LESION = "{} where no lesion counts and none is claimed"
_CALIBRATED = "an empty region needs no rule; without a tumour, the whole grid is judged"

MEANINGS: dict[str, Meaning] = {
    "dice": _share(
        "Twice the voxels that both masks share, divided by the voxels of both: 2 TP / (2 TP + FP + FN).",
        "Dice 1945, doi:10.2307/1932409",
    ),
    "iou": _share(
        "Intersection over union, or Jaccard index: TP / (TP + FP + FN). Never above the Dice of the same case.",
        "Jaccard 1912, doi:10.1111/j.1469-8137.1912.tb05611.x",
    ),
    "hd95": Meaning(
        "95th percentile of the distances between the two surfaces, by one of three definitions; 0 where they "
        "coincide.",
        "mm",
        POSITIVE,
        "low",
        BY_PROTOCOL,
        "Huttenlocher et al. 1993, doi:10.1109/34.232073",
    ),
    "assd": Meaning(
        "Average symmetric surface distance: the mean of the distances from each surface voxel of either mask to the "
        "surface of the other; 0 where they coincide.",
        "mm",
        POSITIVE,
        "low",
        BY_PROTOCOL,
        "Heimann et al. 2009, doi:10.1109/TMI.2009.2013851",
    ),
    SURFACE_DICE: _share(
        "Surface Dice, or normalised surface Dice: share of the area of both surfaces that lies within that many "
        "millimetres of the other.",
        "Nikolov et al. 2021, doi:10.2196/26151",
    ),
    "sensitivity": _share(
        "Share of the reference that was found, or recall: TP / (TP + FN).",
        "Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x",
    ),
    "specificity": _share(
        "Share of the voxels outside the reference that were left alone: TN / (TN + FP). Nearly all voxels are "
        "background: it is near 1 whatever is found.",
        "Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x",
        "none needed; 1 for a reference that fills the grid",
    ),
    "precision": _share(
        "Share of the prediction that is right: TP / (TP + FP).",
        "Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x",
    ),
    "accuracy": _share(
        "Share of all voxels that are right: (TP + TN) / (TP + FP + FN + TN). Nearly all voxels are background: it is "
        "near 1 whatever is found.",
        "Maier-Hein et al. 2024, doi:10.1038/s41592-023-02151-z",
        "none needed",
    ),
    "volume_reference": _volume("Volume of the reference: (TP + FN) × a voxel's volume.", POSITIVE, "–", "by counting"),
    "volume_prediction": _volume(
        "Volume of the prediction: (TP + FP) × a voxel's volume.", POSITIVE, "–", "by counting"
    ),
    "volume_difference": _volume(
        "The prediction's volume less the reference's: (FP - FN) × a voxel's volume. Above 0 too much was claimed.",
        "any",
        "near 0",
        "by counting",
    ),
    "volume_difference_relative": Meaning(
        "The same as a share of the reference's volume: (FP - FN) / (TP + FN).",
        "1",
        "≥ -1",
        "near 0",
        "both empty: 0; only the reference: undefined; only the prediction: -1",
        "Heimann et al. 2009, there in per cent",
    ),
    "lesion_dice": _share(
        "Mean Dice over the lesions of a case; one that was missed, or claimed where there is none, counts 0.",
        _BRATS2023,
        _NO_LESION.format(1),
    ),
    "lesion_hd95": Meaning(
        "Mean HD95, area-weighted, over the lesions of a case; one that was missed, or claimed where there is none, "
        "counts 374 mm.",
        "mm",
        POSITIVE,
        "low",
        _NO_LESION.format(0),
        _BRATS2023,
    ),
    "lesion_f1": _share(
        "Lesions found, against those missed or claimed where there is none: 2 found / (2 found + missed + false).",
        f"the counts of {_BRATS2023}, which does not print it",
        _NO_LESION.format(1),
    ),
    "lesions_found": Meaning(
        "Lesions of the reference, above 50 mm³, that a claimed one touches.",
        "lesions",
        "0, 1, 2, …",
        "high",
        "no rule needed",
        f"{_BRATS2023}, Num_TP",
    ),
    "lesions_missed": Meaning(
        "Lesions of the reference, above 50 mm³, that no claimed one touches.",
        "lesions",
        "0, 1, 2, …",
        "low",
        "no rule needed",
        f"{_BRATS2023}, Num_FN",
    ),
    "lesions_false": Meaning(
        "Claimed lesions, of any size, that touch none of the reference.",
        "lesions",
        "0, 1, 2, …",
        "low",
        "no rule needed",
        f"{_BRATS2023}, Num_FP",
    ),
    "ece": _share(
        "Expected calibration error: how far the share of voxels in the region lies from the probability that was "
        "stated for them, over 15 bins of probability, around the tumour.",
        "Naeini et al. 2015, AAAI 29; Guo et al. 2017, arXiv:1706.04599",
        _CALIBRATED,
        "low",
    ),
    "brier": _share(
        "Brier score: mean of (p - y)², y being 1 in the region and 0 outside, p its probability, around the tumour.",
        "Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2",
        _CALIBRATED,
        "low",
    ),
}

# By name: the surface, which percentile, and who calls the same number HD95.
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

# The seed's names, whose formulas are `seed.scores_of`: (formula, what it is in words).
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
        "background is one of the four classes; one absent from both counts 1",
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
        "likewise, smoothed as NVIDIA's UNet3P does",
    ),
    "dice_ncr_sq": (
        "2 Σ y p / (Σ y² + Σ p² + 1e-6)",
        "of the necrotic core; 0 where it is absent from both, though nothing is wrong",
    ),
    "dice_ed_sq": ("2 Σ y p / (Σ y² + Σ p² + 1e-6)", "of the oedema; likewise"),
    "dice_et_sq": ("2 Σ y p / (Σ y² + Σ p² + 1e-6)", "of the enhancing tumour; likewise"),
}

# Scores whose rule for empty masks is a protocol's: the field of `Protocol` that holds it, and the score.
RULES = {
    "dice": "dice",
    "iou": "iou",
    "hd95_mm": "hd95",
    "assd_mm": "assd",
    "surface_dice": SURFACE_DICE,
    "sensitivity": "sensitivity",
    "precision": "precision",
}


def out_of_range(value: float, meaning: Meaning) -> bool:
    """Whether a score is none that it can be; an undefined one (NaN) may always be."""
    return (meaning.range in (SHARE, POSITIVE) and value < 0) or (meaning.range == SHARE and value > 1)


def meaning_of(metric: str) -> Meaning | None:
    """The meaning of a name in scores.csv; None for a score of another package."""
    return MEANINGS.get(SURFACE_DICE if metric.startswith(f"{SURFACE_DICE}_") else metric)
