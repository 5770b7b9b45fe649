"""The tables of recipe_gain.py: Dice of each variant, and its difference from the first with a confidence interval.

Variants are paired by case and seed. The interval counts both: it is a two-way bootstrap, see `two_way_interval`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from brats_unet.evaluation.bootstrap import DRAWS, LEAST_CASES, LEVEL, SEED, Interval
from brats_unet.files import atomic_path
from brats_unet.safe_text import csv_cell, write_csv
from brats_unet.schemes.scheme_file import builtin

GLIOMA = builtin()
MEAN = "mean"  # of the three regions
ET_PRESENT = "ET if present"  # ET over the cases whose reference has it
QUANTITIES = (*GLIOMA.predicted, MEAN, ET_PRESENT)
LEAST_SEEDS = 3  # with fewer seeds, an interval would be misleading
METHOD = {
    "level": LEVEL,
    "method": "percentiles of the two-way bootstrap of the mean over cases and seeds, one fewer drawn of each",
    "draws": DRAWS,
    "seed": SEED,
    "least_cases": LEAST_CASES,
    "least_seeds": LEAST_SEEDS,
}
# By (variant, change, quantity): Dice, shape (cases, seeds).
Grids = dict[tuple[str, str, str], np.ndarray]


class Row(NamedTuple):
    """Dice of one region of one case, predicted by one run."""

    seed: int
    fold: int
    case: str
    change: str
    variant: str
    region: str
    dice: float
    reference_voxels: int


def two_way_interval(values: np.ndarray) -> Interval | None:
    """Confidence interval of the mean at level `LEVEL`, for other cases and other seeds of the same kind.

    A two-way bootstrap: each draw takes cases and, independently, seeds, with replacement, and averages the values of
    the drawn cases in the drawn seeds. The ends are percentiles of the averages. One case and one seed fewer are drawn
    than there are: without this, 3 seeds would show only two thirds of their variance.

    With 8 cases and 3 seeds it contains the true mean in 96 % of simulated samples if cases, seeds and single runs
    have standard deviations of 1, 0.3 and 1; in 90 % if only cases differ, 76 % if only seeds do, and over 99 % if
    only single runs do (with as many drawn as there are: 94, 88, 77 and 99 %).

    Args:
        values: Finite values, shape (cases, seeds).

    Returns:
        Lower and upper end; None for fewer than `LEAST_CASES` cases or `LEAST_SEEDS` seeds.

    Raises:
        ValueError: A value is NaN or infinite.

    Source:
        Owen 2007, doi:10.1214/07-AOAS122 (draws over both factors); McCarthy and Snowden 1985, Vital and Health
        Statistics 2(95) (one fewer drawn).
    """
    if not np.isfinite(values).all():
        raise ValueError("A confidence interval needs finite values: leave out NaN and infinite ones.")
    cases, seeds = values.shape
    if cases < LEAST_CASES or seeds < LEAST_SEEDS:
        return None
    rng = np.random.default_rng([SEED, cases, seeds])
    of_cases = rng.multinomial(cases - 1, np.full(cases, 1 / cases), size=DRAWS) / (cases - 1)
    of_seeds = rng.multinomial(seeds - 1, np.full(seeds, 1 / seeds), size=DRAWS) / (seeds - 1)
    means = ((of_cases @ values) * of_seeds).sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def verdict(interval: Interval | None, cases: int, seeds: int) -> str:
    """What an interval of a difference in Dice says: better, worse, or within noise where it holds 0."""
    if interval is None:
        return f"fewer than {LEAST_CASES} cases" if cases < LEAST_CASES else f"fewer than {LEAST_SEEDS} seeds"
    low, high = interval
    return "better" if low > 0 else "worse" if high < 0 else "within noise"


def grids(rows: Sequence[Row]) -> Grids:
    """Dice as arrays of shape (cases, seeds), by variant, change and quantity; cases and seeds are sorted.

    `ET_PRESENT` has the cases only whose reference has ET after the change; there may be none.

    Raises:
        ValueError: A value is missing, or is there twice.
    """
    scores = {(r.variant, r.change, r.region, r.case, r.seed): r.dice for r in rows}
    variants = sorted({row.variant for row in rows})
    changes = sorted({row.change for row in rows})
    cases = sorted({row.case for row in rows})
    seeds = sorted({row.seed for row in rows})
    if not len(scores) == len(rows) == len(variants) * len(changes) * len(GLIOMA.predicted) * len(cases) * len(seeds):
        raise ValueError(
            f"Found {len(rows)} rows, {len(scores)} of them different. Expected each of {len(cases)} cases once for "
            f"each of {len(variants)} variants, {len(changes)} changes, {len(GLIOMA.predicted)} regions and "
            f"{len(seeds)} seeds."
        )
    with_et = {(r.change, r.case) for r in rows if r.region == "ET" and r.reference_voxels > 0}
    found: Grids = {}
    for variant in variants:
        for change in changes:
            of_region = {
                str(region): np.array([[scores[variant, change, str(region), c, s] for s in seeds] for c in cases])
                for region in GLIOMA.predicted
            }
            present = [(change, case) in with_et for case in cases]
            of_region[MEAN] = np.mean(list(of_region.values()), axis=0)
            of_region[ET_PRESENT] = of_region["ET"][present]
            found.update({(variant, change, quantity): grid for quantity, grid in of_region.items()})
    return found


def summarised(rows: Sequence[Row], variants: Sequence[str], changes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Means, standard deviations over seeds, and differences from the first variant, by change and variant.

    Returns:
        For each change and variant, `dice` and `sd_over_seeds` by quantity (None without cases, or for one seed; the
        standard deviation is that of the mean over cases), and `difference` by quantity ({} for the first variant):
        the mean, its interval, the numbers of cases and seeds, and the verdict.
    """
    found = grids(rows)
    result: dict[str, dict[str, Any]] = defaultdict(dict)
    for change in changes:
        for variant in variants:
            dice = {quantity: found[variant, change, quantity] for quantity in QUANTITIES}
            result[change][variant] = {
                "dice": {q: _rounded(grid.mean()) if grid.size else None for q, grid in dice.items()},
                "sd_over_seeds": {
                    q: _rounded(grid.mean(axis=0).std(ddof=1)) if grid.size and grid.shape[1] > 1 else None
                    for q, grid in dice.items()
                },
                "difference": {
                    q: _difference(grid - found[variants[0], change, q])
                    for q, grid in dice.items()
                    if variant != variants[0]
                },
            }
    return result


def _difference(values: np.ndarray) -> dict[str, Any]:
    cases, seeds = values.shape
    interval = two_way_interval(values)
    return {
        "mean": _rounded(values.mean()) if values.size else None,
        "interval": interval and [_rounded(end) for end in interval],
        "cases": cases,
        "seeds": seeds,
        "verdict": verdict(interval, cases, seeds),
    }


def _rounded(value: float) -> float:
    return round(float(value), 4)


def show(result: dict[str, dict[str, Any]]) -> None:
    """Print the tables of `summarised` as Markdown."""
    from rich.box import MARKDOWN
    from rich.console import Console
    from rich.table import Table

    first = next(iter(next(iter(result.values()))))
    dice = Table(title="Mean Dice over cases and seeds", box=MARKDOWN)
    for heading in ("change", "variant", *QUANTITIES, "SD over seeds of the mean"):
        dice.add_column(heading, justify="left" if heading in ("change", "variant") else "right")
    differences = Table(title=f"Difference from {first}, paired by case and seed", box=MARKDOWN)
    for heading in ("change", "variant", "Dice", "difference", f"{LEVEL:.0%} interval", "cases × seeds", "verdict"):
        differences.add_column(heading, justify="right" if heading in ("difference", "cases × seeds") else "left")
    for change, of_variant in result.items():
        for variant, facts in of_variant.items():
            cells = [_shown(facts["dice"][quantity], ".3f") for quantity in QUANTITIES]
            dice.add_row(change, variant, *cells, _shown(facts["sd_over_seeds"][MEAN], ".4f"))
            for quantity, one in facts["difference"].items():
                interval = " to ".join(f"{end:+z.3f}" for end in one["interval"] or ()) or "–"
                n = f"{one['cases']} × {one['seeds']}"
                cells = [quantity, _shown(one["mean"], "+z.3f"), interval, n, one["verdict"]]
                differences.add_row(change, variant, *cells)
    console = Console(width=140, markup=False)
    console.print(dice)
    if differences.row_count:
        console.print(differences)


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def write_rows(file: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV: seed, fold, case, change, variant, region, dice, reference_voxels."""
    with atomic_path(file) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        texts = ([csv_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
        write_csv(stream, [Row._fields, *texts])
