"""`brats-unet evaluate run=…`: predict the held-out cases of a run, or of several, and score them."""

import sys
from collections.abc import Sequence
from pathlib import Path

from brats_unet.anatomy import Modality, Region
from brats_unet.commands.display import Display, shown
from brats_unet.commands.evaluate import tolerances_mm
from brats_unet.data.labels.convention import CONVENTIONS
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.mean_shape_file import kept_mean_shape
from brats_unet.evaluation.probabilities import PROBABILITIES, probability_file
from brats_unet.evaluation.record import PREDICTIONS
from brats_unet.evaluation.score import Pair
from brats_unet.evaluation.trivial import MeanShape
from brats_unet.inference.masks_folder import is_stale, mask_file, origin_of
from brats_unet.inference.predicting import open_networks, predict_cases, run_paths, told_how, tuned_rules
from brats_unet.inference.probability_maps import keep_nothing, keep_regions
from brats_unet.metrics.protocols import protocol_named
from brats_unet.report.scores import refuse_foreign_folder, report_scores
from brats_unet.run import Run, read_json
from brats_unet.settings import Evaluate
from brats_unet.volume import Case


def evaluate_run(settings: Evaluate) -> int:
    """Score one run on its held-out cases, or several on theirs: every case by a run that has not seen it."""
    with shown(json=settings.json) as display:
        runs = [Run(path) for path in run_paths(settings.run)]
        output = _output(settings, runs)
        cases = [held_out_cases(run) for run in runs]
        refuse_overlap(runs, cases)
        pairs = [
            pair
            for run, held_out in zip(runs, cases, strict=True)
            for pair in _predicted(run, held_out, settings, display)
        ]
        shapes: dict[str, MeanShape] = {}
        reasons = [
            _mean_shape(run, held_out, settings, display, shapes) for run, held_out in zip(runs, cases, strict=True)
        ]
        display.close()
        notes = []
        if settings.checkpoint == "best":
            notes.append("The best checkpoint was selected on these very cases: its scores flatter.")
        if settings.postprocess == "auto" and any(run.postprocessing_file.exists() for run in runs):
            notes.append(
                "The thresholds of the post-processing were chosen on these very cases: the gain that counts is the "
                "cross-fitted one in postprocessing.json."
            )
        report_scores(
            pairs,
            output,
            protocol=settings.protocol,
            tolerances_mm=tolerances_mm(settings),
            seed_scores=settings.seed_scores,
            figures=settings.figures,
            workers=settings.workers,
            title=", ".join(run.name for run in runs),
            note=" ".join(notes),
            shapes=shapes,
            shapes_left_out=" ".join(reason for reason in reasons if reason),
            command=sys.argv[1:],
            json=settings.json,
            progress=display.progress,
        )
        return 0


def held_out_cases(run: Run) -> list[Case]:
    """The cases that a run held out, with masks, as they lie on disk now.

    Raises:
        DataError: The run held none out, or some are no longer there.
    """
    settings = run.settings()["data"]
    wanted = _division(run)["validation"]
    if not wanted:
        raise DataError(
            f"{run.folder} was trained on every case (data.fold=all): none is left to evaluate it on. Predict other "
            f"cases with `brats-unet predict`, then `brats-unet evaluate predictions=… references=…`."
        )
    root = settings["validation_root"] or settings["root"]
    found = _with_masks(run, root)
    gone = [case_id for case_id in wanted if case_id not in found]
    if gone:
        raise DataError(f"{root}: {len(gone)} held-out cases of {run.folder} are gone, {gone[0]} first. Put them back.")
    return [found[case_id] for case_id in wanted]


def training_cases(run: Run) -> list[Case]:
    """The cases that a run was trained on, as they lie on disk now; DataError if one is no longer there."""
    root = run.settings()["data"]["root"]
    found = _with_masks(run, root)
    wanted = _division(run)["train"]
    gone = [case_id for case_id in wanted if case_id not in found]
    if gone:
        raise DataError(f"{root}: {len(gone)} training cases of {run.folder} are gone, {gone[0]} first.")
    return [found[case_id] for case_id in wanted]


def _division(run: Run) -> dict[str, list[str]]:
    return read_json(run.folds_file, what=f"{run.folder} has not begun to train")


def _with_masks(run: Run, root: str) -> dict[str, Case]:
    settings = run.settings()["data"]
    modalities = [Modality(name) for name in settings["modalities"]]
    dataset = find_cases(root, modalities=modalities, leave_out=settings["leave_out"])
    return {case.id: case for case in dataset.cases if case.mask is not None}


def _mean_shape(
    run: Run, held_out: Sequence[Case], settings: Evaluate, display: Display, shapes: dict[str, MeanShape]
) -> str:
    """Add the training cases' mean shape for each held-out case; why that cannot be, or ""."""
    try:
        shape = kept_mean_shape(
            run.mean_shape_file,
            training_cases(run),
            CONVENTIONS[run.recipe()["convention"]],
            workers=settings.workers,
            progress=lambda count, total: display.progress("Mean shape of the training cases", count, total),
        )
    except DataError as problem:  # the scores of the network do not depend on it
        return str(problem)
    shapes.update({case.id: shape for case in held_out})
    return ""


def evaluation_folder(run: Run, checkpoint: str) -> Path:
    """`evaluation/` in the run; `evaluation_best/` for the checkpoint that was selected on the held-out cases."""
    return run.evaluation_folder if checkpoint == "last" else run.folder / f"evaluation_{checkpoint}"


def _output(settings: Evaluate, runs: Sequence[Run]) -> Path:
    if settings.output is not None:
        refuse_foreign_folder(Path(settings.output))  # before the work, not after
        return Path(settings.output)
    if len(runs) > 1:
        raise SettingsError(f"output is not set. Say where the scores of {len(runs)} runs together go: output=….")
    return evaluation_folder(runs[0], settings.checkpoint)


def refuse_overlap(runs: Sequence[Run], cases: Sequence[Sequence[Case]]) -> None:
    """Raise SettingsError if two runs held out the same case."""
    seen: dict[str, Run] = {}
    for run, held_out in zip(runs, cases, strict=True):
        for case in held_out:
            if case.id in seen:
                raise SettingsError(
                    f"{case.id} was held out by {seen[case.id].folder} and by {run.folder}. Expected runs of different "
                    f"folds, so that each case is scored once."
                )
            seen[case.id] = run


def _predicted(run: Run, cases: Sequence[Case], settings: Evaluate, display: Display) -> list[Pair]:
    """The held-out cases of one run, predicted (or found predicted by the same weights), with where their masks are."""
    networks = open_networks([run.folder], checkpoint=settings.checkpoint, device=settings.device, say=display.say)
    networks = told_how(networks, mode=settings.mode, mirror=settings.mirror)
    rules = tuned_rules([run.folder], settings.postprocess, display.say)
    recipe = networks[0].recipe
    convention = CONVENTIONS[recipe["convention"]]
    output = evaluation_folder(run, settings.checkpoint) / PREDICTIONS
    softmax = recipe["outputs"] == "labels"
    seed_scores = settings.seed_scores or protocol_named(settings.protocol).seed_scores
    kept = settings.calibration or (softmax and seed_scores)
    folder = output / PROBABILITIES
    origin = origin_of(
        [run.folder],
        networks,
        checkpoint=settings.checkpoint,
        convention=convention.name,
        rules=rules,
        kept=[PROBABILITIES] if kept else [],
    )
    done = predict_cases(
        networks,
        cases,
        output,
        convention,
        rules=rules,
        origin=origin,
        overwrite=is_stale(output, origin),
        keep=keep_regions(folder, exact=softmax) if kept else keep_nothing,
        say=display.say,
        progress=lambda count, total: display.progress(f"Predicting {run.name}", count, total),
    )
    if done.failed:
        raise DataError("\n".join(done.failed.values()))
    return [
        Pair(
            case.id,
            case.mask,
            mask_file(output, case.id),
            case.images,
            convention,
            convention,
            {region: probability_file(folder, case.id, region) for region in Region} if kept else None,
            softmax,
        )
        for case in cases
        if case.mask is not None
    ]
