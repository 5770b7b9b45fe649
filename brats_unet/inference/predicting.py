"""Predict cases with one network or an ensemble, and write their masks."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.data.prepare.preprocess import Preparation, Prepared, prepare
from brats_unet.data.readers.file_patterns import Patterns
from brats_unet.distributed.workers import Workers
from brats_unet.errors import DataError, SettingsError
from brats_unet.inference.confidence import RegionFacts, facts_of, review_reasons
from brats_unet.inference.ensemble import EnsemblePrediction, predict_ensemble
from brats_unet.inference.masks_folder import prepare_masks_folder
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing, labels_of
from brats_unet.inference.probability_maps import Keep, keep_nothing, scan_of
from brats_unet.inference.volumes_csv import collect_volumes, read_volumes, volume_rows, write_volumes
from brats_unet.modality import Modality, in_order
from brats_unet.prefetch import prefetched
from brats_unet.run import mask_file
from brats_unet.scan_files import mask_suffix, spacing_known, write_like
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Case


def prepared_for(networks: Sequence[Network], case: Case) -> dict[Preparation, Prepared]:
    """The case, prepared once for each preparation that the networks need."""
    fill_missing = {network.preparation: network.fills_missing for network in networks}
    return {needed: prepare(case, needed, None, fill_missing=fill) for needed, fill in fill_missing.items()}


def known_scans(networks: Sequence[Network]) -> tuple[list[Modality], bool]:
    """The modalities that at least one network takes, and whether every network accepts missing scans."""
    known = {modality for network in networks for modality in network.preparation.modalities}
    return in_order(known), all(network.fills_missing for network in networks)


def trained_patterns(networks: Sequence[Network]) -> Patterns | None:
    """Patterns of the scans' names in the training of the first network that has any; None if none has."""
    return next((network.patterns for network in networks if network.patterns), None)


@dataclass(frozen=True, eq=False)
class Outcome:
    """Prediction of one case, on its own grid.

    Attributes:
        probabilities: Probabilities of the predicted regions, float32, shape (X, Y, Z, R).
        labels: Labels as in memory after post-processing, uint8, shape (X, Y, Z).
        facts: One entry per scored region.
        review: Reasons to review the case; empty if there is none.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    facts: Sequence[RegionFacts]
    review: Sequence[str]


def outcome_of(answer: EnsemblePrediction, warnings: Sequence[str], rules: Postprocessing, scheme: Scheme) -> Outcome:
    """Labels, facts and reasons for review from an ensemble's prediction.

    Args:
        answer: Prediction of the ensemble.
        warnings: Warnings about the scans.
        rules: Post-processing.
        scheme: What the networks segment.

    Raises:
        SettingsError: A rule is in mm³, but the spacing of the scans is unknown.
    """
    probabilities = answer.probabilities()
    grid = answer.shares[0].grid
    refuse_rules_in_mm3(rules, spacing_known=grid.spacing_known)
    labels = labels_of(probabilities, grid.case_spacing_mm, rules, scheme)
    facts = facts_of(labels, probabilities, answer.agreement(), grid.known_spacing_mm, scheme)
    return Outcome(probabilities, labels, facts, review_reasons(facts, scheme, warnings))


def refuse_rules_in_mm3(rules: Postprocessing, *, spacing_known: bool) -> None:
    """Raise SettingsError if a rule is in mm³, but the spacing of the scans is unknown."""
    if rules.in_mm3 and not spacing_known:
        raise SettingsError(
            f"The spacing of the scans is unknown, but the post-processing has {', '.join(rules.in_mm3)}. Give the "
            f"spacing in mm, or set postprocess=none."
        )


def masks_to_write(output: Path, cases: Sequence[Case], mask_format: str) -> dict[str, Path]:
    """The file of each case's mask by case id; see `scan_files.mask_suffix` for `mask_format`."""
    return {case.id: mask_file(output, case.id, mask_suffix(mask_format, scan_of(case).path)) for case in cases}


@dataclass(frozen=True)
class Predicted:
    """Result of `predict_cases`.

    Attributes:
        written: Ids of the cases that have a mask now, in order.
        found: Number of masks that existed before the call.
        failed: Error message by case id, for cases that could not be read.
        review: Reasons to review a case, by case id; only cases with a reason.
    """

    written: tuple[str, ...]
    found: int
    failed: dict[str, str]
    review: dict[str, str]


def predict_cases(
    networks: Sequence[Network],
    cases: Sequence[Case],
    output: Path,
    convention: Convention,
    *,
    rules: Postprocessing,
    origin: dict[str, Any],
    overwrite: bool = False,
    masks_only: bool = False,
    mask_format: str = "nifti",
    keep: Keep = keep_nothing,
    log: Callable[[str], None],
    progress: Callable[[int, int], None],
    workers: Workers | None = None,
) -> Predicted:
    """Predict cases and write their masks and volumes.csv.

    While one case is computed, the next is read and the previous one is written. Networks are traced while the first
    case is read. The mask of a case is written last and appears under its name only when complete, so an interrupted
    call can be repeated and continues with the remaining cases.

    Args:
        networks: Networks to average.
        cases: Cases to predict.
        output: Folder for the masks and volumes.csv; created if missing.
        convention: Label convention of the masks.
        rules: Post-processing, from probabilities to labels.
        origin: Networks and settings that make the masks, in plain types; see `masks_folder.origin_of`.
        overwrite: Replace existing masks.
        masks_only: Write neither volumes.csv nor the record of the networks; an interrupted call cannot be continued.
        mask_format: "nifti", or "input": the format of the scans; see `scan_files.mask_suffix`.
        keep: Writes what is kept of each case besides its mask.
        log: Called with one sentence per warning about the scans.
        progress: Called with the number of finished cases and the number of all cases, without those of other workers.
        workers: The processes that predict together, each its share of the cases; None if this one is alone.

    Returns:
        The result of all workers; a case that cannot be read does not stop the others.

    Raises:
        SettingsError: A rule is in mm³, but the spacing of a case is unknown; or, without `overwrite`, the folder holds
            other files, or masks of another origin.
    """
    refuse_rules_in_mm3(rules, spacing_known=all(spacing_known(case.images) for case in cases))
    masks = masks_to_write(output, cases, mask_format)
    together = workers or Workers()
    if together.is_chief:
        prepare_masks_folder(output, origin, list(masks.values()), overwrite=overwrite, record=not masks_only)
        collect_volumes(output)  # of workers that were stopped
    existing = set(together.of_chief("masks", [case_id for case_id, mask in masks.items() if mask.exists()]))
    rows = read_volumes(output) if together.is_chief else {}
    failed: dict[str, str] = {}
    waiting = together.share([case for case in cases if case.id not in existing])
    progress(done := len(existing), total := done + len(waiting))

    def read(case: Case) -> dict[Preparation, Prepared]:
        return prepared_for(networks, case)

    def compute(case: Case, prepared: dict[Preparation, Prepared]) -> tuple[EnsemblePrediction, tuple[str, ...]]:
        warnings = next(iter(prepared.values())).warnings
        for sentence in warnings:
            log(sentence)
        for ready in traced:
            ready.result()
        return predict_ensemble(networks, prepared), warnings

    def write(case: Case, computed: tuple[EnsemblePrediction, tuple[str, ...]]) -> list[dict[str, str]]:
        outcome = outcome_of(*computed, rules, convention.scheme)
        keep(case, outcome.probabilities)
        lines = volume_rows(case.id, outcome.facts, outcome.review)
        if not masks_only:
            write_volumes(output, {**rows, case.id: lines}, together.index)
        write_like(masks[case.id], convention.encode(outcome.labels), scan_of(case))
        return lines

    with ThreadPoolExecutor(1, "trace") as tracing:
        traced = [tracing.submit(network.warm_up) for network in networks if waiting]
        for case, result in prefetched(waiting, read, compute, write, refused=DataError):
            if isinstance(result, DataError):
                failed[case.id] = str(result)
            else:
                rows[case.id] = result
            progress(done := done + 1, total)
    for other_failed, other_rows in together.gather("predicted", [failed, rows], patient=True):
        failed |= other_failed
        rows |= other_rows
    if together.is_chief and not masks_only:
        collect_volumes(output)
    written = tuple(case.id for case in cases if case.id not in failed)
    review = {name: rows[name][0]["review"] for name in written if name in rows and rows[name][0]["review"]}
    return Predicted(written, len(existing), failed, review)
