"""Draw the cases of an evaluation: read both masks and the best scans, and pass them to `figures.case_figure`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brats_unet.errors import DataError
from brats_unet.evaluation.score import Pair, read_labels
from brats_unet.modality import Modality, in_order
from brats_unet.processes import map_in_processes
from brats_unet.scan_files import read_scan
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import turn_to_lps

# Scans to draw whole, the one that shows most tissue first.
PREFERRED = (Modality.FLAIR, Modality.T1CE, Modality.T2, Modality.T1)


@dataclass(frozen=True)
class Drawing:
    """One figure to draw.

    Attributes:
        pair: Masks and scans of the case.
        scores: Scores to print over the figure, by (region, metric).
        path: PNG, PDF or SVG file to write.
        title: Title of the figure.
        column: Column of a journal that it is as wide as, on white (a key of `paper.COLUMNS`); "" for the screen.
    """

    pair: Pair
    scores: Mapping[tuple[str, str], float]
    path: Path
    title: str
    column: str = ""


def case_title(case_id: str, *, synthetic: bool) -> str:
    """Title of the figure of a case."""
    return f"{case_id} (synthetic)" if synthetic else case_id


def draw_cases(
    drawings: Sequence[Drawing], *, workers: int = 0, progress: Callable[[int, int], None] | None = None
) -> None:
    """Draw cases in parallel.

    Args:
        drawings: Figures to draw.
        workers: Number of processes; 0 starts one per core.
        progress: Called with (done, total) after each figure.

    Raises:
        DataError: A file cannot be read, or a scan and its mask differ in shape.
    """
    map_in_processes(draw_case, drawings, seconds_each=0.8, workers=workers, progress=progress)


def draw_case(drawing: Drawing) -> None:
    """Draw one figure and write it.

    Raises:
        DataError: A file cannot be read, or a scan and its mask differ in shape.
    """
    from brats_unet.report.figures import case_figure  # importing matplotlib takes half a second; not every call draws
    from brats_unet.report.paper import SCREEN, print_look

    pair = drawing.pair
    reference, prediction = read_labels(pair)
    turn = turn_to_lps(reference.affine)
    scheme = pair.scheme
    images: dict[Modality, np.ndarray] = {}
    for modality in scans_to_draw(pair.images or {}, scheme):
        file = (pair.images or {})[modality]
        array = read_scan(file).array
        if array.shape != reference.array.shape:
            raise DataError(
                f"{file.path}: shape {array.shape}. Expected {reference.array.shape}, the shape of its mask."
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
        scheme=scheme,
        spacing_mm=(spacing[turn.axes[0]], spacing[turn.axes[1]], spacing[turn.axes[2]]),
        spacing_known=reference.spacing_known,
        look=print_look(drawing.column) if drawing.column else SCREEN,
    )


def scans_to_draw(given: Collection[Modality], scheme: Scheme) -> list[Modality]:
    """The scans that a figure shows: those on which the scored regions are seen best, or as many others."""
    best = {scheme.regions[region].seen_on for region in scheme.scored}
    known = list(dict.fromkeys([m for m in (*PREFERRED, *in_order(given)) if m in given]))
    return sorted(known, key=lambda modality: modality not in best)[: len(best)]
