"""What it takes no network to score: predictors that look at no scan, whose rows stand beside every prediction's.

"all_background" finds nothing. "mean_shape" lays the training cases' mean tumour into the box of each brain, cut at
the level that is best on the training cases.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from brats_unet.anatomy import Modality, Region, labels_from_regions, region_masks
from brats_unet.data.labels.convention import Convention
from brats_unet.data.prepare.brain import border_value
from brats_unet.data.prepare.content_hash import voxel_hash
from brats_unet.errors import DataError
from brats_unet.evaluation.score import Pair, Row, read_labels, score_case
from brats_unet.geometry import Box, bounding_box, uncrop
from brats_unet.metrics.protocols import TOLERANCES_MM
from brats_unet.nifti import read_integers, read_volume
from brats_unet.processes import map_in_processes
from brats_unet.volume import Case, ImageFile, turn_to_lps

ALL_BACKGROUND, MEAN_SHAPE = "all_background", "mean_shape"
FRAME = (48, 60, 48)  # voxels that the box of a brain has in the common frame, axes L-P-S
LEVELS = 19  # that are tried, evenly spread below the highest mean probability


@dataclass(frozen=True)
class TrivialRow(Row):
    """One score of a predictor that looks at no scan."""

    predictor: str


@dataclass(frozen=True, eq=False)
class MeanShape:
    """The training cases' tumours, averaged in the box of the brain.

    Attributes:
        probabilities: Share of the training cases whose tumour reaches there, float16, shape (*FRAME, 3), regions in
            the order of `Region`.
        levels: Share from which a region is claimed.
        training: Cases that it is the mean of.
    """

    probabilities: np.ndarray
    levels: tuple[float, ...]
    training: int

    def labels(self, shape: tuple[int, int, int]) -> np.ndarray:
        """Its prediction for a brain whose box has that shape: uint8 of `anatomy.Label`, axes L-P-S."""
        zoom = [n / frame for n, frame in zip(shape, FRAME, strict=True)]
        found = np.empty((*shape, len(Region)), bool)
        for index, level in enumerate(self.levels):
            flat = self.probabilities[..., index].astype(np.float32)
            resampled = ndimage.zoom(flat, zoom, order=1, mode="nearest", grid_mode=True)
            found[..., index] = resampled >= level
        return labels_from_regions(found)


@dataclass(frozen=True)
class TrivialScored:
    """What one case gave.

    Attributes:
        reference: Hash of the reference's labels: two evaluations with equal ones were scored against the same mask.
        rows: Scores of each predictor.
        left_out: Why there is no mean shape although there is one to lay, or "".
    """

    case_id: str
    reference: str
    rows: list[TrivialRow]
    left_out: str = ""


def mean_shape(masks: Sequence[np.ndarray]) -> MeanShape:
    """Average masks that lie in the common frame, and find the level of each region.

    Args:
        masks: At least one; bool, shape (*FRAME, 3), as `in_frame` gives them.

    Returns:
        Levels that give the best mean Dice over the training cases which have the region; the lowest of the best. A
        region that no case has is never claimed.
    """
    if not masks:
        raise ValueError("A mean needs at least one case.")
    stacked = np.stack([mask.reshape(-1, len(Region)) for mask in masks])
    probabilities = stacked.mean(axis=0, dtype=np.float32)
    levels = []
    for index in range(len(Region)):
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
    return MeanShape(probabilities.reshape(*FRAME, len(Region)).astype(np.float16), tuple(levels), len(masks))


def mean_shape_of(
    cases: Sequence[Case],
    convention: Convention,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> MeanShape:
    """The mean shape of training cases, from one scan and the mask of each.

    Raises:
        DataError: A file cannot be read; every such case is named.
    """
    arguments = [(case, convention) for case in cases]
    found = map_in_processes(_in_frame, arguments, seconds_each=0.1, workers=workers, progress=progress)
    if problems := [one for one in found if isinstance(one, str)]:
        raise DataError("\n".join(problems))
    return mean_shape([one for one in found if isinstance(one, np.ndarray)])


def in_frame(labels: np.ndarray, box: Box) -> np.ndarray:
    """Regions at the centres of the frame's voxels: bool, shape (*FRAME, 3).

    Args:
        labels: Integers of `anatomy.Label`, axes L-P-S.
        box: The brain's.
    """
    at = [
        start + ((np.arange(frame) + 0.5) * n / frame).astype(int)
        for start, n, frame in zip(box.start, box.shape, FRAME, strict=True)
    ]
    return region_masks(labels[np.ix_(*at)])


def brain_box(images: Mapping[Modality, ImageFile], shape: tuple[int, ...]) -> Box | str:
    """Box of what is not background in the first scan, in the axes of L-P-S; or the sentence that says why not."""
    file = next(iter(images.values()))
    volume = read_volume(file.path, file.channel)
    if volume.array.shape != shape:
        return f"{file.path}: shape {volume.array.shape}. Expected {shape}, that of its mask."
    scan = turn_to_lps(volume.affine).apply(volume.array)
    inside = scan != border_value(scan)
    return bounding_box(inside) if inside.any() else f"{file.path}: the scan is constant: no brain in it."


def score_trivial(
    pairs: Sequence[Pair],
    shapes: Mapping[str, MeanShape],
    *,
    protocol: str,
    tolerances_mm: Sequence[float] = TOLERANCES_MM,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[TrivialScored]:
    """Score the predictors that look at no scan, on the cases of an evaluation.

    Args:
        pairs: Their references; predictions are not looked at.
        shapes: By case, the mean shape of training cases that it is none of; cases without one get no such rows.
        protocol: A name of `metrics.protocols.PROTOCOLS`.
        tolerances_mm: Of the surface Dice.
        workers: Processes; 0 takes one a core.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: References that cannot be read.
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
        mask = read_integers(case.mask)
        box = brain_box(case.images, mask.array.shape)
        labels = convention.decode(mask.array, where=str(case.mask))
    except DataError as problem:
        return str(problem)
    if isinstance(box, str):
        return box
    return in_frame(turn_to_lps(mask.affine).apply(labels), box)


def _score(argument: tuple[Pair, MeanShape | None, str, tuple[float, ...]]) -> TrivialScored | str:
    """A user's mistake comes back as its sentence, so that all of them are said at once."""
    pair, shape, protocol, tolerances_mm = argument
    try:
        volume, _ = read_labels(replace(pair, prediction=None))
        reference = volume.array
        predictions = {ALL_BACKGROUND: np.zeros_like(reference)}
        left_out = ""
        if shape is not None:
            box = brain_box(pair.images, reference.shape) if pair.images else f"{pair.case_id}: no scan beside it"
            if isinstance(box, str):
                left_out = box
            else:
                turn = turn_to_lps(volume.affine)
                size = (box.shape[0], box.shape[1], box.shape[2])
                laid = uncrop(shape.labels(size), box, turn.apply(reference).shape)
                predictions[MEAN_SHAPE] = turn.undo(laid)
    except DataError as problem:
        return str(problem)
    rows = [
        TrivialRow(row.case, row.region, row.metric, row.value, row.unit, predictor)
        for predictor, prediction in predictions.items()
        for row in score_case(
            pair.case_id, reference, prediction, volume.spacing_mm, protocol=protocol, tolerances_mm=tolerances_mm
        )
    ]
    return TrivialScored(pair.case_id, voxel_hash(np.asarray(reference, np.uint8)), rows, left_out)
