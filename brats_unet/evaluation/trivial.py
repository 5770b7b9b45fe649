"""Trivial predictors, which ignore the scans. Their scores are the least that a network must beat.

"all_background" predicts no tumour. "mean_shape" fits the mean tumour shape of the training cases into the bounding box
of each brain, and thresholds it at the level that scores best on the training cases.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from brats_unet.data.prepare.brain import border_value
from brats_unet.data.prepare.content_hash import voxel_hash
from brats_unet.errors import DataError
from brats_unet.evaluation.score import Pair, Row, read_labels, score_case
from brats_unet.geometry import Box, bounding_box, uncrop
from brats_unet.metrics.protocols import TOLERANCES_MM
from brats_unet.modality import Modality
from brats_unet.processes import map_in_processes
from brats_unet.scan_files import read_mask, read_scan
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Case, ImageFile, turn_to_lps

ALL_BACKGROUND, MEAN_SHAPE = "all_background", "mean_shape"
FRAME = (48, 60, 48)  # voxels of the common frame that every brain's bounding box is scaled to, axes L-P-S
LEVELS = 19  # thresholds to try, evenly spaced below the highest mean probability


@dataclass(frozen=True)
class TrivialRow(Row):
    """One score of a trivial predictor."""

    predictor: str


@dataclass(frozen=True, eq=False)
class MeanShape:
    """Mean tumour shape of the training cases, in the common frame of the brains' bounding boxes.

    Attributes:
        probabilities: Share of the training cases with each predicted region at each voxel, float16, shape
            (*FRAME, R).
        levels: Threshold of each region: a voxel is predicted if its share is at least this high.
        training: Number of training cases.
    """

    probabilities: np.ndarray
    levels: tuple[float, ...]
    training: int

    def labels(self, shape: tuple[int, int, int], scheme: Scheme) -> np.ndarray:
        """Prediction for a brain whose bounding box has this shape: labels as in memory, uint8, axes L-P-S."""
        zoom = [n / frame for n, frame in zip(shape, FRAME, strict=True)]
        found = np.empty((*shape, len(self.levels)), bool)
        for index, level in enumerate(self.levels):
            flat = self.probabilities[..., index].astype(np.float32)
            resampled = ndimage.zoom(flat, zoom, order=1, mode="nearest", grid_mode=True)
            found[..., index] = resampled >= level
        return scheme.labels_from_masks(found)


@dataclass(frozen=True)
class TrivialScored:
    """Scores of the trivial predictors on one case.

    Attributes:
        case_id: Case id.
        reference: Hash of the reference labels; evaluations with equal hashes used the same reference mask.
        rows: Scores of each trivial predictor.
        left_out: Why the mean shape could not be scored on this case, or "".
    """

    case_id: str
    reference: str
    rows: list[TrivialRow]
    left_out: str = ""


def mean_shape(masks: Sequence[np.ndarray]) -> MeanShape:
    """Average masks in the common frame, and choose the threshold of each region.

    The threshold has the best mean Dice over the training cases that have the region; of equally good ones, it is the
    lowest. A region that no training case has gets an infinite threshold, so it is never predicted.

    Args:
        masks: Results of `in_frame`, at least one, bool, shape (*FRAME, R).

    Raises:
        ValueError: There is no mask.
    """
    if not masks:
        raise ValueError("A mean shape needs at least one case.")
    stacked = np.stack([mask.reshape(-1, mask.shape[-1]) for mask in masks])
    probabilities = stacked.mean(axis=0, dtype=np.float32)
    levels = []
    for index in range(stacked.shape[-1]):
        present = stacked[:, :, index][stacked[:, :, index].any(axis=1)]
        highest = float(probabilities[:, index].max())
        if not highest:
            levels.append(np.inf)
            continue
        sizes = present.sum(axis=1)
        tried = np.linspace(0, highest, LEVELS + 2)[1:-1]
        scores = []
        for level in tried:
            claimed = probabilities[:, index] >= level
            overlaps = np.count_nonzero(present[:, claimed], axis=1)
            scores.append(float((2 * overlaps / (sizes + np.count_nonzero(claimed))).mean()))
        levels.append(float(tried[int(np.argmax(scores))]))
    return MeanShape(probabilities.reshape(*FRAME, -1).astype(np.float16), tuple(levels), len(masks))


def mean_shape_of(
    cases: Sequence[Case],
    convention: Convention,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> MeanShape:
    """Mean shape of training cases, from the mask and one scan of each.

    Args:
        cases: Training cases, each with a mask.
        convention: What the integers of the masks mean.
        workers: Processes that read the cases; 0 starts one per core.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: Files cannot be read; every such case is named.
    """
    arguments = [(case, convention) for case in cases]
    found = map_in_processes(_in_frame, arguments, seconds_each=0.1, workers=workers, progress=progress)
    if problems := [one for one in found if isinstance(one, str)]:
        raise DataError("\n".join(problems))
    return mean_shape([one for one in found if isinstance(one, np.ndarray)])


def in_frame(labels: np.ndarray, box: Box, scheme: Scheme) -> np.ndarray:
    """Sample the predicted regions at the voxel centres of the common frame: bool, shape (*FRAME, R).

    Args:
        labels: Labels as in memory, axes L-P-S.
        box: Bounding box of the brain.
        scheme: What the labels are.
    """
    at = [
        start + ((np.arange(frame) + 0.5) * n / frame).astype(int)
        for start, n, frame in zip(box.start, box.shape, FRAME, strict=True)
    ]
    return scheme.predicted_masks(labels[np.ix_(*at)])


def brain_box(images: Mapping[Modality, ImageFile], shape: tuple[int, ...]) -> Box | str:
    """Bounding box of the brain in the first scan, in L-P-S axes; or the reason why there is none."""
    file = next(iter(images.values()))
    volume = read_scan(file)
    if volume.array.shape != shape:
        return f"{file.path}: shape {volume.array.shape}. Expected {shape}, the shape of its mask."
    scan = turn_to_lps(volume.affine).apply(volume.array)
    inside = scan != border_value(scan)
    return bounding_box(inside) if inside.any() else f"{file.path}: the scan is constant, so it shows no brain."


def score_trivial(
    pairs: Sequence[Pair],
    shapes: Mapping[str, MeanShape],
    *,
    protocol: str,
    tolerances_mm: Sequence[float] = TOLERANCES_MM,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[TrivialScored]:
    """Score the trivial predictors on the cases of an evaluation.

    Args:
        pairs: References and scans of the cases; the predictions are ignored.
        shapes: Mean shape for each case, made from training cases that do not include it. A case without one is scored
            by "all_background" alone.
        protocol: Key of `metrics.protocols.PROTOCOLS`.
        tolerances_mm: Tolerances of the surface Dice, in millimetres.
        workers: Number of processes; 0 starts one per core.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: References cannot be read; every such case is named.
    """
    arguments = [(pair, shapes.get(pair.case_id), protocol, tuple(tolerances_mm)) for pair in pairs]
    seconds = 0.4 if shapes else 0.15
    found = map_in_processes(_score, arguments, seconds_each=seconds, workers=workers, progress=progress)
    if problems := [one for one in found if isinstance(one, str)]:
        raise DataError("\n".join(problems))
    return [one for one in found if isinstance(one, TrivialScored)]


def _in_frame(argument: tuple[Case, Convention]) -> np.ndarray | str:
    case, convention = argument
    assert case.mask is not None  # training cases have one
    try:
        mask = read_mask(case.mask, case.spacing_mm)
        box = brain_box(case.images, mask.array.shape)
        labels = convention.decode(mask.array, where=str(case.mask))
    except DataError as problem:
        return str(problem)
    if isinstance(box, str):
        return box
    return in_frame(turn_to_lps(mask.affine).apply(labels), box, convention.scheme)


def _score(argument: tuple[Pair, MeanShape | None, str, tuple[float, ...]]) -> TrivialScored | str:
    """The scores of one case, or the message of its DataError, so that all cases can be reported at once."""
    pair, shape, protocol, tolerances_mm = argument
    try:
        volume, _ = read_labels(replace(pair, prediction=None))
        reference = volume.array
        predictions = {ALL_BACKGROUND: np.zeros_like(reference)}
        left_out = ""
        if shape is not None:
            box = brain_box(pair.images, reference.shape) if pair.images else f"{pair.case_id}: no scan found"
            if isinstance(box, str):
                left_out = box
            else:
                turn = turn_to_lps(volume.affine)
                size = (box.shape[0], box.shape[1], box.shape[2])
                placed = uncrop(shape.labels(size, pair.scheme), box, turn.apply(reference).shape)
                predictions[MEAN_SHAPE] = turn.undo(placed)
    except DataError as problem:
        return str(problem)
    rows = [
        TrivialRow(row.case, row.region, row.metric, row.value, row.unit, predictor)
        for predictor, prediction in predictions.items()
        for row in score_case(
            pair.case_id,
            reference,
            prediction,
            volume.known_spacing_mm,
            scheme=pair.scheme,
            protocol=protocol,
            tolerances_mm=tolerances_mm,
        )
    ]
    return TrivialScored(pair.case_id, voxel_hash(np.asarray(reference, np.uint8)), rows, left_out)
