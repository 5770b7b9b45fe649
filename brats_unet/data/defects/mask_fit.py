"""Whether a mask lies on something that the scans show, and whether its labels make sense."""

import cc3d
import numpy as np
from scipy import ndimage

from brats_unet.data.defects.coarse import Coarse
from brats_unet.data.defects.matching import FLIPS, correlations, flipped, words_of
from brats_unet.data.readers.findings import Finding, Kind, warning
from brats_unet.modality import Modality

LEAST_LABELLED = 8.0  # coarse voxels: smaller masks are not compared with the scans
RING = 3  # coarse voxels around the mask that it is compared with
REACH = 10  # coarse voxels that the mask is moved by, to see whether it fits elsewhere
NEAR = 1  # coarse voxels by which a good mask may be off
# Least contrast of a mask, in interquartile ranges of the brain or head. In right masks of BraTS it is 1.06 or more, in
# wrong ones 0.45 or less (95 of 100); around a head, where fat and air widen the range, 0.32 (44 of 45) and 0.27.
LEAST_FIT, LEAST_FIT_IN_HEAD = 0.6, 0.3
FLIP_GAIN = 1.5  # times the contrast that a mirrored mask must have
MOST_OF_BRAIN = 0.5  # share of the brain that a mask may fill; real cases: at most 0.2
SPECK_VOXELS, MOST_SPECKS = 3, 30  # voxels of a speck; specks of a mask; real cases: at most 9
BLIND = {Modality.T1, Modality.T1CE}  # scans that alone do not show whole tumours
REMEDY = "Check whether the mask is flipped, shifted or from another case."


def kernel(labelled: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Weights whose products with a scan sum to the mean inside a mask less the mean around it, float32.

    Args:
        labelled: Share of each voxel that is labelled, at least one above 0.
        brain: Voxels that may count as surroundings.
    """
    inside = labelled > 0.05
    ring = ndimage.binary_dilation(inside, iterations=RING) & ~inside & brain
    return (labelled / labelled.sum() - ring / max(np.count_nonzero(ring), 1)).astype(np.float32)


def contrasts(scans: list[np.ndarray], weights: np.ndarray, reach: int) -> np.ndarray:
    """Contrast of a mask in the scan that shows it best, for all shifts up to `reach`; see `matching.correlations`."""
    return np.max([np.abs(correlations(scan, weights, reach)) for scan in scans], axis=0)


def off_tumour(case_id: str, coarse: Coarse) -> list[Finding]:
    """A warning if no scan shows a contrast between a mask and its surroundings.

    The contrast counts less if the mask would have more of it elsewhere. If it has much more when mirrored, the warning
    says so. A mask of less than 0.5 ml is not looked at, nor one that mostly lies outside the brain, nor any if there
    are only T1 and T1ce scans, which hardly show oedema.
    """
    labelled = coarse.labelled
    inside = np.where(coarse.brain, labelled, 0)
    if (
        not coarse.tells
        or set(coarse.scans) <= BLIND
        or inside.sum() < max(LEAST_LABELLED, 0.5 * float(labelled.sum()))
    ):
        return []
    scans = [coarse.relative(modality) for modality in coarse.scans]
    table = contrasts(scans, kernel(inside, coarse.brain), REACH)
    middle = tuple(n // 2 for n in table.shape)
    here = float(table[middle])
    near = float(table[tuple(slice(max(0, at - NEAR), at + NEAR + 1) for at in middle)].max())
    fit = here * near / float(max(table.max(), 1e-12))
    least = LEAST_FIT_IN_HEAD if coarse.with_skull else LEAST_FIT
    if fit >= least:
        return []
    mirrored = {}
    for flip in FLIPS:
        turned = np.where(coarse.brain, flipped(labelled, flip), 0)
        if turned.sum() > 0.5 * labelled.sum():
            mirrored[flip] = float(contrasts(scans, kernel(turned, coarse.brain), 2 * NEAR).max())
    best = max(mirrored, key=lambda flip: mirrored[flip], default=None)
    if best is not None and mirrored[best] > max(FLIP_GAIN * near, least):
        text = (
            f"the mask fits the scans better when it is mirrored {words_of(best)} (contrast {mirrored[best]:.2f} "
            f"instead of {near:.2f})."
        )
        return [warning(case_id, text, "Check whether the mask is flipped.", kind=Kind.MIRRORED, scan="mask")]
    text = (
        f"no scan shows a contrast between the mask and its surroundings (fit {fit:.2f}; expected {least:g} or more)."
    )
    return [warning(case_id, text, REMEDY, kind=Kind.MASK, scan="mask")]


def odd_extent(case_id: str, coarse: Coarse) -> list[Finding]:
    """A warning if a mask fills most of the brain."""
    share = float(coarse.labelled.sum()) / max(int(np.count_nonzero(coarse.brain)), 1)
    if share <= MOST_OF_BRAIN:
        return []
    text = f"the mask fills {share:.0%} of the {'head' if coarse.with_skull else 'brain'}. Expected a tumour."
    return [warning(case_id, text, "Is it a brain mask?", kind=Kind.LABELS, scan="mask")]


def specks(case_id: str, mask: np.ndarray) -> list[Finding]:
    """A warning if a mask (X, Y, Z) has many pieces of a few voxels, as after resampling or by another program."""
    pieces = cc3d.connected_components((mask != 0).astype(np.uint8), connectivity=26)
    sizes = np.bincount(pieces.ravel())[1:]
    small = int(np.count_nonzero(sizes <= SPECK_VOXELS))
    if small < MOST_SPECKS:
        return []
    text = f"the mask has {small:,} pieces of {SPECK_VOXELS} voxels or fewer, of {len(sizes):,} in all."
    return [
        warning(case_id, text, "Inspect it: was it resampled, or made by a network?", kind=Kind.LABELS, scan="mask")
    ]


def label_means(coarse: Coarse) -> dict[int, np.ndarray]:
    """Mean of each label in each scan, see `Coarse.relative`, by integer; labels of fewer than 2 coarse voxels lack."""
    scans = [coarse.relative(modality) for modality in coarse.scans]
    return {
        integer: np.array([float((scan * share).sum() / share.sum()) for scan in scans])
        for integer, share in coarse.labels.items()
        if share.sum() >= 2
    }
