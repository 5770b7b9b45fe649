"""`brats-unet evaluate`: score a run on its held-out cases, or a folder of masks against another."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path

from brats_unet.assembly.networks import postprocessing_of, run_paths
from brats_unet.assembly.predicted_pairs import add_mean_shape, predicted
from brats_unet.assembly.prediction_terms import prediction_sentence
from brats_unet.assembly.scored_cases import RunCases, scored_cases, trained_on_sentence
from brats_unet.commands.display import Display, open_display, open_shared_display
from brats_unet.data.phantom.phantoms import is_phantom
from brats_unet.data.readers.discovery import three_lengths
from brats_unet.data.run_cases import refuse_overlap
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.folders import pair_folders
from brats_unet.evaluation.probability_files import with_probabilities
from brats_unet.evaluation.score import Pair
from brats_unet.evaluation.trivial import MeanShape
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.metrics import metrics_of
from brats_unet.metrics.protocols import protocol_for, protocol_named, tolerances_of
from brats_unet.report.scores import refuse_foreign_folder, report_scores
from brats_unet.run import ENSEMBLE, Run
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin, scheme_of
from brats_unet.settings import Evaluate, SideLabels


def main(settings: Evaluate) -> int:
    """Score a run or two folders of masks, as the settings say; always exit code 0. Raises what `evaluated` does."""
    evaluated(settings)
    return 0


def evaluated(settings: Evaluate) -> Path | None:
    """Score a run or two folders of masks, and print the scores.

    Returns:
        The folder with the scores; None if they were only printed, or if this worker is not the chief.

    Raises:
        SettingsError: The settings name neither or both, or an unknown protocol or tolerance, or a package's metric is
            broken.
        DataError: Masks or scans are missing or broken.
    """
    protocol, _ = protocol_for(settings.protocol, builtin())
    metrics_of(protocol_named(protocol))  # a broken metric of a package is refused before any work
    tolerances_of(settings.tolerances_mm)
    if settings.run is not None:
        if settings.predictions is not None or settings.references is not None:
            raise SettingsError("Give run=…, or predictions=… and references=…, not both.")
        return evaluate_run(settings)
    if settings.data.root is not None:
        raise SettingsError("data.root=… holds cases for a run to score. Give run=… too, or references=… alone.")
    if settings.predictions is None or settings.references is None:
        missing = " and ".join(name for name in ("predictions", "references") if getattr(settings, name) is None)
        raise SettingsError(
            f"Nothing to evaluate: {missing} not set. Give run=runs/<name>, or two folders of masks: "
            "predictions=<folder> references=<folder> output=<folder>."
        )
    return evaluate_folders(settings, Path(settings.predictions), Path(settings.references))


def evaluate_run(settings: Evaluate) -> Path | None:
    """Score runs, each on the cases it held out of training, or one run on those of data.root; see `evaluated`."""
    with open_shared_display(json=settings.json, device=settings.device) as (display, workers):
        workers.agree("settings", asdict(settings), "Start every worker with the same command.")
        runs = [Run(path) for path in run_paths(settings.run)]
        together = _ensemble(settings.run)
        output_setting = settings.output or (None if together is None else str(together))
        if output_setting is not None:
            refuse_foreign_folder(Path(output_setting))  # before any work
        elif len(runs) > 1:
            raise SettingsError(f"output is not set. Give a folder for the scores of the {len(runs)} runs: output=….")
        chosen = scored_cases(settings, runs, display.log)
        output = _output_folder(output_setting, chosen)
        protocol = _protocol(settings, chosen[0].convention.scheme, display)
        refuse_overlap(runs, [one.cases for one in chosen])
        pairs = [
            pair
            for one in chosen
            for pair in predicted(one, settings, workers, log=display.log, progress=display.progress)
        ]
        if not workers.is_chief:
            return None
        scheme = chosen[0].convention.scheme
        rules = [postprocessing_of([run.folder], settings.postprocess, scheme, lambda text: None) for run in runs]
        display.log(prediction_sentence(settings, runs, rules))
        shapes: dict[str, MeanShape] = {}
        reasons = [add_mean_shape(one, settings, shapes, display.progress) for one in chosen]
        display.close()
        trained_on = chosen[0].trained_on or {}  # of several runs, only held-out cases are scored
        notes = [trained_on_sentence(trained_on, len(pairs))] if trained_on else []
        held_out = any(one.held_out for one in chosen)
        if held_out and settings.checkpoint == "best":
            notes.append("The best checkpoint was selected on these same cases: its scores are biased upwards.")
        tuned = [one for one, run in zip(rules, runs, strict=True) if run.postprocessing_file.exists()]
        if held_out and settings.postprocess == "auto" and any(one != Postprocessing() for one in tuned):
            notes.append(
                "The post-processing was tuned on these same cases: the scores are biased upwards. The unbiased gain "
                "is the cross-fitted one in postprocessing.json."
            )
        report_scores(
            pairs,
            output,
            protocol=protocol,
            tolerances_mm=tolerances_of(settings.tolerances_mm, protocol),
            seed_scores=settings.seed_scores,
            figures=settings.figures,
            workers=settings.workers,
            title=(together.resolve().name if together else ", ".join(run.name for run in runs))
            + (f" on {chosen[0].name}" if chosen[0].name else ""),
            note=" ".join(notes),
            synthetic=_synthetic(pairs),
            date=date.today().isoformat(),
            shapes=shapes,
            shapes_left_out=" ".join(reason for reason in reasons if reason),
            trained_on=trained_on,
            command=sys.argv[1:],
            notes=display.notes,
            json=settings.json,
            progress=display.progress,
        )
        page = runs[0].folder if output == runs[0].evaluation_folder() else output
        display.log(f"  Next: brats-unet report {shlex.quote(str(page))}")
        return output


def _synthetic(pairs: Sequence[Pair]) -> bool:
    return any(is_phantom(pair.reference) for pair in pairs)


def _protocol(settings: Evaluate, scheme: Scheme, display: Display) -> str:
    name, why = protocol_for(settings.protocol, scheme)
    display.log(f"Protocol: {name} ({why}).")
    return name


def _ensemble(run: str | list[str] | None) -> Path | None:
    """The folder of the ensemble that is scored out of fold; None for runs."""
    named = [run] if isinstance(run, str) else run or []
    return Path(named[0]) if len(named) == 1 and (Path(named[0]) / ENSEMBLE).is_file() else None


def _output_folder(output: str | None, chosen: Sequence[RunCases]) -> Path:
    if output is not None:
        return Path(output)
    refuse_foreign_folder(chosen[0].folder)
    return chosen[0].folder


def evaluate_folders(settings: Evaluate, predictions: Path, references: Path) -> Path | None:
    """Score the masks of one folder against those of another; see `evaluated`."""
    output = Path(settings.output) if settings.output is not None else None
    if output is not None:
        refuse_foreign_folder(output)  # before any work
    for name, folder in (("predictions", predictions), ("references", references)):
        if not folder.is_dir():
            found = "is a file" if folder.exists() else "no such folder"
            raise DataError(f"{name}={folder}: {found}. Give a folder of masks.")
        if output is not None and output.resolve() == folder.resolve():
            raise SettingsError(f"output={output} is the folder of the {name}. Give another folder.")
    labels = SideLabels(settings.labels, settings.labels) if isinstance(settings.labels, str) else settings.labels
    with open_display(json=settings.json) as display:
        paired = pair_folders(
            predictions,
            references,
            scheme=None if settings.scheme is None else scheme_of(settings.scheme),
            labels=labels.references,
            prediction_labels=labels.predictions,
            spacing_mm=None if settings.spacing_mm is None else three_lengths(settings.spacing_mm),
            allow_missing=settings.allow_missing,
            protocol=settings.protocol,
            workers=settings.workers,
            progress=lambda done, total: display.progress("Reading masks", done, total),
        )
        for note in paired.notes:
            display.log(note)
        protocol = _protocol(settings, paired.convention.scheme, display)
        pairs = paired.pairs
        report_scores(
            with_probabilities(pairs, predictions, workers=settings.workers) if settings.calibration else pairs,
            output,
            protocol=protocol,
            tolerances_mm=tolerances_of(settings.tolerances_mm, protocol),
            seed_scores=settings.seed_scores,
            figures=settings.figures,
            workers=settings.workers,
            title=predictions.resolve().name,
            synthetic=_synthetic(pairs),
            date=date.today().isoformat(),
            not_scored=paired.not_scored,
            failed=paired.failed,
            shapes_left_out="Two folders of masks have no training cases.",
            command=sys.argv[1:],
            notes=display.notes,
            json=settings.json,
            progress=display.progress,
        )
    return output
