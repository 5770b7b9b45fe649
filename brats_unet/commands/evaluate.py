"""`brats-unet evaluate`: score a run on its held-out cases, or a folder of masks against another."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from brats_unet.assembly.networks import open_networks, postprocessing_of, run_paths, with_inference_options
from brats_unet.assembly.scored_cases import RunCases, scored_cases, trained_on_sentence
from brats_unet.commands.display import Display, open_display, open_shared_display
from brats_unet.data.readers.discovery import three_lengths
from brats_unet.data.run_cases import refuse_overlap, training_cases
from brats_unet.distributed.workers import Workers
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.folders import pair_folders
from brats_unet.evaluation.mean_shape_file import cached_mean_shape
from brats_unet.evaluation.probability_files import with_probabilities
from brats_unet.evaluation.score import Pair
from brats_unet.evaluation.trivial import MeanShape
from brats_unet.files import remove_file
from brats_unet.inference.masks_folder import is_stale, origin_of
from brats_unet.inference.predicting import predict_cases
from brats_unet.inference.probability_maps import keep_nothing, keep_regions
from brats_unet.metrics import metrics_of
from brats_unet.metrics.protocols import SEED, protocol_for, protocol_named, tolerances_of
from brats_unet.private_paths import short_text
from brats_unet.report.scores import refuse_foreign_folder, report_scores
from brats_unet.run import PREDICTIONS, PROBABILITIES, Run, mask_file, probability_file
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import builtin, scheme_in, scheme_of
from brats_unet.settings import Evaluate, SideLabels


def main(settings: Evaluate) -> int:
    """Score a run or two folders of masks, as the settings say; always exit code 0.

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


def evaluate_run(settings: Evaluate) -> int:
    """Score runs, each on the cases it held out of training, or one run on those of data.root; exit code 0."""
    with open_shared_display(json=settings.json, device=settings.device) as (display, workers):
        workers.agree("settings", asdict(settings), "Start every worker with the same command.")
        runs = [Run(path) for path in run_paths(settings.run)]
        if settings.output is not None:
            refuse_foreign_folder(Path(settings.output))  # before any work
        elif len(runs) > 1:
            raise SettingsError(f"output is not set. Give a folder for the scores of the {len(runs)} runs: output=….")
        chosen = scored_cases(settings, runs, display.log)
        output = _output_folder(settings, chosen)
        protocol = _protocol(settings, chosen[0].convention.scheme, display)
        refuse_overlap(runs, [one.cases for one in chosen])
        pairs = [pair for one in chosen for pair in _predicted(one, settings, display, workers)]
        if not workers.is_chief:
            return 0
        shapes: dict[str, MeanShape] = {}
        reasons = [_add_mean_shape(one, settings, display, shapes) for one in chosen]
        display.close()
        trained_on = chosen[0].trained_on or {}  # of several runs, only held-out cases are scored
        notes = [trained_on_sentence(trained_on, len(pairs))] if trained_on else []
        held_out = any(one.held_out for one in chosen)
        if held_out and settings.checkpoint == "best":
            notes.append("The best checkpoint was selected on these same cases: its scores are biased upwards.")
        if held_out and settings.postprocess == "auto" and any(run.postprocessing_file.exists() for run in runs):
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
            title=", ".join(run.name for run in runs) + (f" on {chosen[0].name}" if chosen[0].name else ""),
            note=" ".join(notes),
            shapes=shapes,
            shapes_left_out=" ".join(reason for reason in reasons if reason),
            trained_on=trained_on,
            command=sys.argv[1:],
            notes=display.notes,
            json=settings.json,
            progress=display.progress,
        )
        return 0


def _protocol(settings: Evaluate, scheme: Scheme, display: Display) -> str:
    name, why = protocol_for(settings.protocol, scheme)
    display.log(f"Protocol: {name} ({why}).")
    return name


def _output_folder(settings: Evaluate, chosen: Sequence[RunCases]) -> Path:
    if settings.output is not None:
        return Path(settings.output)
    refuse_foreign_folder(chosen[0].folder)
    return chosen[0].folder


def _predicted(one: RunCases, settings: Evaluate, display: Display, workers: Workers) -> list[Pair]:
    """Predict the cases to score with one run, except those already predicted by the same weights; pairs to score."""
    run = one.run
    networks = open_networks([run.folder], checkpoint=settings.checkpoint, device=settings.device, log=display.log)
    networks = with_inference_options(networks, mode=settings.mode, mirror=settings.mirror)
    rules = postprocessing_of([run.folder], settings.postprocess, networks[0].scheme, display.log)
    recipe = networks[0].recipe
    convention = conventions(scheme_in(recipe))[recipe["convention"]]
    output = one.folder / PREDICTIONS
    softmax = recipe["outputs"] == "labels"
    seed_scores = settings.seed_scores or protocol_for(settings.protocol, convention.scheme)[0] == SEED
    keeps_probabilities = settings.calibration or (softmax and seed_scores)
    probabilities = output / PROBABILITIES
    origin = origin_of(
        [run.folder],
        networks,
        checkpoint=settings.checkpoint,
        convention=convention.name,
        rules=rules,
        kept=[PROBABILITIES] if keeps_probabilities else [],
    )
    origin |= {"data": one.data} if one.data else {}
    stale = is_stale(output, origin)
    workers.gather("stale masks", None)
    if stale and output.is_symlink() and workers.is_chief:
        remove_file(output)
    done = predict_cases(
        networks,
        one.cases,
        output,
        convention,
        rules=rules,
        origin=origin,
        overwrite=stale,
        keep=keep_regions(probabilities, convention.scheme, exact=softmax) if keeps_probabilities else keep_nothing,
        log=display.log,
        progress=lambda count, total: display.progress(f"Predicting {run.name}", count, total),
        workers=workers,
    )
    if done.failed:
        raise DataError("\n".join(done.failed.values()))
    regions = convention.scheme.predicted
    return [
        Pair(
            case.id,
            case.mask,
            mask_file(output, case.id),
            case.images,
            one.convention,
            convention,
            {region: probability_file(probabilities, case.id, region) for region in regions}
            if keeps_probabilities
            else None,
            softmax,
            case.stratum or "",
            case.absent,
        )
        for case in one.cases
        if case.mask is not None
    ]


def _add_mean_shape(one: RunCases, settings: Evaluate, display: Display, shapes: dict[str, MeanShape]) -> str:
    """Add the mean shape of the training cases to `shapes` for each case not trained on; returns why not, or ""."""
    recipe, root = one.run.recipe(), one.training_root
    try:
        shape = cached_mean_shape(
            one.run.mean_shape_file,
            training_cases(one.run, root),
            conventions(scheme_in(recipe))[recipe["convention"]],
            workers=settings.workers,
            progress=lambda count, total: display.progress("Mean shape of the training cases", count, total),
        )
    except DataError as problem:  # not fatal: the scores of the network do not depend on it
        return short_text(str(problem), [Path(root or one.run.settings()["data"]["root"])])
    shapes.update({case.id: shape for case in one.cases if case.id not in (one.trained_on or {})})
    return ""


def evaluate_folders(settings: Evaluate, predictions: Path, references: Path) -> int:
    """Score the masks of one folder against those of another; exit code 0."""
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
            not_scored=paired.not_scored,
            failed=paired.failed,
            shapes_left_out="Two folders of masks have no training cases.",
            command=sys.argv[1:],
            notes=display.notes,
            json=settings.json,
            progress=display.progress,
        )
    return 0
