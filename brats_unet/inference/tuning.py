"""Choose the thresholds of the post-processing on held-out cases, and say what they gain on cases they have not seen.

Rule by rule, region by region: each candidate is scored on each case, with the rules adopted before. A rule is adopted
if it gains where each case is scored with the value chosen on the others; its value is then the best on all. The gain
that is reported wraps all of this once more: for each fold the whole search is done without it.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import rankdata

from brats_unet.anatomy import Region, region_masks
from brats_unet.errors import DataError, SettingsError
from brats_unet.inference.postprocess import Postprocessing, labels_of
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import protocol_named
from brats_unet.metrics.surface import hausdorff95_mm
from brats_unet.parts import suggestion
from brats_unet.processes import cores

# The first of each is what is done without the rule, and wins a draw.
CANDIDATES: dict[str, tuple[float, ...]] = {
    "threshold": (0.5, 0.3, 0.35, 0.4, 0.45, 0.55, 0.6, 0.65, 0.7),
    "least_component_mm3": (0, 10, 25, 50, 100, 200, 350, 500, 1000),
    "least_component_probability": (0, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    "largest_only": (False, True),
    "fill_holes": (False, True),
    "least_et_mm3": (0, 25, 50, 100, 150, 200, 300, 400, 500, 750),  # 750 is as far as BraTS 2020's winner looked
}
FEW_CASES = 20  # with fewer, a gain can be chance, and that is said
# What can be tuned by, and what a rule must gain at the least: Dice, millimetres, a share of scores.
LEAST_GAIN: dict[str, float] = {"dice": 1e-4, "hd95": 0.01, "rank": 1e-6}


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A case that its network has not seen, cut to what any threshold could claim.

    Attributes:
        id: Of the case.
        patient: Whose cases stay together in the folds.
        probabilities: Of WT, TC and ET, shape (X, Y, Z, 3).
        reference: Masks of the expert, bool, same shape.
        spacing_mm: Edge lengths of a voxel.
    """

    id: str
    patient: str
    probabilities: np.ndarray
    reference: np.ndarray
    spacing_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Step:
    """One rule that was tried: its best value, what it gains cross-fitted given those before, whether it is adopted."""

    rule: str
    region: str | None
    value: float
    gain: float
    adopted: bool


@dataclass(frozen=True)
class Tuned:
    """What came of it.

    Attributes:
        rules: To apply; plain ones where the search as a whole does not gain.
        gain: Cross-fitted: mean over cases and regions, above 0 is better. Dice, millimetres, or (for "rank") the
            share of scores that got better less that of those that got worse.
        gain_by_region: Likewise, by region.
        flattering_gain: On the very cases that the thresholds were chosen on.
        n: Cases.
        folds: Of the cross-fitting.
        steps: All rules that were tried, in order, on all cases.
    """

    rules: Postprocessing
    metric: str
    gain: float
    gain_by_region: Mapping[str, float]
    flattering_gain: float
    n: int
    folds: int
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {"postprocessing": self.rules.as_dict(), **{k: v for k, v in asdict(self).items() if k != "rules"}}


class Losses:
    """Scores of cases under rules, 0 is best; each is computed once.

    Args:
        cases: To score.
        metric: Name of `LEAST_GAIN`.
    """

    def __init__(self, cases: Sequence[HeldOut], metric: str) -> None:
        self.cases = cases
        self.metric = metric
        self.known: dict[tuple[int, str], np.ndarray] = {}
        self.distances: dict[tuple[int, int, bytes], float] = {}

    def of(self, chosen: np.ndarray, candidates: Sequence[Postprocessing]) -> np.ndarray:
        """Shape (cases, candidates, 3 regions, 1 or 2 metrics), of the cases with these numbers."""
        with ThreadPoolExecutor(cores()) as pool:
            rows = list(pool.map(lambda case: [self._one(case, rules) for rules in candidates], chosen.tolist()))
        return np.array(rows)

    def _one(self, number: int, rules: Postprocessing) -> np.ndarray:
        key = (number, repr(rules))
        if key not in self.known:
            case = self.cases[number]
            masks = region_masks(labels_of(case.probabilities, case.spacing_mm, rules))
            self.known[key] = np.array([self._region(number, i, masks[..., i]) for i in range(len(Region))])
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
        """Index of the candidate that is best over the cases; the first of several that are alike."""
        if self.metric == "rank":
            losses = np.apply_along_axis(rankdata, 1, losses.round(9))
        mean = losses.mean(axis=(0, 2, 3))
        return int(np.flatnonzero(mean <= mean.min() + 1e-6)[0])

    def gains(self, before: np.ndarray, after: np.ndarray) -> np.ndarray:
        """Of each case and region, shape (cases, 3), from losses (cases, 3, metrics); above 0 is better."""
        difference = before - after
        return (np.sign(difference.round(9)) if self.metric == "rank" else difference).mean(axis=-1)


def tune(
    cases: Sequence[HeldOut],
    *,
    metric: str,
    folds: int,
    rules: Sequence[str],
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tuned:
    """Choose thresholds, and say what they gain.

    Args:
        cases: With the probabilities of networks that have not seen them.
        metric: "dice", "hd95" or "rank" (both, by rank within each case and region).
        folds: Of the cross-fitting; no more than there are patients.
        rules: Names of `CANDIDATES`, in the order they are searched.
        seed: Of the folds.
        progress: Told how many searches are done.

    Raises:
        SettingsError: An unknown metric or rule, or fewer than two folds.
        DataError: Fewer than two patients.
    """
    refuse_invalid(metric=metric, folds=folds, rules=rules)
    fold_of = folds_of([case.patient for case in cases], folds, seed)
    count_folds = int(fold_of.max()) + 1 if len(cases) else 0
    if count_folds < 2:
        raise DataError(f"{len(cases)} held-out cases of one patient or none: thresholds need two patients at least.")
    losses = Losses(cases, metric)
    everything = np.arange(len(cases))
    plain = Postprocessing()
    gains = np.zeros((len(cases), len(Region)))
    for fold in range(count_folds):
        there, here = everything[fold_of != fold], everything[fold_of == fold]
        for_any_size, _ = search(losses, there, fold_of, rules)
        both = losses.of(here, [plain, for_any_size])
        gains[here] = losses.gains(both[:, 0], both[:, 1])
        progress(fold + 1, count_folds + 1)
    found, steps = search(losses, everything, fold_of, rules)
    both = losses.of(everything, [plain, found])
    progress(count_folds + 1, count_folds + 1)
    gain = float(gains.mean())
    by_region = {str(region): float(gains[:, i].mean()) for i, region in enumerate(Region)}
    flattering = float(losses.gains(both[:, 0], both[:, 1]).mean())
    adopted = found if gain > LEAST_GAIN[metric] else plain
    return Tuned(adopted, metric, gain, by_region, flattering, len(cases), count_folds, tuple(steps))


def search(
    losses: Losses, chosen: np.ndarray, fold_of: np.ndarray, rules: Sequence[str]
) -> tuple[Postprocessing, list[Step]]:
    """Rule by rule, on the cases with these numbers; `fold_of` says which of them are scored together."""
    current = Postprocessing()
    steps = []
    folds = sorted(set(fold_of[chosen]))
    for rule in rules:
        for region in (None,) if rule == "least_et_mm3" else tuple(map(str, Region)):
            values = CANDIDATES[rule]
            options = [with_value(current, rule, region, value) for value in values]
            found = losses.of(chosen, options)
            crossed = np.zeros((len(chosen), len(Region)))
            for fold in folds if len(folds) > 1 else ():
                here = fold_of[chosen] == fold
                pick = losses.best(found[~here])
                crossed[here] = losses.gains(found[here][:, 0], found[here][:, pick])
            best = losses.best(found)
            gain = float(crossed.mean())
            adopted = best != 0 and gain > LEAST_GAIN[losses.metric]
            if adopted:
                current = options[best]
            steps.append(Step(rule, region, values[best], gain, adopted))
    return current, steps


def with_value(rules: Postprocessing, rule: str, region: str | None, value: float) -> Postprocessing:
    """The rules with one value changed, of one region where the rule has one for each."""
    changed: Any = value if region is None else {**getattr(rules, rule), region: value}
    return replace(rules, **{rule: changed})


def folds_of(patients: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """Fold of each case, int, from 0; cases of a patient stay together, and folds are as even as patients allow."""
    names = sorted(set(patients))
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(names)
    fold = {str(name): place % min(folds, len(names)) for place, name in enumerate(order)}
    return np.array([fold[patient] for patient in patients], int)


def refuse_invalid(*, metric: str, folds: int, rules: Sequence[str]) -> None:
    """Raise SettingsError for what cannot be searched."""
    if metric not in LEAST_GAIN:
        raise SettingsError(f"There is no metric={metric} to tune by. {suggestion(metric, LEAST_GAIN)}")
    if folds < 2:
        raise SettingsError(f"folds={folds}: a gain is measured on cases left out, which takes two folds at least.")
    for rule in rules:
        if rule not in CANDIDATES:
            raise SettingsError(f"There is no rule named {rule}. {suggestion(rule, CANDIDATES)}")
    if not rules or len(set(rules)) < len(rules):
        raise SettingsError(f"rules={list(rules)}: expected different rules of {', '.join(CANDIDATES)}.")
