"""The scores of recipe_gain.py: Dice of held-out cases and their disturbed copies, in a file beside each run."""

import csv
import hashlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from disturbed_cases import CHANGES, disturbed
from gain_table import Row

from brats_unet.assembly.networks import open_networks, with_inference_options
from brats_unet.data.prepare.preprocess import prepare
from brats_unet.data.run_cases import held_out_cases, refuse_overlap
from brats_unet.errors import SettingsError
from brats_unet.files import atomic_path
from brats_unet.inference.ensemble import predict_ensemble
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.predicting import outcome_of
from brats_unet.json_files import read_json
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.nifti import read_integers
from brats_unet.run import Run
from brats_unet.safe_text import csv_cell, text_of_csv_cell, write_csv
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin, scheme_in
from brats_unet.volume import Case

GLIOMA = builtin()
RULE = PROTOCOLS["brats2020"].dice
TOGETHER = 4  # networks in memory at once: each disturbed copy is made once for all of them


class Trained(NamedTuple):
    """A run and its place in the comparison."""

    variant: str
    fold: int
    seed: int
    run: Run

    @property
    def scores_file(self) -> Path:
        """The file that keeps its scores."""
        return self.run.folder.with_name(f"{self.run.name}.scores.csv")


# By case and change: for each region, in the order of `Scheme.predicted`, the Dice and the voxels of the reference.
Scores = dict[tuple[str, str], list[tuple[float, int]]]


def stamp(run: Run, mode: str) -> str:
    """Digest of what decides the predictions of a run: weights, recipe and mode."""
    digest = hashlib.blake2b(mode.encode(), digest_size=8)
    for file in (run.checkpoint_file("last"), run.recipe_file):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def read_scores(file: Path, network: str) -> Scores:
    """Scores that a network with this stamp has; {} if there is no file. Those of other networks are left out."""
    scores: Scores = {}
    if file.exists():
        with file.open(encoding="utf-8", newline="") as stream:
            for line in csv.DictReader(stream):
                if line["network"] == network:
                    found = scores.setdefault((text_of_csv_cell(line["case"]), line["change"]), [])
                    found.append((float(line["dice"]), int(line["reference_voxels"])))
    return scores


def write_scores(file: Path, network: str, scores: Scores) -> None:
    """Write the scores of a run, three rows per case and change."""
    rows = [
        [network, csv_cell(case), change, region, *score]
        for (case, change), of_case in scores.items()
        for region, score in zip(GLIOMA.predicted, of_case, strict=True)
    ]
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        write_csv(stream, [["network", "case", "change", "region", "dice", "reference_voxels"], *rows])


def predicted(networks: Sequence[Network], case: Case) -> list[np.ndarray]:
    """Labels by each network, on the grid of the case."""
    needed = {network.preparation for network in networks}
    prepared = {preparation: prepare(case, preparation, None, fill_missing=True) for preparation in needed}
    return [outcome_of(predict_ensemble([one], prepared), (), Postprocessing(), one.scheme).labels for one in networks]


def score_missing(runs: Sequence[Trained], cases: Sequence[Case], changes: Sequence[str], mode: str) -> list[Scores]:
    """Scores of runs of one fold on their held-out cases; what their scores files lack is predicted and added."""
    stamps = [stamp(one.run, mode) for one in runs]
    scores = [read_scores(one.scores_file, network) for one, network in zip(runs, stamps, strict=True)]
    keys = [(case.id, change) for case in cases for change in changes]
    lacking = [i for i, found in enumerate(scores) if any(key not in found for key in keys)]
    if not lacking:
        return scores
    opened = open_networks([runs[i].run.folder for i in lacking], checkpoint="last", device="auto", log=print)
    networks = dict(zip(lacking, with_inference_options(opened, mode=mode, mirror="auto"), strict=True))
    convention = conventions(scheme_in(runs[0].run.recipe()))[runs[0].run.recipe()["convention"]]
    for case in cases:
        assert case.mask is not None
        whole = convention.decode(read_integers(case.mask).array, where=case.id)
        for change in changes:
            wanting = [i for i in lacking if (case.id, change) not in scores[i]]
            if not wanting:
                continue
            with tempfile.TemporaryDirectory() as folder:
                changed, reference = disturbed(case, CHANGES[change], whole, Path(folder))
                found = predicted([networks[i] for i in wanting], changed)
            for i, labels in zip(wanting, found, strict=True):
                counts = [
                    count(GLIOMA.region_mask(reference, r), GLIOMA.region_mask(labels, r)) for r in GLIOMA.predicted
                ]
                scores[i][case.id, change] = [(dice(one, RULE), one.reference_voxels) for one in counts]
        for i in lacking:
            write_scores(runs[i].scores_file, stamps[i], scores[i])
        print(f"{case.id}: scored by {', '.join(runs[i].run.name for i in lacking)}", file=sys.stderr)
    return scores


def held_out(runs: Sequence[Trained]) -> dict[int, list[Case]]:
    """The held-out cases by fold.

    Raises:
        SettingsError: Runs of one fold held out different cases, or a case is in two folds.
    """
    first: dict[int, Trained] = {}
    for one in runs:
        other = first.setdefault(one.fold, one)
        before, after = (
            sorted(read_json(run.folds_file, what=f"{run.folder} has not started training")["validation"])
            for run in (other.run, one.run)
        )
        if before != after:
            raise SettingsError(
                f"{other.run.folder} held out {', '.join(before)}, but {one.run.folder} held out {', '.join(after)}. "
                f"Expected the same cases, because variants are paired by case. Train both with the same data settings."
            )
    cases = {fold: held_out_cases(one.run) for fold, one in first.items()}
    refuse_overlap([one.run for one in first.values()], list(cases.values()))
    return cases


def rows_of(runs: Sequence[Trained], changes: Sequence[str], mode: str) -> list[Row]:
    """One row per run, held-out case, change and region; a few networks are in memory at once."""
    rows = []
    for fold, cases in held_out(runs).items():
        of_fold = [one for one in runs if one.fold == fold]
        for start in range(0, len(of_fold), TOGETHER):
            group = of_fold[start : start + TOGETHER]
            for one, scores in zip(group, score_missing(group, cases, changes, mode), strict=True):
                for case in cases:
                    for change in changes:
                        for region, score in zip(GLIOMA.predicted, scores[case.id, change], strict=True):
                            rows.append(Row(one.seed, fold, case.id, change, one.variant, str(region), *score))
    return rows
