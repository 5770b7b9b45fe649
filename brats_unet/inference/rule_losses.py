"""Losses of held-out cases under candidate rules of the post-processing, which `tuning` compares."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from brats_unet.inference.postprocess import Postprocessing, labels_of
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import protocol_named
from brats_unet.metrics.surface import hausdorff95_mm
from brats_unet.processes import cores
from brats_unet.schemes.scheme import Scheme

# Metrics to tune by, with the smallest gain for which a rule is adopted: Dice, millimetres, share of scores.
LEAST_GAIN: dict[str, float] = {"dice": 1e-4, "hd95": 0.01, "rank": 1e-6}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A case that its network was not trained on, cropped to the voxels that any threshold could select.

    Attributes:
        id: Case id.
        patient: Patient id; cases of one patient stay in one fold.
        probabilities: Probabilities of the predicted regions, shape (X, Y, Z, R).
        reference: Expert masks of these regions, bool, same shape.
        spacing_mm: Voxel edge lengths along x, y, z, in millimetres.
    """

    id: str
    patient: str
    probabilities: np.ndarray
    reference: np.ndarray
    spacing_mm: tuple[float, float, float]


class Losses:
    """Losses of cases under rules, 0 is best; each is computed once and kept.

    Args:
        cases: Cases to score.
        metric: Key of `LEAST_GAIN`.
        scheme: What the regions are.
    """

    def __init__(self, cases: Sequence[HeldOut], metric: str, scheme: Scheme) -> None:
        self.cases = cases
        self.metric = metric
        self.scheme = scheme
        self.known: dict[tuple[int, str], np.ndarray] = {}
        self.distances: dict[tuple[int, int, bytes], float] = {}

    def of(self, chosen: np.ndarray, candidates: Sequence[Postprocessing]) -> np.ndarray:
        """Losses of the cases with these indices, shape (cases, candidates, R regions, 1 or 2 metrics)."""
        with ThreadPoolExecutor(cores()) as pool:
            rows = list(pool.map(lambda case: [self._one(case, rules) for rules in candidates], chosen.tolist()))
        return np.array(rows)

    def _one(self, number: int, rules: Postprocessing) -> np.ndarray:
        key = (number, repr(rules))
        if key not in self.known:
            case = self.cases[number]
            labels = labels_of(case.probabilities, case.spacing_mm, rules, self.scheme)
            masks = self.scheme.predicted_masks(labels)
            self.known[key] = np.array([self._region(number, i, masks[..., i]) for i in range(masks.shape[-1])])
        return self.known[key]

    def _region(self, number: int, index: int, mask: np.ndarray) -> list[float]:
        case = self.cases[number]
        reference = case.reference[..., index]
        protocol = protocol_named("brats2020")
        overlap = 1 - dice(count(reference, mask), protocol.dice)
        if self.metric == "dice":
            return [overlap]
        key = (number, index, np.packbits(mask).tobytes())
        if key not in self.distances:
            how: Any = {"definition": protocol.hd95_definition, "when_empty": protocol.hd95_mm}
            self.distances[key] = hausdorff95_mm(reference, mask, case.spacing_mm, **how)
        return [self.distances[key]] if self.metric == "hd95" else [overlap, self.distances[key]]

    def best(self, losses: np.ndarray) -> int:
        """Index of the candidate with the best mean over all cases; the first one in a tie (within 1e-6)."""
        if self.metric == "rank":
            losses = np.apply_along_axis(rankdata, 1, losses.round(9))
        mean = losses.mean(axis=(0, 2, 3))
        return int(np.flatnonzero(mean <= mean.min() + 1e-6)[0])

    def gains(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Gain of each case and region, shape (cases, R), from losses (cases, R, metrics); above 0 is better."""
        difference = before - after
        return (np.sign(difference.round(9)) if self.metric == "rank" else difference).mean(axis=-1)
