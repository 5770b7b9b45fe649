"""Score pairs of masks, write scores.csv, summary.json and figures/, and print the tables.

The trivial predictors, which ignore the scans, are always scored too; their scores have a file and table rows of their
own.
"""

import json as json_text
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from brats_unet.errors import SettingsError
from brats_unet.evaluation.case_facts import CaseFacts, case_facts
from brats_unet.evaluation.cohort import cohort_of
from brats_unet.evaluation.mask_paths import described_files
from brats_unet.evaluation.record import (
    CASES,
    EVALUATION_FILES,
    FIGURES,
    PAGE,
    SCORES,
    SEED_SCORES,
    SUMMARY,
    TRIVIAL_SCORES,
    write_rows,
)
from brats_unet.evaluation.score import Pair, Row, Scored, score_cases
from brats_unet.evaluation.summary import Summary, summarise
from brats_unet.evaluation.trivial import MeanShape, TrivialRow, score_trivial
from brats_unet.file_kinds.json_kinds import SummaryFile
from brats_unet.files import entries, explain_write_errors, remove_file
from brats_unet.json_files import recorded_json, write_json
from brats_unet.metrics import package_facts
from brats_unet.metrics.empty import is_undefined
from brats_unet.metrics.protocols import TOLERANCES_MM, protocol_named
from brats_unet.metrics.seed import SeedRow
from brats_unet.private_paths import short_command, short_text
from brats_unet.report.cohort_tables import print_cohort
from brats_unet.report.console import PlainConsole
from brats_unet.report.drawing import Drawing, case_title, draw_cases
from brats_unet.report.paper_figures import SUFFIXES
from brats_unet.report.run_facts import runs_in
from brats_unet.report.tables import print_summary
from brats_unet.run import ENSEMBLE, FOLDS_TABLE, Run
from brats_unet.run_lock import LOCK

__all__ = ["refuse_foreign_folder", "report_scores"]

SYNTHETIC = "Synthetic cases (phantoms): these scores say nothing about patients."

# Called with (task, done, total).
Progress = Callable[[str, int, int], None]


def report_scores(
    pairs: Sequence[Pair],
    output: Path | None,
    *,
    protocol: str = "brats2020",
    tolerances_mm: Sequence[float] = TOLERANCES_MM,
    seed_scores: bool = True,
    figures: bool = True,
    workers: int = 0,
    title: str = "",
    note: str = "",
    synthetic: bool = False,
    date: str = "",
    not_scored: Sequence[str] = (),
    failed: Mapping[str, str] | None = None,
    shapes: Mapping[str, MeanShape] | None = None,
    shapes_left_out: str = "",
    trained_on: Mapping[str, str] | None = None,
    command: Sequence[str] = (),
    notes: Sequence[str] = (),
    json: bool = False,
    progress: Progress | None = None,
) -> Summary:
    """Score pairs of masks, write the results and print them. Nothing is written before every case has been scored.

    Args:
        pairs: References and predictions to compare; for a pair without a prediction, an empty mask is scored, or what
            the protocol says of it.
        output: Folder to write to, created if needed; None prints the tables only.
        protocol: Key of `metrics.protocols.PROTOCOLS`; "seed" always computes the seed-notebook scores.
        tolerances_mm: Tolerances of the surface Dice, in millimetres.
        seed_scores: Whether to compute the seed-notebook scores too, for a file and a table of their own, if the scheme
            has them.
        figures: Whether to draw each case; needs `output`.
        workers: Number of processes; 0 starts one per core.
        title: What is evaluated, for tables and the page.
        note: A caveat to read with the scores.
        synthetic: Whether some cases are phantoms; then tables, figures and the page say so.
        date: Day of the evaluation, such as 2026-11-29, recorded for the page.
        not_scored: Predictions without a reference.
        failed: Cases that could not be scored and are left out, each with the reason.
        shapes: Mean shape for each case, made from training cases that do not include it.
        shapes_left_out: Why there is no mean shape, or "".
        trained_on: Cases that the network was trained on, each with what shows it.
        command: Command-line arguments, recorded so that the evaluation can be repeated.
        notes: Sentences that were told before; the JSON document holds them.
        json: Print one JSON document (the content of summary.json, and `notes`) instead of the tables.
        progress: Called with (task, done, total).

    Raises:
        DataError: Masks cannot be read, or lie on different grids.
        SettingsError: The protocol or a tolerance is not valid, or `output` holds other files.
        MachineError: The disk is full.
    """
    log = progress or (lambda what, done, total: None)
    if output is not None:
        refuse_foreign_folder(output)
    scored = score_cases(
        pairs,
        protocol=protocol,
        tolerances_mm=tolerances_mm,
        seed_scores=seed_scores or protocol_named(protocol).seed_scores,
        workers=workers,
        progress=lambda done, total: log("Scoring", done, total),
    )
    trivial = score_trivial(
        pairs,
        shapes or {},
        protocol=protocol,
        tolerances_mm=tolerances_mm,
        workers=workers,
        progress=lambda done, total: log("Scoring trivial predictors", done, total),
    )
    facts = case_facts(pairs, workers=workers, progress=lambda done, total: log("Locating regions", done, total))
    missing = [pair.case_id for pair in pairs if pair.prediction is None]
    summary = summarise(
        scored,
        scheme=pairs[0].scheme,
        protocol=protocol,
        title=title,
        note=" ".join(filter(None, (SYNTHETIC if synthetic else "", note))),
        synthetic=synthetic,
        missing=missing,
        not_scored=not_scored,
        failed={case_id: short_text(reason) for case_id, reason in (failed or {}).items()},
        trivial=trivial,
        trivial_left_out=shapes_left_out,
        trained_on=trained_on,
    )
    packages = package_facts()
    content = summary.as_json() | ({"package_metrics": packages} if packages else {})
    if output is not None:
        with explain_write_errors(output):
            output.mkdir(parents=True, exist_ok=True)
        _remove_earlier_files(output)
        write_rows(output / SCORES, Row, [row for case in scored for row in case.rows])
        write_rows(output / CASES, CaseFacts, facts)
        write_rows(output / TRIVIAL_SCORES, TrivialRow, [row for case in trivial for row in case.rows])
        if seed_rows := [row for case in scored for row in case.seed_rows]:
            write_rows(output / SEED_SCORES, SeedRow, seed_rows)
        drawn: list[str] = []
        if figures:
            drawn = _draw(pairs, scored, output / FIGURES, synthetic, workers, log)
        document = {
            **content,
            "figures": drawn,
            "files": described_files(pairs, output),
            "command": short_command(command),
            "date": date,
        }
        write_json(output / SUMMARY, document)
    if json:
        print(json_text.dumps({**content, "notes": list(notes)}, indent=2, ensure_ascii=False))
    else:
        console = PlainConsole()
        distributions: dict[str, list[float]] = {}
        for row in (row for case in scored for row in case.rows if row.metric == "dice"):
            if not is_undefined(row.value):
                distributions.setdefault(row.region, []).append(row.value)
        print_summary(console, summary, distributions)
        print_cohort(console, cohort_of([row for case in scored for row in case.rows], facts))
        if output is not None:
            console.print(f"\n  Written to {output}: {', '.join(_written(output))}", soft_wrap=True)
    return summary


def refuse_foreign_folder(output: Path) -> None:
    """Raise SettingsError if `output` is a file, or holds files that an evaluation does not write."""
    if output.exists() and not output.is_dir():
        raise SettingsError(f"output={output} is a file. Give a new or empty folder.")
    run = Run(output)
    allowed = {*EVALUATION_FILES, *([] if run.was_started else [run.settings_file.name])}
    if (output / LOCK).is_file() or (output / ENSEMBLE).is_file():  # a cross-validation, with a run for each fold
        allowed |= {LOCK, ENSEMBLE, FOLDS_TABLE, *(run.name for run in runs_in(output))}
    foreign = sorted(entry.name for entry in entries(output) if entry.name not in allowed)
    if foreign:
        listed = ", ".join(foreign[:3]) + (", …" if len(foreign) > 3 else "")
        raise SettingsError(
            f"output={output} holds other files ({listed}). Give a new folder, an empty one, or that of an evaluation."
        )


def _draw(
    pairs: Sequence[Pair], scored: Sequence[Scored], folder: Path, synthetic: bool, workers: int, log: Progress
) -> list[str]:
    with explain_write_errors(folder):
        folder.mkdir(exist_ok=True)
    drawings = [
        Drawing(
            pair,
            {(row.region, row.metric): row.value for row in case.rows},
            folder / f"{pair.case_id}.png",
            case_title(pair.case_id, synthetic=synthetic),
        )
        for pair, case in zip(pairs, scored, strict=True)
    ]
    draw_cases(drawings, workers=workers, progress=lambda done, total: log("Drawing", done, total))
    return [drawing.path.name for drawing in drawings]


def _remove_earlier_files(output: Path) -> None:
    """Remove files of an earlier evaluation that this one may not overwrite, so that no outdated file remains."""
    earlier = recorded_json(output / SUMMARY, SummaryFile) or {}
    drawn = [
        *earlier.get("figures", []),
        *(f"{case}{suffix}" for case in earlier.get("files", {}) for suffix in SUFFIXES),
    ]
    if (output / FIGURES).is_symlink():  # the figures that it leads to stay
        remove_file(output / FIGURES)
    for path in (
        output / SUMMARY,
        output / SEED_SCORES,
        output / PAGE,
        *(output / FIGURES / Path(name).name for name in drawn),
    ):
        remove_file(path)
    if (output / FIGURES).is_dir() and not any((output / FIGURES).iterdir()):
        (output / FIGURES).rmdir()


def _written(output: Path) -> list[str]:
    return [name + ("/" if (output / name).is_dir() else "") for name in EVALUATION_FILES if (output / name).exists()]
