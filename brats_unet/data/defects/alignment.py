"""Scans of one case that are mirrored, shifted or turned against the others, and axes that are not what they say."""

from itertools import combinations, product

import numpy as np

from brats_unet.data.defects.coarse import Coarse
from brats_unet.data.defects.matching import AXES, FLIPS, best_match, edges, flipped, unit, words_of
from brats_unet.data.readers.findings import Finding, Kind, warning
from brats_unet.geometry import bounding_box
from brats_unet.modality import Modality

REACH = 6  # coarse voxels that a scan may be shifted by while two scans are compared
FLIP_REACH = 15  # the same while one is mirrored: the brain need not lie in the middle of the volume
FLIP_GAIN = 0.02  # by which a mirrored scan must match better; real scans match worse by 0.04 or more
DISPLACED = 0.6  # coarse voxels, median over eight parts of the brain; real BraTS scans: at most 0.3
AXIS_GAIN = 0.0  # by which the brain may be more symmetric along another axis; real cases: less by 0.06 or more
INSPECT = "Inspect the case; export the scan again, or list the case under data.leave_out."


def misaligned(case_id: str, coarse: Coarse) -> list[Finding]:
    """Warnings about scans that are mirrored, shifted or turned against the other scans of a case.

    The scan that matches the others best is the reference; with two scans, either may be wrong. A case all of whose
    scans are mirrored alike is not found: a brain is symmetric.
    """
    if not coarse.tells or len(coarse.scans) < 2:
        return []
    edged = {modality: edges(scan, coarse.brain) for modality, scan in coarse.scans.items()}
    names = list(edged)
    similarity = dict.fromkeys(names, 0.0)
    for one, other in combinations(names, 2):
        match = best_match(edged[one], edged[other], REACH).similarity
        similarity[one] += match
        similarity[other] += match
    reference = max(names, key=lambda modality: similarity[modality])
    found = []
    for modality in names:
        if modality != reference:
            found += _against(case_id, coarse, reference, modality, edged[reference], edged[modality])
    return found


def _against(
    case_id: str, coarse: Coarse, reference: Modality, modality: Modality, fixed: np.ndarray, moved: np.ndarray
) -> list[Finding]:
    """Whether one scan is mirrored or displaced against another, from the edges of both."""
    straight = best_match(fixed, moved, REACH)
    mirrored = {flip: best_match(fixed, flipped(moved, flip), FLIP_REACH).similarity for flip in FLIPS}
    best = max(mirrored, key=lambda flip: mirrored[flip])
    if mirrored[best] > straight.similarity + FLIP_GAIN:
        text = (
            f"the {modality} scan matches the {reference} scan better when it is mirrored {words_of(best)} "
            f"(correlation of edges {mirrored[best]:.2f} instead of {straight.similarity:.2f})."
        )
        return [warning(case_id, text, INSPECT, kind=Kind.MIRRORED, scan=modality)]
    shift = float(np.median(displacements(fixed, moved, coarse.brain)))
    if shift < DISPLACED:
        return []
    if coarse.edges_mm is not None:
        how_far = f"about {shift * float(np.mean(coarse.edges_mm)):.0f} mm"
    else:
        how_far = f"about {shift / max(fixed.shape):.1%} of the image's width"
    text = f"the {modality} scan is shifted or turned against the {reference} scan, by {how_far}."
    return [warning(case_id, text, "Register the scans of this case again.", kind=Kind.REGISTRATION, scan=modality)]


def displacements(fixed: np.ndarray, moved: np.ndarray, brain: np.ndarray) -> np.ndarray:
    """Length of the best shift in each of the eight octants of the brain's box, in voxels, shape (8,).

    A shift moves all octants alike, a turn moves them in different directions.
    """
    box = bounding_box(brain)
    middle = [(start + stop) // 2 for start, stop in zip(box.start, box.stop, strict=True)]
    lengths = []
    for octant in product((0, 1), repeat=3):
        part = tuple(
            slice(box.start[axis], middle[axis]) if half == 0 else slice(middle[axis], box.stop[axis])
            for axis, half in enumerate(octant)
        )
        peak = best_match(unit(fixed[part]), unit(moved[part]), REACH)
        lengths.append(float(np.linalg.norm(peak.shift)))
    return np.array(lengths)


def wrong_axis(case_id: str, coarse: Coarse) -> list[Finding]:
    """A warning if the brain is most symmetric along another axis than the one that its header calls left-right."""
    if not coarse.tells:
        return []
    symmetry = np.zeros(3)
    for scan in coarse.scans.values():
        edged = edges(scan, coarse.brain)
        for axis in range(3):
            flip = (axis == 0, axis == 1, axis == 2)
            symmetry[axis] += best_match(edged, flipped(edged, flip), max(edged.shape)).similarity / len(coarse.scans)
    best = int(symmetry.argmax())
    if best == 0 or symmetry[best] <= symmetry[0] + AXIS_GAIN:
        return []
    text = (
        f"the brain is more symmetric along the axis that its header calls {AXES[best]} than along {AXES[0]} "
        f"({symmetry[best]:.2f} against {symmetry[0]:.2f})."
    )
    return [warning(case_id, text, "Correct the orientation in the headers of this case.", kind=Kind.ORIENTATION)]
