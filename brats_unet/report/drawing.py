"""Draw the cases of an evaluation: read both masks and two scans, and hand them to `figures.case_figure`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brats_unet.anatomy import Modality
from brats_unet.errors import DataError
from brats_unet.evaluation.score import Pair, read_labels
from brats_unet.nifti import read_volume
from brats_unet.processes import map_in_processes
from brats_unet.volume import turn_to_lps


@dataclass(frozen=True)
class Drawing:
    """One picture to draw: whose, the scores to write over it by (region, metric), where to, and its title."""

    pair: Pair
    scores: Mapping[tuple[str, str], float]
    path: Path
    title: str


def draw_cases(
    drawings: Sequence[Drawing], *, workers: int = 0, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draw cases in processes; `progress` is called with (done, total) after each."""
    map_in_processes(draw_case, drawings, seconds_each=0.8, workers=workers, progress=progress)


def draw_case(drawing: Drawing) -> None:
    """One picture, as PNG.

    Raises:
        DataError: A file cannot be read, or a scan does not fit its mask.
    """
    from brats_unet.report.figures import case_figure  # matplotlib takes half a second, and is not always wanted

    pair = drawing.pair
    reference, prediction = read_labels(pair)
    turn = turn_to_lps(reference.affine)
    images: dict[Modality, np.ndarray] = {}
    for modality in (Modality.FLAIR, Modality.T1CE, Modality.T2, Modality.T1):
        file = (pair.images or {}).get(modality)
        if file is not None and len(images) < 2:
            array = read_volume(file.path, file.channel).array
            if array.shape != reference.array.shape:
                raise DataError(
                    f"{file.path}: shape {array.shape}. Expected {reference.array.shape}, that of its mask."
                )
            images[modality] = turn.apply(array)
    spacing = reference.spacing_mm
    case_figure(
        images,
        turn.apply(reference.array),
        turn.apply(prediction.array) if pair.prediction is not None else None,
        drawing.scores,
        drawing.path,
        drawing.title,
        spacing_mm=(spacing[turn.axes[0]], spacing[turn.axes[1]], spacing[turn.axes[2]]),
    )
