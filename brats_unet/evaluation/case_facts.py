"""Facts of the cases of an evaluation that no score shows, for cases.csv: which scans are absent, where regions lie.

They serve to ask what the cases with the lowest scores have in common; see `cohort`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from brats_unet.data.prepare.brain import border_value, eroded
from brats_unet.data.prepare.head_mask import head_mask
from brats_unet.errors import DataError
from brats_unet.evaluation.score import Pair, read_labels
from brats_unet.geometry import bounding_box
from brats_unet.metrics.components import numbered_components
from brats_unet.processes import map_in_processes
from brats_unet.scan_files import read_scan
from brats_unet.volume import turn_to_lps

NONE = "none"  # no scan is absent; an empty cell is unknown
UNKNOWN = math.nan
STRIPPED = 1.3  # a scan whose background is one value shows hardly more voxels than its head has


@dataclass(frozen=True)
class CaseFacts:
    """Facts of one region of one case; a row of cases.csv. What is unknown is "" or NaN.

    Attributes:
        case: Case id.
        region: Scored region.
        stratum: Group of the case, such as its grade, or institution and grade; see `volume.Case.stratum`.
        absent: Scans that the data set lacks for this case, separated by spaces, or `NONE`.
        slices: Axial slices of the volume.
        slices_reference: Axial slices that hold the region in the reference.
        components_reference: 26-connected components of the region in the reference.
        components_prediction: The same in the prediction.
        at_volume_edge: 1 if a voxel of the reference lies in the outermost layer of the volume, so that the field of
            view may cut the region, else 0.
        at_head_edge: 1 if a voxel of the reference touches, by face, edge or corner, a voxel outside the head (of a
            skull-stripped scan: outside the brain), else 0; NaN without a scan.
        left: Centre of mass of the reference in the bounding box of the head (or brain), 0 to 1, from the patient's
            right to the left; NaN without a scan, and for an empty reference.
        posterior: The same from anterior to posterior.
        superior: The same from inferior to superior.
    """

    case: str
    region: str
    stratum: str
    absent: str
    slices: int
    slices_reference: int
    components_reference: int
    components_prediction: int
    at_volume_edge: int
    at_head_edge: float
    left: float
    posterior: float
    superior: float


def case_facts(
    pairs: Sequence[Pair], *, workers: int = 0, progress: Callable[[int, int], None] | None = None
) -> list[CaseFacts]:
    """Facts of every scored region of every pair, in the order of the pairs and of the scheme.

    Args:
        pairs: References, predictions and scans; only the first scan of a case is read.
        workers: Number of processes; 0 starts one per core.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: A mask cannot be read.
    """
    found = map_in_processes(_facts, pairs, seconds_each=0.2, workers=workers, progress=progress)
    return [one for facts in found for one in facts]


def _facts(pair: Pair) -> list[CaseFacts]:
    reference, prediction = read_labels(pair)
    turn, scheme = turn_to_lps(reference.affine), pair.scheme
    labels, predicted = turn.apply(reference.array), turn.apply(prediction.array)
    inside = _inside(pair, reference.array.shape)
    if inside is not None:
        inside = turn.apply(inside)
    absent = "" if pair.absent is None else " ".join(pair.absent) or NONE
    found = []
    for region in scheme.scored:
        mask = scheme.region_mask(labels, region)
        left, posterior, superior = _place(mask, inside)
        found.append(
            CaseFacts(
                case=pair.case_id,
                region=region,
                stratum=pair.stratum,
                absent=absent,
                slices=mask.shape[2],
                slices_reference=int(mask.any(axis=(0, 1)).sum()),
                components_reference=numbered_components(mask)[1],
                components_prediction=numbered_components(scheme.region_mask(predicted, region))[1],
                at_volume_edge=int(mask.any() and not _inner(mask)),
                at_head_edge=UNKNOWN if inside is None else float((mask & ~_core(inside)).any()),
                left=left,
                posterior=posterior,
                superior=superior,
            )
        )
    return found


def _inside(pair: Pair, shape: tuple[int, ...]) -> np.ndarray | None:
    """Mask of the head in the first scan, or of the brain if its background is one value; None without a sound scan."""
    if not pair.images:
        return None
    try:
        volume = read_scan(next(iter(pair.images.values())))
    except DataError:  # the figure of the case names what is wrong with it
        return None
    scan = volume.array
    brain = scan != border_value(scan)
    if scan.shape != shape or not brain.any():
        return None
    head = head_mask([scan], axial=turn_to_lps(volume.affine).axes[2])
    return brain if np.count_nonzero(brain) <= STRIPPED * np.count_nonzero(head) else head


def _place(mask: np.ndarray, inside: np.ndarray | None) -> tuple[float, float, float]:
    """Centre of mass of a mask in the bounding box of the head, from R, A and I, each 0 to 1; NaN if unknown."""
    if inside is None or not mask.any():
        return UNKNOWN, UNKNOWN, UNKNOWN
    box = bounding_box(inside)
    shares = [
        float(np.clip((at.mean() + 0.5 - start) / length, 0, 1))
        for at, start, length in zip(np.nonzero(mask), box.start, box.shape, strict=True)
    ]
    return shares[0], shares[1], shares[2]


def _inner(mask: np.ndarray) -> bool:
    """Whether a mask has no voxel in the outermost layer of its volume."""
    box = bounding_box(mask)
    return all(start > 0 and stop < n for start, stop, n in zip(box.start, box.stop, mask.shape, strict=True))


def _core(inside: np.ndarray) -> np.ndarray:
    """The head without the voxels that touch what is outside it; the edge of the volume is not outside."""
    return eroded(np.pad(inside, 1, mode="edge"))[1:-1, 1:-1, 1:-1]
