"""Fuse several masks of one case into one: majority vote, STAPLE or SIMPLE. No network is needed.

Voxels are grouped by their pattern: which masks contain them. There are few patterns, so an iteration costs thousands
of operations instead of millions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin

MOST_INPUTS = 62  # a pattern has one bit per mask
ITERATIONS = 1000  # at most
CONVERGED = 1e-7  # largest change of a performance estimate at which STAPLE stops
SURE = 0.99999  # sensitivity and specificity that STAPLE starts from
DISCARD_BELOW_SD = 1.0  # SIMPLE discards masks that score this many standard deviations below the mean
LEAST_KEPT = 3  # masks that SIMPLE always keeps: even among similar masks, one is the worst


@dataclass(frozen=True)
class Fused:
    """A fused mask and the weight of each input.

    Attributes:
        mask: bool, the shape of one input.
        weight: Weight of each input. Majority: 1. STAPLE: estimated sensitivity. SIMPLE: Dice with the fused mask, or 0
            if the input was discarded.
    """

    mask: np.ndarray
    weight: tuple[float, ...]


@dataclass(frozen=True)
class _Patterns:
    """Patterns of a set of masks; a pattern says which inputs contain a voxel.

    Attributes:
        claims: Inputs that contain the voxels of each pattern, bool, shape (patterns, inputs).
        voxels: Number of voxels with each pattern, float64, shape (patterns,).
        which: Index of the pattern of each voxel, shape (voxels,).
    """

    claims: np.ndarray
    voxels: np.ndarray
    which: np.ndarray


def majority(masks: np.ndarray) -> Fused:
    """Majority vote: voxels that lie in more than half of the masks; with two masks, in both.

    Args:
        masks: bool, shape (N, …), N from 1 to 62.

    Raises:
        ValueError: `masks` has another type or too many inputs.
    """
    _refuse_invalid(masks)
    votes = masks.sum(axis=0, dtype=np.int16)
    return Fused(2 * votes > len(masks), (1.0,) * len(masks))


def staple(masks: np.ndarray) -> Fused:
    """Simultaneous truth and performance level estimation: voxels whose posterior probability is at least 0.5.

    Expectation-maximisation alternates between the truth and the sensitivity and specificity of each mask, over the
    whole array. The prior is the mean share of voxels in the masks. Empty masks give an empty mask.

    Args:
        masks: bool, shape (N, …), N from 1 to 62.

    Raises:
        ValueError: `masks` has another type or too many inputs.

    Source:
        Warfield et al. 2004, doi:10.1109/TMI.2004.828354; prior and starting values as in ITK's STAPLEImageFilter.
    """
    _refuse_invalid(masks)
    patterns = _patterns(masks)
    claims, voxels = patterns.claims.astype(np.float64), patterns.voxels
    prior = float((voxels @ claims).sum() / (voxels.sum() * len(masks)))
    sensitivity = np.full(len(masks), SURE)
    specificity = np.full(len(masks), SURE)
    if prior == 0:
        return Fused(np.zeros(masks.shape[1:], bool), (0.0,) * len(masks))
    truth = np.ones(len(voxels))
    for _ in range(ITERATIONS):
        with np.errstate(divide="ignore"):
            yes = np.log(prior) + claims @ np.log(sensitivity) + (1 - claims) @ np.log1p(-sensitivity)
            no = np.log1p(-prior) + (1 - claims) @ np.log(specificity) + claims @ np.log1p(-specificity)
        truth = 1 / (1 + np.exp(np.clip(no - yes, -700, 700)))
        before = np.concatenate([sensitivity, specificity])
        tumour, healthy = voxels * truth, voxels * (1 - truth)
        tiny = np.finfo(float).tiny
        sensitivity = np.clip((tumour @ claims) / max(tumour.sum(), tiny), 1e-12, 1 - 1e-12)
        specificity = np.clip((healthy @ (1 - claims)) / max(healthy.sum(), tiny), 1e-12, 1 - 1e-12)
        if np.abs(np.concatenate([sensitivity, specificity]) - before).max() < CONVERGED:
            break
    return Fused((truth >= 0.5)[patterns.which].reshape(masks.shape[1:]), tuple(map(float, sensitivity)))


def simple(masks: np.ndarray) -> Fused:
    """Selective and iterative method for performance level estimation: a weighted vote that discards outliers.

    Each iteration takes a weighted vote and scores every mask by its Dice with the outcome. Masks more than one
    standard deviation below the mean score are discarded for good, as long as three remain; the scores of the others
    become their weights. It stops when no mask is discarded and the outcome no longer changes.

    Args:
        masks: bool, shape (N, …), N from 1 to 62.

    Raises:
        ValueError: `masks` has another type or too many inputs.

    Source:
        Langerak et al. 2010, doi:10.1109/TMI.2010.2057442.
    """
    _refuse_invalid(masks)
    patterns = _patterns(masks)
    claims, voxels = patterns.claims.astype(np.float64), patterns.voxels
    kept = np.ones(len(masks), bool)
    weight = np.ones(len(masks))
    outcome = np.zeros(len(voxels), bool)
    for _ in range(ITERATIONS):
        total = (weight * kept).sum()
        now = 2 * (claims @ (weight * kept)) > total + 1e-9
        size = voxels @ now
        sizes = voxels @ claims
        score = np.where(sizes + size > 0, 2 * ((voxels * now) @ claims) / np.maximum(sizes + size, 1), 1.0)
        good = score >= score[kept].mean() - DISCARD_BELOW_SD * score[kept].std() - 1e-9
        if (kept & good).sum() < LEAST_KEPT:
            good |= kept
        unchanged = bool((now == outcome).all()) and bool((good | ~kept).all())
        outcome, weight = now, np.maximum(score, 1e-6)
        if unchanged:
            break
        kept &= good
    return Fused(outcome[patterns.which].reshape(masks.shape[1:]), tuple(float(w) for w in weight * kept))


NAMES_OF_GLIOMA = ("oedema", "necrotic", "enhancing")  # its labels in fusion.json, from before there were schemes
METHODS: dict[str, Callable[[np.ndarray], Fused]] = {"majority": majority, "staple": staple, "simple": simple}


def fused_by_region(labels: np.ndarray, method: str, scheme: Scheme) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
    """Fuse each predicted region separately, then paint them: for glioma, a voxel in the fused ET but not in WT is ET.

    Args:
        labels: Labels as in memory, uint8, shape (N, X, Y, Z).
        method: Key of `METHODS`.
        scheme: What the labels are; see `Scheme.labels_from_masks`.

    Returns:
        Fused labels, shape (X, Y, Z), and the weights of the inputs by region.
    """
    found = {region: METHODS[method](scheme.region_mask(labels, region)) for region in scheme.predicted}
    masks = np.stack([fused.mask for fused in found.values()], axis=-1)
    return scheme.labels_from_masks(masks), {region: fused.weight for region, fused in found.items()}


def fused_by_label(labels: np.ndarray, method: str, scheme: Scheme) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
    """Fuse each label of a predicted region separately; of two fused labels, a voxel gets that in more regions.

    For glioma, ET goes before NCR, and NCR before ED. A voxel that most inputs call tumour, but with different labels,
    becomes background. `fused_by_region` avoids that.

    Args:
        labels: Labels as in memory, uint8, shape (N, X, Y, Z).
        method: Key of `METHODS`.
        scheme: What the labels are.

    Returns:
        Fused labels, shape (X, Y, Z), and the weights of the inputs by label.
    """
    result = np.zeros(labels.shape[1:], np.uint8)
    weights = {}
    labels_to_paint = sorted(scheme.classes, key=lambda name: _regions_with(name, scheme))
    names = NAMES_OF_GLIOMA if scheme.means_the_same(builtin()) else labels_to_paint
    for name, label in zip(names, labels_to_paint, strict=True):
        value = scheme.labels[label].value
        fused = METHODS[method](labels == value)
        result[fused.mask] = value
        weights[name] = fused.weight
    return result, weights


def _regions_with(label: str, scheme: Scheme) -> int:
    return sum(label in scheme.regions[region].labels for region in scheme.predicted)


def _patterns(masks: np.ndarray) -> _Patterns:
    masks = masks.reshape(len(masks), -1)
    claimed = np.flatnonzero(masks.any(axis=0))  # all other voxels have pattern 0
    code = np.zeros(claimed.size, np.int64)
    for bit, mask in enumerate(masks):
        code |= mask[claimed].astype(np.int64) << bit
    values, found, counts = np.unique(code, return_inverse=True, return_counts=True)
    claims = ((values[:, None] >> np.arange(len(masks))) & 1).astype(bool)
    which = np.zeros(masks.shape[1], np.int64)
    which[claimed] = found.ravel() + 1
    unclaimed = masks.shape[1] - claimed.size
    return _Patterns(
        np.concatenate([np.zeros((1, len(masks)), bool), claims]), np.array([unclaimed, *counts], np.float64), which
    )


def _refuse_invalid(masks: np.ndarray) -> None:
    if masks.dtype != bool or masks.ndim < 2 or not 1 <= len(masks) <= MOST_INPUTS:
        raise ValueError(
            f"Found masks of type {masks.dtype} and shape {masks.shape}. Expected an array of 1 to {MOST_INPUTS} bool "
            "masks, the first axis being the mask."
        )
