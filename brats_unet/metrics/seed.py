"""The seed notebook's numbers: its formulas on its slices, to show what its Dice of 0.9764 does and does not mean.

They average over pixels and over four one-hot classes, background included. On slices that are 98 % background, a
network that never finds a tumour scores 0.98. Every table of these numbers shows that predictor beside the real one.

Source: the Kaggle notebook "3d-mri-brain-tumor-segmentation-u-net" and its many copies; smoothed slice means after
NVIDIA's UNet3P. docs/METRICS.md has all formulas.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.schemes.scheme import BACKGROUND, Scheme
from brats_unet.schemes.scheme_file import builtin

# The numbers that the seed's page reports, by the names of our metrics; it does not say which Dice it used.
CLAIM = {
    "dice": 0.9764,
    "accuracy": 0.9864,
    "sensitivity_micro": 0.98,
    "specificity_micro": 0.99,
    "precision_micro": 0.97,
}
CLASSES = 4  # the background, which is class 0, and those of the scheme glioma; another scheme has no such numbers

FIRST_SLICE, STOP_SLICE = 22, 122  # half-open, from the bottom, on the case's own grid
PIXELS = 128  # edge of a slice after resizing
KERAS_EPSILON = 1e-7

PREDICTION, ALL_BACKGROUND, HARD, SOFT = "prediction", "all_background", "hard", "soft"


@dataclass(frozen=True)
class SeedRow:
    """One of the seed's numbers on one case (its "batch": all slices of one patient).

    Attributes:
        predictor: "prediction", or "all_background" for a predictor that never finds a tumour.
        masks: "hard" (labels) or "soft" (probabilities and bilinear targets, as in the seed).
    """

    case: str
    predictor: str
    masks: str
    metric: str
    value: float


def seed_rows(
    case_id: str,
    reference: np.ndarray,
    prediction: np.ndarray,
    *,
    scheme: Scheme,
    probabilities: np.ndarray | None = None,
) -> tuple[list[SeedRow], str]:
    """All of the seed's numbers of one case, for the prediction and for the all-background predictor.

    Args:
        case_id: Case id, for the rows.
        reference: Labels of the reference, as in memory, shape (X, Y, Z), axes L-P-S.
        prediction: Those of the prediction.
        scheme: What the labels are.
        probabilities: Softmax over the background and the classes, shape (X, Y, Z, 4); None leaves out the soft rows.

    Returns:
        The rows, and the reason if there are none, else "".
    """
    if scheme.classes != builtin().classes:
        return [], f"the scheme {scheme.name} has other classes than the seed's {', '.join(builtin().classes)}"
    if reference.shape[2] <= FIRST_SLICE:
        return [], f"{reference.shape[2]} axial slices; the seed's begin at {FIRST_SLICE}"
    rows: list[SeedRow] = []

    def add(predictor: str, masks: str, sums: Sums) -> None:
        rows.extend(SeedRow(case_id, predictor, masks, name, value) for name, value in scores_of(sums).items())

    values = scheme.class_values
    target = class_indices(resize_nearest(protocol_slices(reference)), values)
    add(PREDICTION, HARD, hard_sums(target, class_indices(resize_nearest(protocol_slices(prediction)), values)))
    add(ALL_BACKGROUND, HARD, hard_sums(target, np.full_like(target, BACKGROUND)))
    if probabilities is not None:
        soft_target = resize_bilinear(one_hot(protocol_slices(reference), values))
        add(PREDICTION, SOFT, soft_sums(soft_target, resize_bilinear(protocol_slices(probabilities))))
        nothing = np.broadcast_to(np.eye(CLASSES, dtype=np.float32)[BACKGROUND], soft_target.shape)
        add(ALL_BACKGROUND, SOFT, soft_sums(soft_target, nothing))
    return rows, ""


@dataclass(frozen=True, eq=False)
class Sums:
    """The sums that the formulas need, of a target y and a prediction p; per class, the background first, float64.

    Attributes:
        overlap: Sum of y p.
        target: Sum of y.
        prediction: Sum of p.
        target_squared: Sum of y².
        prediction_squared: Sum of p².
        hits: Sum of round(y p).
        predicted: Sum of round(p).
        present: Sum of round(y).
        rejected: Sum of round((1 - y) (1 - p)).
        absent: Sum of round(1 - y).
        agreement: Share of pixels with the same most likely class.
        slice_overlap: Sum of y p for the whole tumour (1 - background), per slice.
        slice_size: Sum of y and p for the whole tumour, per slice.
    """

    overlap: np.ndarray
    target: np.ndarray
    prediction: np.ndarray
    target_squared: np.ndarray
    prediction_squared: np.ndarray
    hits: np.ndarray
    predicted: np.ndarray
    present: np.ndarray
    rejected: np.ndarray
    absent: np.ndarray
    agreement: float
    slice_overlap: np.ndarray
    slice_size: np.ndarray


def scores_of(sums: Sums) -> dict[str, float]:
    """The seed's formulas.

    Returns:
        Shares from 0 to 1, by name. `dice_*_sq` is 0 if the class is absent from both, although that is right;
        `dice_slice_mean_*` counts 1 for every slice where both are empty.
    """
    scores = {
        "accuracy": sums.agreement,
        "precision_micro": sums.hits.sum() / (sums.predicted.sum() + KERAS_EPSILON),
        "sensitivity_micro": sums.hits.sum() / (sums.present.sum() + KERAS_EPSILON),
        "specificity_micro": sums.rejected.sum() / (sums.absent.sum() + KERAS_EPSILON),
        "dice_macro4_s1": ((2 * sums.overlap + 1) / (sums.target + sums.prediction + 1)).mean(),
        "dice_micro_all": 2 * sums.overlap.sum() / (sums.target.sum() + sums.prediction.sum()),
    }
    for name, smooth in (("s1", 1.0), ("s1e-9", 1e-9)):
        slices = (2 * sums.slice_overlap + smooth) / (sums.slice_size + smooth)
        scores[f"dice_slice_mean_{name}"] = slices.mean()
    for c, name in enumerate(builtin().classes, 1):
        squares = sums.target_squared[c] + sums.prediction_squared[c]
        scores[f"dice_{name.lower()}_sq"] = 2 * sums.overlap[c] / (squares + 1e-6)
    return {name: float(value) for name, value in scores.items()}


def hard_sums(target: np.ndarray, prediction: np.ndarray) -> Sums:
    """Sums of two hard masks, by counting: uint8 class indices, 0 the background, shape (S, W, H)."""
    codes = (target * np.uint8(CLASSES) + prediction).ravel()
    confusion = np.bincount(codes, minlength=CLASSES**2).reshape(CLASSES, CLASSES).astype(float)
    overlap, present, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    tumour, found = target != BACKGROUND, prediction != BACKGROUND
    return Sums(
        overlap=overlap,
        target=present,
        prediction=predicted,
        target_squared=present,
        prediction_squared=predicted,
        hits=overlap,
        predicted=predicted,
        present=present,
        rejected=target.size - present - predicted + overlap,
        absent=target.size - present,
        agreement=overlap.sum() / target.size,
        slice_overlap=_slice_sums(tumour & found),
        slice_size=_slice_sums(tumour) + _slice_sums(found),
    )


def soft_sums(target: np.ndarray, prediction: np.ndarray) -> Sums:
    """Sums of soft masks.

    Args:
        target: One-hot, or one-hot after resizing, float, shape (S, W, H, 4), the background first.
        prediction: Probabilities, same shape.
    """
    y, p = ([np.ascontiguousarray(one[..., c], np.float32) for c in range(CLASSES)] for one in (target, prediction))
    pairs = list(zip(y, p, strict=True))
    tumour, found = 1 - y[BACKGROUND], 1 - p[BACKGROUND]
    return Sums(
        overlap=_sums(a * b for a, b in pairs),
        target=_sums(y),
        prediction=_sums(p),
        target_squared=_sums(a * a for a in y),
        prediction_squared=_sums(b * b for b in p),
        hits=_sums(_rounded(a * b) for a, b in pairs),
        predicted=_sums(_rounded(b) for b in p),
        present=_sums(_rounded(a) for a in y),
        rejected=_sums(_rounded((1 - a) * (1 - b)) for a, b in pairs),
        absent=_sums(_rounded(1 - a) for a in y),
        agreement=float((np.argmax(y, axis=0) == np.argmax(p, axis=0)).mean()),
        slice_overlap=_slice_sums(tumour * found),
        slice_size=_slice_sums(tumour) + _slice_sums(found),
    )


def protocol_slices(volume: np.ndarray) -> np.ndarray:
    """Axial slices 22 to 121 of a volume (X, Y, Z) or (X, Y, Z, C), as (S, X, Y) or (S, X, Y, C)."""
    return np.moveaxis(volume[:, :, FIRST_SLICE:STOP_SLICE], 2, 0)


def class_indices(labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """Labels as indices into `values`, uint8, same shape; a label without a class (a cavity) is background."""
    table = np.full(256, BACKGROUND, np.uint8)
    table[list(values)] = np.arange(len(values), dtype=np.uint8)
    return table[labels]


def one_hot(labels: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """One-hot labels, float32, on a new last axis in the order of `values`; a label without a class is background."""
    return np.eye(len(values), dtype=np.float32)[class_indices(labels, values)]


def resize_nearest(slices: np.ndarray) -> np.ndarray:
    """Resize labels (S, X, Y) to 128×128: each pixel takes the one under its centre."""
    for axis in (1, 2):
        length = slices.shape[axis]
        centres = (np.arange(PIXELS) + 0.5) * length / PIXELS
        slices = slices.take(np.minimum(centres.astype(int), length - 1), axis=axis)
    return slices


def resize_bilinear(slices: np.ndarray) -> np.ndarray:
    """Resize values (S, X, Y, C) to 128×128 in float32 like `tf.image.resize`: half-pixel centres, no smoothing."""
    for axis in (1, 2):
        length = slices.shape[axis]
        centres = (np.arange(PIXELS) + 0.5) * length / PIXELS - 0.5
        floor = np.floor(centres)
        share = (centres - floor).astype(np.float32).reshape((-1,) + (1,) * (slices.ndim - axis - 1))
        low = slices.take(np.clip(floor, 0, length - 1).astype(int), axis=axis).astype(np.float32)
        high = slices.take(np.clip(np.ceil(centres), 0, length - 1).astype(int), axis=axis).astype(np.float32)
        slices = low + (high - low) * share
    return slices


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(values, 0, 1))


def _sums(per_class: Iterable[np.ndarray]) -> np.ndarray:
    return np.array([values.sum(dtype=np.float64) for values in per_class])


def _slice_sums(values: np.ndarray) -> np.ndarray:
    return values.sum(axis=(1, 2), dtype=np.float64)
