"""`brats-unet tune`: choose the post-processing of probabilities on held-out cases; store it beside the network."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from brats_unet.assembly.networks import (
    convention_to_write,
    open_networks,
    refuse_other_schemes,
    run_paths,
    with_inference_options,
)
from brats_unet.commands.display import Display, open_display
from brats_unet.data.run_cases import held_out_cases, memo_for, moved_cases, refuse_overlap
from brats_unet.errors import CheckpointError, DataError, SettingsError
from brats_unet.file_kinds.saved_arrays import arrays_in
from brats_unet.files import atomic_path, remove_file
from brats_unet.geometry import bounding_box, crop
from brats_unet.inference.ensemble import EnsemblePrediction, predict_ensemble
from brats_unet.inference.masks_folder import is_stale, origin_of
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.predicting import prepared_for
from brats_unet.inference.rule_losses import HeldOut
from brats_unet.inference.tuning import FEW_CASES, Tuned, refuse_invalid, too_few_patients, tune
from brats_unet.json_files import write_json
from brats_unet.prefetch import prefetched
from brats_unet.run import PREDICTIONS_MARK, Run
from brats_unet.scan_files import read_mask, spacing_known
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in
from brats_unet.settings import MovedData, Tune
from brats_unet.volume import Case

TUNING = "tuning"  # sub-folder of a run: probabilities of the held-out cases
LEAST_PROBABILITY = 0.05  # a voxel below this in every region stays background under every candidate rule


def main(settings: Tune) -> int:
    """Tune; always exit code 0, also if no rule improves the scores.

    Raises:
        SettingsError: An unknown metric or rule, or runs that hold out the same case.
        DataError: A held-out case is missing or broken.
    """
    with open_display(json=settings.json) as display:
        return _tune(settings, display)


def _tune(settings: Tune, display: Display) -> int:
    runs = [Run(path) for path in run_paths(settings.run)]
    schemes = [scheme_in(run.recipe()) for run in runs]
    refuse_other_schemes(schemes)
    scheme = schemes[0]
    refuse_invalid(scheme=scheme, metric=settings.metric, folds=settings.folds, rules=settings.rules)
    cases = [_held_out(run, settings.data) for run in runs]
    refuse_overlap(runs, cases)
    every = [case for of_run in cases for case in of_run]
    rules = rules_to_search(every, metric=settings.metric, rules=settings.rules, log=display.log)
    held_out = [
        case
        for run, run_cases in zip(runs, cases, strict=True)
        for case in _held_out_probabilities(run, run_cases, settings, display)
    ]
    tuned = tune(
        held_out,
        scheme=scheme,
        metric=settings.metric,
        folds=settings.folds,
        rules=rules,
        seed=settings.seed,
        progress=lambda done, total: display.progress("Searching", done, total),
    )
    if sentence := too_few_patients([case.patient for case in held_out]):
        display.log(sentence)
    document: dict[str, Any] = {
        **tuned.as_dict(),
        "runs": [run.folder.absolute().name for run in runs],
        "checkpoint": settings.checkpoint,
        "cases": [case.id for case in held_out],
    }
    for run in runs:
        write_json(run.postprocessing_file, document)
    display.close()
    if settings.json:
        print(json.dumps({**document, "notes": display.notes}, indent=2))
    else:
        _print_result(display, tuned, runs)
    return 0


def _held_out(run: Run, data: MovedData) -> list[Case]:
    """The cases that a run held out, where they are now."""
    if data.root is None and data.cache is None:
        return held_out_cases(run)
    if data.root is None:
        raise SettingsError("data.cache is set, but data.root is not. Give both, or neither.")
    memo, remembers = memo_for(run, data.cache)
    cases = moved_cases(run, data.root, memo)
    if remembers:
        memo.save()
    return cases


def rules_to_search(cases: Sequence[Case], *, metric: str, rules: list[str], log: Callable[[str], None]) -> list[str]:
    """The rules to search: those that are set, but without those in mm³ if the spacing of a case is unknown.

    Raises:
        SettingsError: The spacing of a case is unknown, but the metric or every rule needs it.
    """
    if all(spacing_known(case.images) for case in cases):
        return rules
    kept = [name for name in rules if not name.endswith("_mm3")]
    if metric != "dice" or not kept:
        wanted = f"rules=[{','.join(rules)}]" if metric == "dice" else f"metric={metric}"
        raise SettingsError(
            f"{wanted} needs the size of a voxel, which is unknown: the runs were trained with data.spacing_mm=null. "
            f"Set metric=dice and rules without mm³."
        )
    if kept != rules:
        log(f"The size of a voxel is unknown: only {', '.join(kept)} are searched.")
    return kept


def _held_out_probabilities(run: Run, cases: Sequence[Case], settings: Tune, display: Display) -> list[HeldOut]:
    """Probabilities and expert masks of the cases that a run held out; predicted once, then read from disk."""
    networks = open_networks([run.folder], checkpoint=settings.checkpoint, device=settings.device, log=display.log)
    networks = with_inference_options(networks, mode=settings.mode, mirror=settings.mirror)
    convention = convention_to_write("auto", networks)
    folder = run.folder / TUNING
    origin = origin_of(
        [run.folder],
        networks,
        checkpoint=settings.checkpoint,
        convention=convention.name,
        rules=Postprocessing(),
        kept=[TUNING],
    )
    if is_stale(folder, origin):
        for file in [folder] if folder.is_symlink() else list(folder.glob("*.npz")):
            remove_file(file)
    write_json(folder / PREDICTIONS_MARK, origin)

    def compute(case: Case, prepared: Any) -> EnsemblePrediction:
        return predict_ensemble(networks, prepared)

    def write(case: Case, answer: EnsemblePrediction) -> None:
        assert case.mask is not None
        labels = convention.decode(read_mask(case.mask).array, where=str(case.mask))
        probabilities = answer.probabilities()
        relevant = (probabilities >= LEAST_PROBABILITY).any(axis=-1) | (labels != 0)
        relevant[0, 0, 0] |= not relevant.any()
        relevant_box = bounding_box(relevant)
        with atomic_path(_case_file(folder, case)) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(
                file,
                probabilities=crop(probabilities, relevant_box).astype(np.float16),
                labels=crop(labels, relevant_box),
                spacing_mm=answer.shares[0].grid.case_spacing_mm,
            )

    missing = [case for case in cases if not _case_file(folder, case).exists()]
    done = len(cases) - len(missing)
    failed = []
    for _, result in prefetched(missing, lambda case: prepared_for(networks, case), compute, write, refused=DataError):
        if isinstance(result, DataError):
            failed.append(str(result))
        display.progress(f"Predicting {run.name}", done := done + 1, len(cases))
    if failed:
        raise DataError("\n".join(failed))
    return [_read_case(folder, case, convention.scheme) for case in cases]


def _case_file(folder: Path, case: Case) -> Path:
    return folder / f"{case.id}.npz"


def _read_case(folder: Path, case: Case, scheme: Scheme) -> HeldOut:
    file = _case_file(folder, case)
    try:
        spacing, probabilities, labels = arrays_in(file, ("spacing_mm", "probabilities", "labels"))
        x, y, z = (float(length) for length in spacing)
        regions = (*labels.shape, len(scheme.predicted))
        if labels.ndim != 3 or labels.dtype.kind not in "iu" or probabilities.shape != regions:
            raise ValueError(f"labels of shape {labels.shape}, probabilities of {probabilities.shape}")
        probabilities = probabilities.astype(np.float32)  # float16 is slow to compare, and tuning compares often
    except (ValueError, TypeError) as problem:
        raise CheckpointError(f"{file}: {problem}. Delete it, then tune again.") from None
    return HeldOut(case.id, case.patient, probabilities, scheme.predicted_masks(labels), (x, y, z))


def _print_result(display: Display, tuned: Tuned, runs: Sequence[Run]) -> None:
    unit, decimals = {"dice": ("Dice", 4), "hd95": ("mm HD95", 2), "rank": ("better less worse", 3)}[tuned.metric]
    table = Table(box=box.SIMPLE, title="Post-processing rules, tried one after another", title_justify="left")
    for heading in ("rule", "region"):
        table.add_column(heading)
    for heading in ("best", "gain"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for step in tuned.steps:
        value = ("yes" if step.value else "no") if isinstance(step.value, bool) else f"{step.value:g}"
        table.add_row(
            step.rule,
            step.region,
            value,
            f"{step.gain:+.{decimals}f}",
            "adopted" if step.adopted else "tried and rejected",
            style="bold" if step.adopted else "dim",
        )
    display.console.print(table)
    regions = ", ".join(f"{name} {value:+.{decimals}f}" for name, value in tuned.gain_by_region.items())
    display.log(
        f"Cross-fitted gain on {tuned.n} cases in {tuned.folds} folds: {tuned.gain:+.{decimals}f} {unit} ({regions}); "
        f"on the same cases that they were chosen on: {tuned.flattering_gain:+.{decimals}f}, which is biased upwards."
    )
    if tuned.n < FEW_CASES:
        display.log(f"{tuned.n} cases are few: this gain or loss may be due to chance.")
    if tuned.rules == Postprocessing():
        display.log("All rules were tried and rejected: masks are made without post-processing.")
    display.log(f"Written to {', '.join(str(run.postprocessing_file) for run in runs)}; predict and evaluate use it.")
