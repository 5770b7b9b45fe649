"""Figures for a paper, on white and as wide as a journal's column: PDF and SVG beside the PNGs of a run."""

from collections.abc import Callable, Sequence
from pathlib import Path

from brats_unet.evaluation.mask_paths import pairs_of
from brats_unet.evaluation.record import FIGURES, Evaluation
from brats_unet.files import explain_write_errors
from brats_unet.report.drawing import Drawing, case_title, draw_cases
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import scheme_in

SUFFIXES = (".pdf", ".svg")


def write_paper_figures(
    evaluation: Evaluation,
    run: Run | None,
    cases: Sequence[str],
    *,
    column: str,
    synthetic: bool,
    data_root: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Path], list[str]]:
    """Draw cases of an evaluation, and the curves of its run.

    Args:
        evaluation: The evaluation; its folder gets the figures of the cases.
        run: The run that was evaluated, if any; its folder gets the curves.
        cases: Ids of scored cases.
        column: Key of `paper.COLUMNS`.
        synthetic: Whether some cases are phantoms.
        data_root: Folder of the scans and expert masks; None: where they were when they were scored.
        progress: Called with (done, total) after each figure.

    Returns:
        The written files, and a sentence for each case that could not be drawn.

    Raises:
        DataError: A file cannot be read, or a scan and its mask differ in shape.
        MachineError: The disk is full.
    """
    from brats_unet.report.curves import training_curves  # matplotlib takes half a second
    from brats_unet.report.paper import print_look

    pairs, values, folder = pairs_of(evaluation, data_root), evaluation.values(), evaluation.file.parent / FIGURES
    drawings, problems = [], []
    for case in dict.fromkeys(cases):
        pair = pairs.get(case)
        lacking = (
            [] if pair is None else [path for path in (pair.reference, pair.prediction) if path and not path.exists()]
        )
        if pair is None or lacking:
            problems.append(f"{case}: no figure for a paper without {lacking[0] if lacking else 'its masks'}.")
            continue
        scores = {(region, metric): value for (of, region, metric), value in values.items() if of == case}
        title = case_title(case, synthetic=synthetic)
        drawings += [Drawing(pair, scores, folder / f"{case}{suffix}", title, column) for suffix in SUFFIXES]
    with explain_write_errors(folder):
        folder.mkdir(exist_ok=True)
    draw_cases(drawings, progress=progress)
    written = [drawing.path for drawing in drawings]
    if run is not None and (journal := run.journal()):
        scheme = scheme_in(run.recipe()) if run.recipe_file.is_file() else evaluation.scheme
        for suffix in SUFFIXES:
            written.append(run.training_figure(suffix))
            written[-1].parent.mkdir(exist_ok=True)
            training_curves(journal, written[-1], scheme=scheme, synthetic=synthetic, look=print_look(column))
    return written, problems
