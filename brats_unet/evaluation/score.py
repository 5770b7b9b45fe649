"""Score label volumes: one row per case, region and metric."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brats_unet.errors import DataError
from brats_unet.evaluation.grids import grid_mismatch, on_axes_of
from brats_unet.evaluation.probabilities import calibration, read_probabilities
from brats_unet.evaluation.region_pairs import region_pairs
from brats_unet.metrics import metrics_of
from brats_unet.metrics.protocols import TOLERANCES_MM, protocol_named, require_tolerances
from brats_unet.metrics.seed import SeedRow, seed_rows
from brats_unet.modality import Modality
from brats_unet.processes import map_in_processes
from brats_unet.scan_files import read_mask
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import ImageFile, Spacing, Volume, given_spacing_mm, turn_to_lps


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
    """Files of the two masks of one case and how to read them; small enough to send to another process.

    Attributes:
        case_id: Case id, for the rows and the figure.
        reference: Expert mask.
        prediction: Model mask, or None if it is missing; an empty mask is then scored.
        images: Scans under the outlines of the figure, or None.
        reference_convention: What the integers of the reference mean.
        prediction_convention: What the integers of the prediction mean.
        probabilities: Probability file of each predicted region, on the grid of the case, or None.
        softmax: Whether the probabilities come from a softmax over the classes, so that they give class probabilities.
        spacing_mm: Edge lengths of a voxel along x, y, z, in millimetres, of masks that are NumPy arrays.
        stratum: As in `volume.Case`; "" if it is unknown. `absent`: the same, and None.
    """

    case_id: str
    reference: Path
    prediction: Path | None
    images: Mapping[Modality, ImageFile] | None
    reference_convention: Convention
    prediction_convention: Convention
    probabilities: Mapping[str, Path] | None = None
    softmax: bool = True
    stratum: str = ""
    absent: tuple[Modality, ...] | None = None
    spacing_mm: Spacing | None = None

    def __post_init__(self) -> None:
        if not self.scheme.means_the_same(other := self.prediction_convention.scheme):
            raise ValueError(f"{self.case_id}: schemes {self.scheme.name} and {other.name}. Expected one scheme.")

    @property
    def scheme(self) -> Scheme:
        """What the masks show; its scored regions are scored."""
        return self.reference_convention.scheme


@dataclass(frozen=True)
class Scored:
    """All scores of one case.

    Attributes:
        case_id: Case id.
        rows: Scores by region and metric.
        seed_rows: Seed-notebook scores of the prediction and of an all-background prediction; empty unless requested.
        seed_left_out: Why the seed-notebook scores are missing although they were requested, or "".
    """

    case_id: str
    rows: list[Row]
    seed_rows: list[SeedRow]
    seed_left_out: str = ""

    def value(self, region: str, metric: str) -> float:
        """Score of one region in one metric; StopIteration if it was not scored."""
        return next(row.value for row in self.rows if (row.region, row.metric) == (region, metric))


def score_case(
    case_id: str,
    reference: np.ndarray,
    prediction: np.ndarray,
    spacing_mm: Spacing | None,
    *,
    scheme: Scheme,
    protocol: str = "brats2020",
    tolerances_mm: Sequence[float] = TOLERANCES_MM,
    probabilities: np.ndarray | None = None,
    missing: bool = False,
) -> list[Row]:
    """Score every scored region of one case in every metric of the protocol; with probabilities, in calibration too.

    Args:
        case_id: Case id, for the rows.
        reference: Labels as in memory, shape (X, Y, Z).
        prediction: Labels as in memory, same shape and grid.
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres; None if they are unknown, see `metrics.IN_PLANE`.
        scheme: What the labels are, and which regions are scored.
        protocol: Key of `metrics.protocols.PROTOCOLS`: metrics, their definitions and the rules for empty masks.
        tolerances_mm: Tolerances of the surface Dice, in millimetres.
        probabilities: Probability of each scored region, float, shape (X, Y, Z, S), 0 to 1, or None.
        missing: Whether there is no prediction; `prediction` is empty then. See `Protocol.missing_fails`.

    Returns:
        Rows by region, in the order of the scheme, then by metric. An undefined score is NaN.

    Raises:
        ValueError: The two masks have different shapes.
        SettingsError: The protocol is unknown.
    """
    if reference.shape != prediction.shape:
        raise ValueError(
            f"{case_id}: reference has shape {reference.shape}, prediction {prediction.shape}. Expected one grid."
        )
    rules = protocol_named(protocol)
    metrics = metrics_of(rules, tolerances_mm, spacing_known=spacing_mm is not None)
    calibrated = calibration(reference, probabilities, scheme) if probabilities is not None else {}
    rows = []
    spacing = spacing_mm or (1.0, 1.0, 1.0)
    for region, pair in region_pairs(reference, prediction, spacing, rules, scheme, missing=missing):
        for name, metric in metrics.items():
            rows.append(Row(case_id, region, name, float(metric.function(pair)), metric.unit))
        rows += [Row(case_id, region, name, value, "1") for name, value in calibrated.get(region, {}).items()]
    return rows


def score_cases(
    pairs: Sequence[Pair],
    *,
    protocol: str = "brats2020",
    tolerances_mm: Sequence[float] = TOLERANCES_MM,
    seed_scores: bool = False,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Scored]:
    """Score many cases in parallel; results are in the order of `pairs`.

    Args:
        pairs: References and predictions to compare.
        protocol: Key of `metrics.protocols.PROTOCOLS`.
        tolerances_mm: Tolerances of the surface Dice, in millimetres.
        seed_scores: Whether to compute the seed-notebook scores too.
        workers: Number of processes; 0 starts one per core.
        progress: Called with (done, total) after each case.

    Raises:
        DataError: Masks or probabilities cannot be read or lie on different grids, or probabilities lie outside 0 to 1.
            Every such case is listed.
        SettingsError: The protocol is unknown, or a tolerance is not valid.
    """
    protocol_named(protocol)  # an unknown protocol is refused before any work
    require_tolerances(tolerances_mm)
    arguments = [(pair, protocol, tuple(tolerances_mm), seed_scores) for pair in pairs]
    results = map_in_processes(_score_or_problem, arguments, seconds_each=0.3, workers=workers, progress=progress)
    if problems := [result for result in results if isinstance(result, str)]:
        raise DataError("\n".join(problems))
    return [result for result in results if isinstance(result, Scored)]


def read_labels(pair: Pair) -> tuple[Volume, Volume]:
    """Reference and prediction as labels in memory on one grid; a missing prediction is all background.

    Raises:
        DataError: A file cannot be read, holds a label unknown to its convention, or the grids differ.
    """
    spacing_mm = pair.spacing_mm or given_spacing_mm(pair.images)
    stored = read_mask(pair.reference, spacing_mm)
    labels = pair.reference_convention.decode(stored.array, where=str(pair.reference))
    reference = replace(stored, array=labels)
    if pair.prediction is None:
        return reference, replace(reference, array=np.zeros_like(reference.array))
    stored = on_axes_of(labels.shape, reference.affine, read_mask(pair.prediction, spacing_mm))
    if mismatch := grid_mismatch(reference.array.shape, reference.affine, stored.array.shape, stored.affine):
        raise DataError(f"{pair.case_id}: {pair.prediction} does not lie on the grid of {pair.reference}: {mismatch}")
    return reference, Volume(pair.prediction_convention.decode(stored.array, where=str(pair.prediction)), stored.affine)


def _score_or_problem(argument: tuple[Pair, str, tuple[float, ...], bool]) -> Scored | str:
    """The scores of one case, or the message of its DataError, so that all cases can be reported at once."""
    pair, protocol, tolerances_mm, seed_scores = argument
    try:
        reference, prediction = read_labels(pair)
        probabilities = None
        if pair.probabilities is not None:
            probabilities = read_probabilities(
                pair.case_id, pair.probabilities, pair.scheme, pair.reference, reference.array.shape, reference.affine
            )
        rows = score_case(
            pair.case_id,
            reference.array,
            prediction.array,
            reference.known_spacing_mm,
            scheme=pair.scheme,
            protocol=protocol,
            tolerances_mm=tolerances_mm,
            missing=pair.prediction is None,
            probabilities=None if probabilities is None else pair.scheme.scored_probabilities(probabilities),
        )
        if not seed_scores:
            return Scored(pair.case_id, rows, [])
        turn = turn_to_lps(reference.affine)  # the seed notebook slices along the third axis, S
        classes = None
        if probabilities is not None and pair.softmax and pair.scheme.is_tree:
            classes = pair.scheme.classes_from_regions(probabilities)
        found, left_out = seed_rows(
            pair.case_id,
            turn.apply(reference.array),
            turn.apply(prediction.array),
            scheme=pair.scheme,
            probabilities=None if classes is None else turn.apply(classes),
        )
        return Scored(pair.case_id, rows, found, left_out)
    except DataError as problem:
        return str(problem)
