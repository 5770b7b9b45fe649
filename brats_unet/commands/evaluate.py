"""`brats-unet evaluate`: score a run on its held-out cases, or one folder of masks against another."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from brats_unet.commands.display import shown
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.folders import pair_folders, with_probabilities
from brats_unet.evaluation.score import Pair
from brats_unet.hardware import tensorflow_starts_quietly
from brats_unet.metrics.protocols import protocol_named, require_tolerances
from brats_unet.report.scores import refuse_foreign_folder, report_scores
from brats_unet.settings import Evaluate


def main(settings: Evaluate) -> int:
    """Score what the settings name; the exit code."""
    protocol_named(settings.protocol)
    require_tolerances(tolerances_mm(settings))
    if settings.run is not None:
        if settings.predictions is not None or settings.references is not None:
            raise SettingsError("Give run=…, or predictions=… and references=…, not both.")
        with tensorflow_starts_quietly():
            from brats_unet.commands.evaluate_run import evaluate_run

        return evaluate_run(settings)
    if settings.predictions is None or settings.references is None:
        lacking = " and ".join(name for name in ("predictions", "references") if getattr(settings, name) is None)
        raise SettingsError(
            f"Nothing to evaluate: {lacking} not set. Give run=runs/<name>, or two folders of masks: "
            "predictions=<folder> references=<folder> output=<folder>."
        )
    return evaluate_folders(settings, Path(settings.predictions), Path(settings.references))


def evaluate_folders(settings: Evaluate, predictions: Path, references: Path) -> int:
    """Score the masks of one folder against those of another."""
    output = Path(settings.output) if settings.output is not None else None
    if output is not None:
        refuse_foreign_folder(output)  # before the work, not after
        for name, folder in (("predictions", predictions), ("references", references)):
            if output.resolve() == folder.resolve():
                raise SettingsError(f"output={output} is the folder of the {name}. Give another.")
    for name, folder in (("predictions", predictions), ("references", references)):
        if not folder.is_dir():
            raise DataError(
                f"{name}={folder}: {'is a file' if folder.exists() else 'no such folder'}. Give a folder of masks."
            )
    with shown(json=settings.json) as display:
        paired = pair_folders(
            predictions,
            references,
            labels=settings.labels,
            allow_missing=settings.allow_missing,
            workers=settings.workers,
            progress=lambda done, total: display.progress("Reading masks", done, total),
        )
        display.say(f"Labels: {paired.convention.name} ({paired.convention.why}).")
        pairs: Sequence[Pair] = paired.pairs
        if settings.calibration:
            pairs = with_probabilities(pairs, predictions, workers=settings.workers)
        report_scores(
            pairs,
            output,
            protocol=settings.protocol,
            tolerances_mm=tolerances_mm(settings),
            seed_scores=settings.seed_scores,
            figures=settings.figures,
            workers=settings.workers,
            title=predictions.resolve().name,
            not_scored=paired.not_scored,
            shapes_left_out="Two folders of masks name no training cases.",
            command=sys.argv[1:],
            json=settings.json,
            progress=display.progress,
        )
    return 0


def tolerances_mm(settings: Evaluate) -> list[float]:
    """The setting of this name as a list.

    Raises:
        SettingsError: It holds something else than numbers.
    """
    given = settings.tolerances_mm
    found = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in found):
        raise SettingsError(f"tolerances_mm={given} is no list of millimetres. Give numbers: tolerances_mm=[1,2].")
    return [float(value) for value in found]
