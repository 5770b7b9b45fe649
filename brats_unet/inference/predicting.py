"""Predict cases with one network or several, and write their masks."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.anatomy import Modality
from brats_unet.data.labels.convention import Convention
from brats_unet.data.prepare.preprocess import Preparation, Prepared, prepare
from brats_unet.errors import DataError
from brats_unet.inference.confidence import RegionFacts, facts_of, review_reasons
from brats_unet.inference.ensemble import EnsemblePrediction, predict_ensemble
from brats_unet.inference.masks_folder import prepare_masks_folder
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing, labels_of
from brats_unet.inference.probability_maps import Keep, keep_nothing, scan_of
from brats_unet.inference.volumes_csv import read_volumes, volume_rows, write_volumes
from brats_unet.nifti import write_volume
from brats_unet.prefetch import prefetched
from brats_unet.run import mask_file
from brats_unet.volume import Case, Volume


def prepared_for(networks: Sequence[Network], case: Case) -> dict[Preparation, Prepared]:
    """The case as each of the networks wants it; those that want the same share it."""
    fill = {network.preparation: network.fills_missing for network in networks}
    return {wanted: prepare(case, wanted, None, fill_missing=may) for wanted, may in fill.items()}


def known_scans(networks: Sequence[Network]) -> tuple[list[Modality], bool]:
    """The scans that any of the networks knows, and whether all can do without some of them."""
    known = {modality for network in networks for modality in network.preparation.modalities}
    return [m for m in Modality if m in known], all(network.fills_missing for network in networks)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What networks make of one case, on its own grid.

    Attributes:
        probabilities: Of WT, TC and ET, float32, shape (X, Y, Z, 3).
        labels: uint8 of `anatomy.Label`, shape (X, Y, Z).
        facts: Of each region.
        look: Why a person should look at the case; empty where nothing is odd.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    facts: Sequence[RegionFacts]
    review: Sequence[str]


def outcome_of(answer: EnsemblePrediction, warnings: Sequence[str], rules: Postprocessing) -> Outcome:
    """From what the networks say to labels and numbers; `doubts` are about the scans."""
    probabilities = answer.probabilities()
    spacing_mm = answer.shares[0].grid.case_spacing_mm
    labels = labels_of(probabilities, spacing_mm, rules)
    facts = facts_of(labels, probabilities, answer.agreement(), spacing_mm)
    return Outcome(probabilities, labels, facts, review_reasons(facts, warnings))


@dataclass(frozen=True)
class Predicted:
    """What became of the cases.

    Attributes:
        written: Ids of the cases whose masks are there now, in order.
        found: How many of them were there before.
        failed: Sentence by case id.
        look: Why a person should look at a case, by case id; only those with a reason.
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
    keep: Keep = keep_nothing,
    log: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Predicted:
    """Predict cases: the next is read and the last written while one is computed, the first while networks are traced.

    Each mask gets its name once it is whole and all else of its case is there, so an interrupted run can go on.

    Args:
        networks: Averaged.
        cases: To predict.
        output: Folder of the masks; made if need be. volumes.csv lies beside them.
        convention: To write labels in.
        rules: From probabilities to labels.
        origin: Which networks and what is kept, in plain types; a folder of masks of another origin is refused.
        overwrite: Replace what is there.
        keep: What else to keep of each case.
        say: Told what looks wrong with the scans.
        progress: Told how many are done.

    Returns:
        What became of them: a case that cannot be read does not stop the others.
    """
    prepare_masks_folder(output, origin, [case.id for case in cases], overwrite=overwrite)
    here = {case.id for case in cases if mask_file(output, case.id).exists()}
    rows = read_volumes(output)
    failed: dict[str, str] = {}
    progress(done := len(here), len(cases))

    def read(case: Case) -> dict[Preparation, Prepared]:
        return prepared_for(networks, case)

    def compute(case: Case, prepared: dict[Preparation, Prepared]) -> tuple[EnsemblePrediction, tuple[str, ...]]:
        warnings = next(iter(prepared.values())).warnings
        for sentence in warnings:
            log(sentence)
        for ready in traced:
            ready.result()
        return predict_ensemble(networks, prepared), warnings

    def write(case: Case, found: tuple[EnsemblePrediction, tuple[str, ...]]) -> list[dict[str, str]]:
        outcome = outcome_of(*found, rules)
        keep(case, outcome.probabilities)
        lines = volume_rows(case.id, outcome.facts, outcome.review)
        write_volumes(output, {**rows, case.id: lines})
        write_volume(mask_file(output, case.id), Volume(convention.encode(outcome.labels)), like=scan_of(case))
        return lines

    waiting = [case for case in cases if case.id not in here]
    with ThreadPoolExecutor(1, "trace") as tracing:
        traced = [tracing.submit(network.warm_up) for network in networks if waiting]
        for case, result in prefetched(waiting, read, compute, write, refused=DataError):
            if isinstance(result, DataError):
                failed[case.id] = str(result)
            else:
                rows[case.id] = result
            progress(done := done + 1, len(cases))
    written = tuple(case.id for case in cases if case.id not in failed)
    review = {name: rows[name][0]["review"] for name in written if name in rows and rows[name][0]["review"]}
    return Predicted(written, len(here), failed, review)
