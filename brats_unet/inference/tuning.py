"""Choose the thresholds of the post-processing on held-out cases, and measure their gain by cross-validation.

The search goes rule by rule and region by region: each candidate value is scored on each case, together with the rules
adopted before. A rule is adopted if it gains in cross-validation, i.e. when each case is scored with the value chosen
on the other folds; its value is then the best one on all cases. The reported gain comes from an outer
cross-validation: for each fold the whole search is repeated without the cases of that fold.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from brats_unet.errors import DataError, SettingsError
from brats_unet.inference.postprocess import EARLIER, Postprocessing, regions_of
from brats_unet.inference.rule_losses import LEAST_GAIN, HeldOut, Losses
from brats_unet.schemes.scheme import Scheme
from brats_unet.spelling import suggestion

# The first value of each rule switches the rule off and wins ties.
CANDIDATES: dict[str, tuple[float, ...]] = {
    "threshold": (0.5, 0.3, 0.35, 0.4, 0.45, 0.55, 0.6, 0.65, 0.7),
    "least_component_mm3": (0, 10, 25, 50, 100, 200, 350, 500, 1000),
    "least_component_probability": (0, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95),
    "largest_only": (False, True),
    "fill_holes": (False, True),
    # 750 is the largest value that BraTS 2020's winner tried.
    "least_total_mm3": (0, 25, 50, 100, 150, 200, 300, 400, 500, 750),
}
FEW_CASES = 20  # with fewer cases a gain can be due to chance, and a warning says so


@dataclass(frozen=True)
class Step:
    """One rule that was tried.

    Attributes:
        rule: Key of `CANDIDATES`.
        region: Name of the region.
        value: Best value on all cases of the search.
        gain: Cross-validated gain, on top of the rules adopted before.
        adopted: Whether the value was adopted; else it was tried and rejected, alone or with the whole search.
    """

    rule: str
    region: str
    value: float
    gain: float
    adopted: bool


@dataclass(frozen=True)
class Tuned:
    """Result of `tune`.

    Attributes:
        rules: Rules to apply; the defaults if the search as a whole does not gain.
        scheme: What the regions are.
        metric: Metric that was tuned by, key of `LEAST_GAIN`.
        gain: Cross-validated gain, mean over cases and regions; above 0 is better. In Dice, in millimetres, or (for
            "rank") the share of scores that improved minus the share that got worse.
        gain_by_region: The same gain, by region.
        flattering_gain: Gain on the cases that the thresholds were chosen on; too optimistic.
        n: Number of cases.
        folds: Number of folds of the cross-validation.
        steps: All rules tried by the search on all cases, in order.
    """

    rules: Postprocessing
    scheme: Scheme
    metric: str
    gain: float
    gain_by_region: Mapping[str, float]
    flattering_gain: float
    n: int
    folds: int
    steps: tuple[Step, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        searched = {name: value for name, value in vars(self).items() if name not in ("rules", "scheme", "steps")}
        steps = [asdict(step) for step in self.steps]
        return {"postprocessing": self.rules.as_dict(self.scheme), **searched, "steps": steps}


def tune(
    cases: Sequence[HeldOut],
    *,
    scheme: Scheme,
    metric: str,
    folds: int,
    rules: Sequence[str],
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Tuned:
    """Choose thresholds and measure their cross-validated gain.

    Args:
        cases: Held-out cases, with probabilities of networks that were not trained on them.
        scheme: What the regions are.
        metric: "dice", "hd95" or "rank" (both, ranked within each case and region).
        folds: Number of folds; reduced to the number of patients if there are fewer.
        rules: Keys of `CANDIDATES`, in search order.
        seed: Seed of the assignment to folds.
        progress: Called with the number of finished searches and the number of all searches.

    Raises:
        SettingsError: See `refuse_invalid`.
        DataError: Fewer than two patients.
    """
    refuse_invalid(scheme=scheme, metric=metric, folds=folds, rules=rules)
    fold_of = folds_of([case.patient for case in cases], folds, seed)
    count_folds = int(fold_of.max()) + 1 if len(cases) else 0
    if count_folds < 2:
        raise DataError(f"{len(cases)} held-out cases of fewer than two patients: tuning needs at least two patients.")
    losses = Losses(cases, metric, scheme)
    everything = np.arange(len(cases))
    plain = Postprocessing()
    gains = np.zeros((len(cases), len(scheme.predicted)))
    for fold in range(count_folds):
        others, left_out = everything[fold_of != fold], everything[fold_of == fold]
        chosen, _ = search(losses, others, fold_of, rules)
        both = losses.of(left_out, [plain, chosen])
        gains[left_out] = losses.gains(both[:, 0], both[:, 1])
        progress(fold + 1, count_folds + 1)
    found, steps = search(losses, everything, fold_of, rules)
    both = losses.of(everything, [plain, found])
    progress(count_folds + 1, count_folds + 1)
    gain = float(gains.mean())
    by_region = {region: float(gains[:, i].mean()) for i, region in enumerate(scheme.predicted)}
    flattering = float(losses.gains(both[:, 0], both[:, 1]).mean())
    if gain <= LEAST_GAIN[metric]:
        found, steps = plain, [replace(step, adopted=False) for step in steps]
    return Tuned(found, scheme, metric, gain, by_region, flattering, len(cases), count_folds, tuple(steps))


def search(
    losses: Losses, chosen: np.ndarray, fold_of: np.ndarray, rules: Sequence[str]
) -> tuple[Postprocessing, list[Step]]:
    """Search rule by rule on some of the cases.

    Args:
        losses: Losses of all cases.
        chosen: Indices of the cases to search on.
        fold_of: Fold of each of all cases; the folds of the chosen cases are used for cross-validation. If they are all
            in one fold, their patients are divided into two.
        rules: Keys of `CANDIDATES`, in search order.

    Returns:
        The adopted rules, and all steps of the search; of the cases of a single patient no rule is adopted.
    """
    current = Postprocessing()
    steps = []
    inner = fold_of[chosen]
    if len(set(inner)) < 2:  # of two folds one is left out: the patients of the other are divided once more
        inner = folds_of([losses.cases[case].patient for case in chosen], 2, seed=0)
    folds = sorted(set(inner))
    for rule in rules:
        for region in regions_of(rule, losses.scheme):
            values = CANDIDATES[rule]
            options = [with_value(current, rule, region, value) for value in values]
            found = losses.of(chosen, options)
            crossed = np.zeros((len(chosen), len(losses.scheme.predicted)))
            for fold in folds if len(folds) > 1 else ():
                left_out = inner == fold
                pick = losses.best(found[~left_out])
                crossed[left_out] = losses.gains(found[left_out][:, 0], found[left_out][:, pick])
            best = losses.best(found)
            gain = float(crossed.mean())
            adopted = best != 0 and gain > LEAST_GAIN[losses.metric]
            if adopted:
                current = options[best]
            steps.append(Step(rule, region, values[best], gain, adopted))
    return current, steps


def with_value(rules: Postprocessing, rule: str, region: str, value: float) -> Postprocessing:
    """The rules with one value changed, that of one rule for one region."""
    changed: Any = {**getattr(rules, rule), region: value}
    return replace(rules, **{rule: changed})


def folds_of(patients: Sequence[str], folds: int, seed: int) -> np.ndarray:
    """Fold of each case, int, from 0; a patient's cases share a fold, and folds differ by at most one patient."""
    names = sorted(set(patients))
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(names)
    fold = {str(name): place % min(folds, len(names)) for place, name in enumerate(order)}
    return np.array([fold[patient] for patient in patients], int)


def too_few_patients(patients: Sequence[str]) -> str:
    """Why no rule can be adopted with so few patients, in a sentence; "" with three or more."""
    if len(set(patients)) > 2:
        return ""
    return (
        "Two patients are too few to adopt a rule: it is chosen on one, must gain on another, and its gain is measured "
        "on a third. Tune on the held-out cases of three or more."
    )


def refuse_invalid(*, scheme: Scheme, metric: str, folds: int, rules: Sequence[str]) -> None:
    """Raise SettingsError for settings that nothing can be tuned with.

    These are an unknown metric or rule, no rule, a repeated rule, rules that the scheme has for no region, or fewer
    than two folds.
    """
    if metric not in LEAST_GAIN:
        raise SettingsError(f"There is no metric={metric} to tune by. {suggestion(metric, LEAST_GAIN)}")
    if folds < 2:
        raise SettingsError(f"folds={folds}: expected at least 2, because the gain is measured on left-out cases.")
    for rule in rules:
        if rule not in CANDIDATES:
            hint = "It is called least_total_mm3 now." if rule == EARLIER else suggestion(rule, CANDIDATES)
            raise SettingsError(f"There is no rule named {rule}. {hint}")
    if not rules or len(set(rules)) < len(rules):
        raise SettingsError(f"rules={list(rules)}: expected one or more different rules of {', '.join(CANDIDATES)}.")
    if not any(regions_of(rule, scheme) for rule in rules):
        raise SettingsError(
            f"rules={list(rules)}: the scheme {scheme.name} names no region under small_total, so there is nothing to "
            f"search. Add other rules: {', '.join(CANDIDATES)}."
        )
