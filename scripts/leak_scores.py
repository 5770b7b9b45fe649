"""The scores of leak_lesson.py: Dice of held-out slices as papers and as notebooks count it, and the table of both."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from brats_unet.evaluation.bootstrap import LEVEL, mean_interval
from brats_unet.files import atomic_path
from brats_unet.metrics.counts import Counts, dice
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.safe_text import csv_cell, text_of_csv_cell, write_csv

RULE = PROTOCOLS["brats2020"].dice  # 1 if both masks are empty, 0 if one is
BATCH = 16
ORDER_SEED = 0  # of the order in which slices form batches


class Slice(NamedTuple):
    """What the scores need of one held-out slice.

    Attributes:
        patient: Case id.
        number: Place in the volume, counted upwards from 0.
        reference: Voxels of the expert's mask.
        prediction: Voxels with a probability of 0.5 or more.
        overlap: Voxels of both.
        soft_prediction: Sum of the probabilities.
        soft_overlap: Sum of the probabilities in the expert's mask.
    """

    patient: str
    number: int
    reference: int
    prediction: int
    overlap: int
    soft_prediction: float
    soft_overlap: float


def measured(patient: str, number: int, reference: np.ndarray, probabilities: np.ndarray) -> Slice:
    """The sums of one slice: the expert's mask, bool, and the probabilities, from 0 to 1, of the same shape."""
    mask = probabilities >= 0.5
    return Slice(
        patient,
        number,
        int(np.count_nonzero(reference)),
        int(np.count_nonzero(mask)),
        int(np.count_nonzero(mask & reference)),
        float(probabilities.sum(dtype=np.float64)),
        float(probabilities[reference].sum(dtype=np.float64)),
    )


def nothing_found(slices: Sequence[Slice]) -> list[Slice]:
    """The same slices as a predictor scores that marks nothing."""
    return [one._replace(prediction=0, overlap=0, soft_prediction=0.0, soft_overlap=0.0) for one in slices]


def pooled(slices: Sequence[Slice]) -> float:
    """Dice of all pixels of all slices, as if they were one image; 1 if both masks are empty, 0 if one is."""
    reference = sum(one.reference for one in slices)
    prediction = sum(one.prediction for one in slices)
    overlap = sum(one.overlap for one in slices)
    return dice(Counts(overlap, prediction - overlap, reference - overlap, 0), RULE)


def by_patient(slices: Sequence[Slice]) -> dict[str, float]:
    """Dice of each patient over all slices of the patient that are given, by the rule of `pooled`."""
    of: dict[str, list[Slice]] = {}
    for one in slices:
        of.setdefault(one.patient, []).append(one)
    return {patient: pooled(own) for patient, own in sorted(of.items())}


def per_patient(slices: Sequence[Slice]) -> float:
    """Mean Dice over patients."""
    return float(np.mean(list(by_patient(slices).values())))


def per_slice(slices: Sequence[Slice]) -> float:
    """Mean Dice over slices; a slice without tumour counts 1 if nothing is predicted in it, else 0."""
    return float(np.mean([pooled([one]) for one in slices]))


def per_batch(slices: Sequence[Slice], smooth: float, size: int = BATCH) -> float:
    """Mean over batches of the Dice that notebooks print while training.

    It is (2 · overlap + smooth) / (reference + prediction + smooth) of all pixels of a batch, with probabilities in
    place of the predicted mask.

    Args:
        slices: Slices in the order in which they form batches; the last batch may be smaller.
        smooth: Pixels added above and below, above 0.
        size: Slices of a batch.
    """
    values = []
    for batch in (slices[first : first + size] for first in range(0, len(slices), size)):
        above = 2 * sum(one.soft_overlap for one in batch) + smooth
        values.append(above / (sum(one.reference + one.soft_prediction for one in batch) + smooth))
    return float(np.mean(values))


def shuffled(slices: Sequence[Slice]) -> list[Slice]:
    """The slices in an order that depends on which they are, not on how they came."""
    ordered = sorted(slices)
    return [ordered[i] for i in np.random.default_rng(ORDER_SEED).permutation(len(ordered))]


SCORINGS: dict[str, Callable[[Sequence[Slice]], float]] = {
    "mean over patients": per_patient,
    "all pixels pooled": pooled,
    "mean over slices, empty ones count 1": per_slice,
    f"mean over batches of {BATCH}, smooth 1": lambda slices: per_batch(shuffled(slices), 1),
    "the same, smooth 100": lambda slices: per_batch(shuffled(slices), 100),
}


def table(by_split: Mapping[str, Sequence[Sequence[Slice]]]) -> str:
    """The table, as Markdown: a row for each split, then one for finding nothing.

    Args:
        by_split: For each split, the held-out slices of all folds, by seed; a score is the mean over seeds.

    Returns:
        The table. Finding nothing has a row for each split where the held-out slices differ.
    """
    rows = {f"split by {split}": _scores(seeds) for split, seeds in by_split.items()}
    trivial = {split: _scores([nothing_found(one) for one in seeds]) for split, seeds in by_split.items()}
    if len(set(map(tuple, trivial.values()))) == 1:
        rows["no tumour found"] = next(iter(trivial.values()))
    else:
        rows |= {f"no tumour found, slices of the split by {split}": scores for split, scores in trivial.items()}
    lines = [["Dice", *SCORINGS], *([name, *(f"{score:.3f}" for score in scores)] for name, scores in rows.items())]
    head, *body = (f"| {' | '.join(cells)} |" for cells in lines)
    return "\n".join([head, f"|{'---|' * len(lines[0])}", *body])


def _scores(seeds: Sequence[Sequence[Slice]]) -> list[float]:
    return [float(np.mean([scoring(slices) for slices in seeds])) for scoring in SCORINGS.values()]


def counted(split: str, slices: Sequence[Slice]) -> str:
    """One sentence on what was held out."""
    patients, tumour = len({one.patient for one in slices}), sum(one.reference > 0 for one in slices)
    return f"Split by {split}: {patients} patients, {len(slices)} slices held out, {tumour} of them with tumour."


def gap(optimistic: Sequence[Sequence[Slice]], honest: Sequence[Sequence[Slice]]) -> str:
    """One sentence on the difference in mean Dice over the patients that both splits held out, paired by patient.

    Args:
        optimistic: Held-out slices of the split by slice, by seed.
        honest: Those of the split by patient.
    """
    first, second = ([by_patient(slices) for slices in seeds] for seeds in (optimistic, honest))
    both = sorted(set(first[0]) & set(second[0]))
    differences = [float(np.mean([s[p] for s in first]) - np.mean([s[p] for s in second])) for p in both]
    if not both:
        return "No patient was held out in both splits."
    interval = mean_interval(differences)
    within = "" if interval is None else f" ({LEVEL:.0%} interval {interval[0]:+.3f} to {interval[1]:+.3f})"
    return (
        f"Split by slice minus split by patient, mean over {len(both)} patients: {np.mean(differences):+.3f}{within}."
    )


def write_slices(file: Path, slices: Sequence[Slice]) -> None:
    """Write the sums of slices as CSV."""
    rows = [[csv_cell(one.patient), *one[1:]] for one in slices]
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        write_csv(stream, [list(Slice._fields), *rows])


def read_slices(file: Path) -> list[Slice]:
    """The slices that `write_slices` wrote."""
    with file.open(encoding="utf-8", newline="") as stream:
        cells = list(csv.reader(stream))[1:]
    return [Slice(text_of_csv_cell(row[0]), *map(int, row[1:5]), *map(float, row[5:])) for row in cells]
