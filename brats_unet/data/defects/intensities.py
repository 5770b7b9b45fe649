"""Intensities of one scan, and whether the brains of the scans agree."""

from collections.abc import Callable, Mapping
from itertools import combinations

import numpy as np

from brats_unet.data.prepare.brain import border_value
from brats_unet.data.prepare.preprocess import LARGEST
from brats_unet.data.readers.findings import Finding, Kind, error, warning
from brats_unet.geometry import faces
from brats_unet.modality import Modality

SATURATED_VOXELS = 27  # a cube of 3 x 3 x 3 voxels: fewer bright voxels are not taken for clipping
SATURATED_SHARE = 0.001  # of the voxels above the background; real scans: at most 0.0002
SATURATED = (32767, 65535)  # the largest int16 and uint16: there, `SATURATED_VOXELS` are enough
FEWEST_LEVELS = 32  # different intensities in a scan; real scans: at least 110
MOST_EQUAL = 0.5  # share of the brain with one intensity; real scans: at most 0.03
LEAST_VARIATION = 0.03  # standard deviation of the brain as a share of its mean; real scans: at least 0.13
SAME_BRAIN = 0.9  # lowest mean Jaccard index of a scan's brain with the other scans'; real BraTS cases: >= 0.9997
LEAST_BRAIN = 0.01  # lowest share of a scan's voxels that must not be background
PLAIN_BORDER = 0.5  # lowest share of the outer faces that must have the background value
EXPORT = "Export it again without clipping, or list the case under data.leave_out."

Report = Callable[[Finding], None]


def has_content(case_id: str, modality: Modality, scan: np.ndarray, report: Report) -> bool:
    """Whether a scan has voxels, all finite and not all equal."""

    def wrong(found: str, remedy: str) -> bool:
        report(error(case_id, found, remedy, kind=Kind.INTENSITIES, scan=modality))
        return False

    if scan.size == 0:
        return wrong(f"the {modality} scan has no voxels.", "Download the case again.")
    if scan.dtype.kind == "f" and (wild := np.count_nonzero(~(np.abs(scan) <= LARGEST))):
        text = f"the {modality} scan holds {wild:,} voxels that are NaN, infinite or beyond {LARGEST:g}."
        return wrong(text, "Export it again.")
    if (scan == scan.flat[0]).all():
        return wrong(f"the {modality} scan is constant: no brain in it.", "Download the case again.")
    return True


def greys(case_id: str, modality: Modality, scan: np.ndarray, report: Report, *, with_skull: bool = False) -> None:
    """Warn of a scan that is saturated, nearly constant, has few grey levels or is darker than its background.

    Args:
        case_id: Case id.
        modality: Its name.
        scan: Shape (X, Y, Z), finite and not constant.
        report: Takes the findings.
        with_skull: Whether the scan shows skull and air, so that the voxels unlike the background are not the brain.
    """

    def odd(found: str, remedy: str) -> None:
        report(warning(case_id, found, remedy, kind=Kind.INTENSITIES, scan=modality))

    background = border_value(scan)
    inside = scan[scan != background]
    brightest = inside.max()
    count = int(np.count_nonzero(inside == brightest))
    share = count / inside.size
    if count >= SATURATED_VOXELS and (share >= SATURATED_SHARE or brightest in SATURATED):
        odd(f"the {modality} scan is saturated: {count:,} voxels ({share:.2%}) at {brightest:g}, its maximum.", EXPORT)
    few = inside[:: max(1, inside.size // 200_000)]
    levels, counts = np.unique(few, return_counts=True)
    equal, commonest = counts.max() / few.size, levels[counts.argmax()]
    mean = abs(float(few.mean(dtype=np.float64)) - float(background))
    if inside.size >= FEWEST_LEVELS**2 and len(levels) < FEWEST_LEVELS:
        text = f"the {modality} scan has only {len(levels)} different intensities. Expected {FEWEST_LEVELS} or more."
        odd(text, "Export it again with its full range. Is it a mask?")
    elif not with_skull and equal > MOST_EQUAL:
        odd(f"the {modality} scan is nearly constant: {equal:.0%} of its brain is {commonest:g}.", "Inspect the scan.")
    elif not with_skull and float(few.std(dtype=np.float64)) < LEAST_VARIATION * mean:
        varies = float(few.std(dtype=np.float64)) / mean
        text = f"the {modality} scan is nearly constant: its brain varies by {varies:.1%} of its mean."
        odd(text, "Inspect the scan.")
    if brightest < background:
        text = f"the {modality} scan is nowhere brighter than its background ({background:g})."
        odd(text, "Is it inverted? Export it again.")


def brain_of(case_id: str, modality: Modality, scan: np.ndarray, report: Report) -> np.ndarray | None:
    """Mask of the voxels that are not background, bool, shape (X, Y, Z); None if the scan cannot be compared."""
    background = border_value(scan)
    inside = scan != background
    share = np.count_nonzero(inside) / inside.size
    if share < LEAST_BRAIN:
        text = f"only {share:.2%} of the voxels of the {modality} scan differ from the background."
        report(warning(case_id, text, "Inspect the scan.", kind=Kind.INTENSITIES, scan=modality))
    outer = faces(inside)
    plain = 1 - sum(np.count_nonzero(face) for face in outer) / sum(face.size for face in outer)
    if plain < PLAIN_BORDER:
        text = (
            f"the background of the {modality} scan is not constant: only {plain:.0%} of the voxels on its outer "
            f"faces are {background:g}."
        )
        remedy = "Check that it is skull-stripped, as BraTS networks expect."
        report(warning(case_id, text, remedy, kind=Kind.BRAIN, scan=modality))
        return None
    return inside


def compare_brains(case_id: str, insides: Mapping[Modality, np.ndarray], report: Report) -> None:
    """Warn of a scan whose brain does not overlap the other scans' brains well enough."""
    overlap: dict[Modality, list[float]] = {modality: [] for modality in insides}
    for one, other in combinations(insides, 2):
        both = np.count_nonzero(insides[one] & insides[other])
        jaccard = both / (np.count_nonzero(insides[one]) + np.count_nonzero(insides[other]) - both)
        overlap[one].append(jaccard)
        overlap[other].append(jaccard)
    if len(insides) < 2:
        return
    means = {modality: float(np.mean(values)) for modality, values in overlap.items()}
    outlier = min(means, key=lambda modality: means[modality])
    if means[outlier] < SAME_BRAIN:
        text = (
            f"the brain in the {outlier} scan differs from the other scans' (mean Jaccard index {means[outlier]:.2f})."
        )
        remedy = "Check whether this scan is cropped, badly skull-stripped or not registered."
        report(warning(case_id, text, remedy, kind=Kind.BRAIN, scan=outlier))
