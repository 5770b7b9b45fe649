"""From two label volumes to rows of scores: case × region × metric."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brats_unet.anatomy import Label, Modality, Region, classes_from_regions, region_mask
from brats_unet.data.labels.convention import Convention
from brats_unet.errors import DataError
from brats_unet.evaluation.grids import grid_mismatch
from brats_unet.evaluation.probabilities import calibration, read_probabilities
from brats_unet.geometry import bounding_box, crop
from brats_unet.metrics import metrics_of
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import TOLERANCES_MM, Protocol, protocol_named, require_tolerances
from brats_unet.metrics.seed import SeedRow, seed_rows
from brats_unet.nifti import read_integers
from brats_unet.processes import map_in_processes
from brats_unet.volume import ImageFile, Volume, turn_to_lps


@dataclass(frozen=True)
class Row:
    """One score of one region of one case."""

    case: str
    region: str
    metric: str
    value: float
    unit: str


@dataclass(frozen=True)
class Pair:
    """Where the two masks of one case are and how to read them; small enough to send to another process.

    Attributes:
        case_id: Names the rows and the picture.
        reference: The expert's mask.
        prediction: The model's mask, or None where it is missing and counts as empty.
        images: Scans to draw the outlines on, or None.
        reference_convention: What the reference's integers mean.
        prediction_convention: What the prediction's integers mean.
        probabilities: Files of the regions' probabilities on the case's own grid; None where there are none.
        softmax: Whether they come from a softmax over the four classes: only then do they tell the classes'.
    """

    case_id: str
    reference: Path
    prediction: Path | None
    images: Mapping[Modality, ImageFile] | None
    reference_convention: Convention
    prediction_convention: Convention
    probabilities: Mapping[Region, Path] | None = None
    softmax: bool = True


@dataclass(frozen=True)
class Scored:
    """All numbers of one case.

    Attributes:
        rows: Scores by region and metric.
        seed_rows: The seed's numbers, of the prediction and of the all-background predictor; empty unless asked for.
        seed_left_out: Why there are none although they were asked for, or "".
    """

    case_id: str
    rows: list[Row]
    seed_rows: list[SeedRow]
    seed_left_out: str = ""

    def value(self, region: str, metric: str) -> float:
        """One score."""
        return next(row.value for row in self.rows if (row.region, row.metric) == (region, metric))


def score_case(
    case_id: str,
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing_mm: tuple[float, float, float],
    *,
    protocol: str = "brats2020",
    tolerances_mm: Sequence[float] = TOLERANCES_MM,
    probabilities: np.ndarray | None = None,
) -> list[Row]:
    """Every metric of the protocol, of every region of one case, and its calibration where there are probabilities.

    Args:
        case_id: Written into the rows.
        reference: Integers of `anatomy.Label`, shape (X, Y, Z).
        prediction: Likewise, on the same grid.
        spacing_mm: Edge lengths of a voxel along x, y, z.
        protocol: Metrics, definitions and rules for empty masks; a name of `metrics.protocols.PROTOCOLS`.
        tolerances_mm: Of the surface Dice.
        probabilities: Of the regions, float, shape (X, Y, Z, 3), 0 to 1; None where there are none.

    Returns:
        Rows by region (WT, TC, ET), then by metric. A value that a rule leaves undefined is NaN.

    Raises:
        ValueError: The arrays do not share one grid.
        SettingsError: There is no such protocol.
    """
    if reference.shape != prediction.shape:
        raise ValueError(f"{case_id}: the masks do not share one grid: {reference.shape} and {prediction.shape}.")
    rules = protocol_named(protocol)
    metrics = metrics_of(rules, tolerances_mm)
    calibrated = calibration(reference, probabilities) if probabilities is not None else {}
    rows = []
    for region, pair in region_pairs(reference, prediction, spacing_mm, rules):
        for name, (metric, unit) in metrics.items():
            rows.append(Row(case_id, region.value, name, float(metric(pair)), unit))
        rows += [Row(case_id, region.value, name, value, "1") for name, value in calibrated.get(region, {}).items()]
    return rows


def region_pairs(
    reference: np.ndarray, prediction: np.ndarray, spacing_mm: tuple[float, float, float], rules: Protocol
) -> Iterator[tuple[Region, MaskPair]]:
    """The two masks of each region, as metrics are given them: cropped to what they hold.

    Args:
        reference: Integers of `anatomy.Label`, shape (X, Y, Z).
        prediction: Likewise, on the same grid.
        spacing_mm: Edge lengths of a voxel along x, y, z.
        rules: What holds where a mask is empty.
    """
    voxels = reference.size
    tumour = (reference != Label.BACKGROUND) | (prediction != Label.BACKGROUND)
    if tumour.any():  # all that is scored lies in this box; the voxels outside are counted, not visited
        box = bounding_box(tumour)
        reference, prediction = crop(reference, box), crop(prediction, box)
    for region in Region:
        masks = region_mask(reference, region), region_mask(prediction, region)
        yield region, MaskPair(*masks, spacing_mm, rules, outside_voxels=voxels - reference.size).cropped()


def score_cases(
    pairs: Sequence[Pair],
    *,
    protocol: str = "brats2020",
    tolerances_mm: Sequence[float] = TOLERANCES_MM,
    seed_scores: bool = False,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Scored]:
    """Score many cases in parallel, in the order given.

    Args:
        pairs: What to compare.
        protocol: A name of `metrics.protocols.PROTOCOLS`.
        tolerances_mm: Of the surface Dice.
        seed_scores: Whether to compute the seed's numbers too.
        workers: Processes; 0 takes one a core.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: Masks that cannot be read, or do not share one grid; every such case is named.
            Probabilities that cannot be read, do not share it or lie outside 0 to 1: likewise.
        SettingsError: There is no such protocol, or a tolerance is wrong.
    """
    protocol_named(protocol)  # refuse before any work
    require_tolerances(tolerances_mm)
    arguments = [(pair, protocol, tuple(tolerances_mm), seed_scores) for pair in pairs]
    results = map_in_processes(_score_or_problem, arguments, seconds_each=0.3, workers=workers, progress=progress)
    problems = [result for result in results if isinstance(result, str)]
    if problems:
        raise DataError("\n".join(problems))
    return [result for result in results if isinstance(result, Scored)]


def read_labels(pair: Pair) -> tuple[Volume, Volume]:
    """Reference and prediction as `anatomy.Label` integers on one grid; a missing prediction is all background.

    Raises:
        DataError: A file that cannot be read, a label the convention does not know, or two grids.
    """
    stored = read_integers(pair.reference)
    reference = Volume(pair.reference_convention.decode(stored.array, where=str(pair.reference)), stored.affine)
    if pair.prediction is None:
        return reference, Volume(np.zeros_like(reference.array), reference.affine)
    stored = read_integers(pair.prediction)
    mismatch = grid_mismatch(reference.array.shape, reference.affine, stored.array.shape, stored.affine)
    if mismatch:
        raise DataError(f"{pair.case_id}: {pair.prediction} does not lie on the grid of {pair.reference}: {mismatch}")
    return reference, Volume(pair.prediction_convention.decode(stored.array, where=str(pair.prediction)), stored.affine)


def _score_or_problem(argument: tuple[Pair, str, tuple[float, ...], bool]) -> Scored | str:
    """A user's mistake comes back as its sentence, so that all of them are said at once."""
    pair, protocol, tolerances_mm, seed_scores = argument
    try:
        reference, prediction = read_labels(pair)
        stated = None
        if pair.probabilities is not None:
            stated = read_probabilities(
                pair.case_id, pair.probabilities, pair.reference, reference.array.shape, reference.affine
            )
        rows = score_case(
            pair.case_id,
            reference.array,
            prediction.array,
            reference.spacing_mm,
            protocol=protocol,
            tolerances_mm=tolerances_mm,
            probabilities=stated,
        )
        if not seed_scores:
            return Scored(pair.case_id, rows, [])
        turn = turn_to_lps(reference.affine)  # so that the third axis is the one that the seed slices
        classes = classes_from_regions(stated) if stated is not None and pair.softmax else None
        found, left_out = seed_rows(
            pair.case_id,
            turn.apply(reference.array),
            turn.apply(prediction.array),
            probabilities=None if classes is None else turn.apply(classes),
        )
        return Scored(pair.case_id, rows, found, left_out)
    except DataError as problem:
        return str(problem)
