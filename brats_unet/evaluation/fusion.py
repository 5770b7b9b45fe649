"""One mask from several of the same case: majority vote, STAPLE, SIMPLE; of any origin, and without a network.

Masks are told apart by their pattern at each voxel (who claims it), and there are few patterns: an iteration costs
thousands of operations, not millions.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from brats_unet.anatomy import REGION_TISSUE, Region, labels_from_regions, region_mask

MOST_INPUTS = 62  # bits of a pattern
ITERATIONS = 1000
CONVERGED = 1e-7  # change of the performance estimates
SURE = 0.99999  # sensitivity and specificity that STAPLE starts from
DISCARD_BELOW_SD = 1.0  # SIMPLE: masks that score so many standard deviations below the mean are discarded
LEAST_KEPT = 3  # but never so many that fewer than these are left to vote: of alike masks one is always the worst


@dataclass(frozen=True)
class Fused:
    """A fused mask and what the method thinks of each input.

    Attributes:
        mask: bool, of the inputs' shape.
        weight: Of each input, by the method: 1 (majority), sensitivity (STAPLE), Dice or 0 where discarded (SIMPLE).
    """

    mask: np.ndarray
    weight: tuple[float, ...]


@dataclass(frozen=True)
class _Patterns:
    """Which inputs claim a voxel: the different patterns, their counts, and which one each voxel has.

    Attributes:
        claims: bool, shape (patterns, inputs).
        voxels: How many voxels have each, float64.
        which: Index of the pattern of each voxel.
    """

    claims: np.ndarray
    voxels: np.ndarray
    which: np.ndarray


def majority(masks: np.ndarray) -> Fused:
    """Voxels that more than half of the masks claim; of two masks, those that both claim.

    Args:
        masks: bool, shape (N, …), N from 1 to 62; so for all methods.
    """
    _refuse_invalid(masks)
    votes = masks.sum(axis=0, dtype=np.int16)
    return Fused(2 * votes > len(masks), (1.0,) * len(masks))


def staple(masks: np.ndarray) -> Fused:
    """Simultaneous truth and performance level estimation: voxels whose posterior probability is at least one half.

    Sensitivity and specificity of each mask and the truth are estimated in turn (EM) over the whole array. The prior is
    the mean share of voxels that the masks claim. Where none claims any, the result is empty.

    Source:
        Warfield et al. 2004, doi:10.1109/TMI.2004.828354; prior and start as ITK's STAPLEImageFilter has them.
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
    """Selective and iterative method for performance level estimation: a weighted vote of the masks that agree with it.

    In turn the masks vote, weighted, and are scored by their Dice with the outcome; those that lie more than a
    standard deviation below the mean are discarded for good, three at least staying, and the others' weights are their
    scores. It ends when no mask is discarded and the outcome stays.

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


METHODS: dict[str, Callable[[np.ndarray], Fused]] = {"majority": majority, "staple": staple, "simple": simple}


def fused_by_region(labels: np.ndarray, method: str) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
    """Fuse WT, TC and ET each by itself, then nest them: a voxel of ET is tumour even where WT is not.

    Args:
        labels: uint8 of `anatomy.Label`, shape (N, X, Y, Z).
        method: Name of `METHODS`.

    Returns:
        Labels (X, Y, Z), and the weights of the inputs by region.
    """
    found = {region: METHODS[method](region_mask(labels, region)) for region in Region}
    masks = np.stack([found[region].mask for region in Region], axis=-1)
    return labels_from_regions(masks), {str(region): fused.weight for region, fused in found.items()}


def fused_by_label(labels: np.ndarray, method: str) -> tuple[np.ndarray, dict[str, tuple[float, ...]]]:
    """Fuse oedema, necrotic core and enhancing tumour each by itself; where two claim a voxel, the inner one has it.

    Where no label has a majority though most inputs see tumour, the voxel stays background: regions do better there.
    """
    result = np.zeros(labels.shape[1:], np.uint8)
    weights = {}
    for label in REGION_TISSUE.values():  # outermost first
        fused = METHODS[method](labels == label)
        result[fused.mask] = label
        weights[label.name.lower()] = fused.weight
    return result, weights


def _patterns(masks: np.ndarray) -> _Patterns:
    masks = masks.reshape(len(masks), -1)
    somebody = np.flatnonzero(masks.any(axis=0))  # all other voxels have the pattern 0
    code = np.zeros(somebody.size, np.int64)
    for bit, mask in enumerate(masks):
        code |= mask[somebody].astype(np.int64) << bit
    values, found, counts = np.unique(code, return_inverse=True, return_counts=True)
    claims = ((values[:, None] >> np.arange(len(masks))) & 1).astype(bool)
    which = np.zeros(masks.shape[1], np.int64)
    which[somebody] = found.ravel() + 1
    nobody = masks.shape[1] - somebody.size
    return _Patterns(
        np.concatenate([np.zeros((1, len(masks)), bool), claims]), np.array([nobody, *counts], np.float64), which
    )


def _refuse_invalid(masks: np.ndarray) -> None:
    if masks.dtype != bool or masks.ndim < 2 or not 1 <= len(masks) <= MOST_INPUTS:
        raise ValueError(f"Expected from 1 to {MOST_INPUTS} bool masks on one grid, not {masks.dtype} {masks.shape}.")
