"""The tables of scripts/duel.py: Dice of each side, and our difference from each other side with a 95 % interval.

Means, medians and intervals are those of `brats-unet evaluate`, and paired differences those of `brats-unet compare`:
over all cases of all folds, with a bootstrap over cases. One training of each side is compared, so the intervals say
nothing of other seeds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gain_table import LEAST_SEEDS, verdict

from brats_unet.evaluation.bootstrap import LEVEL
from brats_unet.evaluation.case_statistics import statistics
from brats_unet.evaluation.paired import compare
from brats_unet.evaluation.record import Evaluation

OURS = "ours"
DICE = "dice"
LEAST_STEPS = 500  # with fewer, a smaller batch may serve nnU-Net better


def dice_of(evaluation: Evaluation) -> dict[str, dict[str, Any]]:
    """Statistics of Dice over cases, by scored region."""
    values: dict[str, list[float]] = {}
    for row in evaluation.rows:
        if row.metric == DICE:
            values.setdefault(row.region, []).append(row.value)
    return {region: asdict(statistics(scores)) for region, scores in values.items()}


def compared(evaluations: Mapping[str, Evaluation]) -> dict[str, dict[str, Any]]:
    """Scores of each side, and our difference from it.

    Args:
        evaluations: By side, evaluations of the same cases; `OURS` is one of them.

    Returns:
        By side: "dice" as in `dice_of`; and, except for ours, "ours_minus_it" by region, with the mean and median
        difference, its interval, the numbers of cases (n, won, tied, lost; won by ours) and the verdict.

    Raises:
        DataError: Cases, references or protocols differ.
    """
    result: dict[str, dict[str, Any]] = {}
    for side, evaluation in evaluations.items():
        result[side] = {DICE: dice_of(evaluation)}
        if side == OURS:
            continue
        found = compare([evaluation, evaluations[OURS]], metrics=[DICE])
        result[side]["ours_minus_it"] = {
            one.region: {
                "mean": one.mean,
                "median": one.median,
                "interval": one.interval,
                "n": one.n,
                "won": one.wins,
                "tied": one.ties,
                "lost": one.losses,
                "verdict": verdict(one.interval, one.n, LEAST_SEEDS),
            }
            for one in found.differences
        }
    return result


def best_of(result: Mapping[str, Mapping[str, Any]], sides: Sequence[str]) -> str:
    """The side with the highest Dice, the mean over regions of the means over cases; the first of equal ones."""
    return max(sides, key=lambda side: sum(one["mean"] or 0.0 for one in result[side][DICE].values()))


def sentence(result: Mapping[str, Mapping[str, Any]], best: str, variants: int) -> str:
    """What the duel showed against the variant of nnU-Net that scored best, in one line."""
    parts = [
        f"{region} {one['verdict']} ({shown(one['mean'], '+z.4f')}, {LEVEL:.0%} interval {span(one['interval'])}, "
        f"{one['won']} of {one['n']} cases won)"
        for region, one in result[best]["ours_minus_it"].items()
    ]
    chosen = f", the best of {variants} variants of nnU-Net" if variants > 1 else ""
    return f"Ours against {best}{chosen}: {'; '.join(parts)}."


def few_steps(costs: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each variant of nnU-Net that trained fewer steps than `LEAST_STEPS` in a fold.

    Args:
        costs: Rows with the keys side, steps and batch.
    """
    least: dict[str, Mapping[str, Any]] = {}
    for row in costs:
        if row["side"].startswith("nnunet") and row["steps"] < least.get(row["side"], {"steps": LEAST_STEPS})["steps"]:
            least[row["side"]] = row
    return [
        f"{side} trained {row['steps']} steps with batch {row['batch']}, fewer than {LEAST_STEPS}. Add a smaller batch "
        f"to --nnunet-batch."
        for side, row in least.items()
    ]


def shown(value: float | None, form: str) -> str:
    """A number for a table cell; an en dash for None."""
    return "–" if value is None else format(value, form)


def span(interval: Sequence[float] | None) -> str:
    """An interval of a difference for a table cell."""
    return "–" if interval is None else " to ".join(f"{end:+z.4f}" for end in interval)


def show(result: Mapping[str, Mapping[str, Any]], costs: Sequence[Mapping[str, Any]]) -> None:
    """Print the tables as Markdown: what each training cost, Dice of each side, and our differences.

    Args:
        result: From `compared`.
        costs: One row per side and fold, with the same keys.
    """
    from rich.box import MARKDOWN
    from rich.console import Console
    from rich.table import Table

    console = Console(width=160, markup=False)
    cost = Table(title="Training, and beside it preparing and predicting", box=MARKDOWN)
    for heading in costs[0]:
        cost.add_column(heading)
    for row in costs:
        cost.add_row(*("–" if cell is None else str(cell) for cell in row.values()))
    scores = Table(title="Dice over all cases of all folds", box=MARKDOWN)
    for heading in ("side", "region", "n", "mean", f"{LEVEL:.0%} interval", "median"):
        scores.add_column(heading, justify="left" if heading in ("side", "region") else "right")
    differences = Table(title="Difference in Dice, ours - the other side, paired by case", box=MARKDOWN)
    for heading in ("side", "region", "mean", f"{LEVEL:.0%} interval", "median", "won", "tied", "lost", "verdict"):
        differences.add_column(heading, justify="left" if heading in ("side", "region", "verdict") else "right")
    for side, facts in result.items():
        for region, one in facts[DICE].items():
            ends = "–" if one["interval"] is None else " to ".join(f"{end:.4f}" for end in one["interval"])
            cells = [str(one["n"]), shown(one["mean"], ".4f"), ends, shown(one["median"], ".4f")]
            scores.add_row(side, region, *cells)
        for region, one in facts.get("ours_minus_it", {}).items():
            cells = [shown(one["mean"], "+z.4f"), span(one["interval"]), shown(one["median"], "+z.4f")]
            counts = [str(one[key]) for key in ("won", "tied", "lost")]
            differences.add_row(side, region, *cells, *counts, one["verdict"])
    for table in (cost, scores, differences):
        console.print(table)
