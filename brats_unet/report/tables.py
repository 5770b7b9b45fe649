"""Tables for the terminal: how well tumours were found, and beside it what the seed's numbers would say."""

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brats_unet.evaluation.summary import Statistics, Summary
from brats_unet.metrics.seed import ALL_BACKGROUND, CLAIM, HARD, PREDICTION, SOFT

# Metric, what the table calls it, factor to the unit shown, decimals, whether the median has a line of its own.
LINES = (
    ("dice", "Dice", 1.0, 3, True),
    ("hd95", "HD95, mm", 1.0, 1, True),
    ("sensitivity", "Sensitivity", 1.0, 3, False),
    ("precision", "Precision", 1.0, 3, False),
    ("specificity", "Specificity", 1.0, 4, False),
    ("accuracy", "Accuracy", 1.0, 4, False),
    ("volume_reference", "Reference, mL", 1e-3, 1, False),
    ("volume_prediction", "Prediction, mL", 1e-3, 1, False),
)
SHOWN_CASES = 5


def print_summary(console: Console, summary: Summary) -> None:
    """Everything that a person should see of an evaluation."""
    console.print()
    console.print(headline_table(summary))
    for sentence in sentences(summary):
        console.print(Padding(Text(sentence, style="dim"), (0, 2)))
    if summary.seed:
        console.print()
        console.print(seed_table(summary))


def headline_table(summary: Summary) -> Table:
    """Metrics × regions: mean ± standard deviation, and medians; 80 columns are enough."""
    n = len(summary.cases)
    cases = f"{n} case{'s' if n != 1 else ''}"
    table = _table(f"{summary.title} · {cases}" if summary.title else cases)
    table.add_column("mean ± sd", no_wrap=True)
    for region in summary.regions:
        table.add_column(region, justify="right", no_wrap=True)
    everywhere, present = summary.regions.values(), summary.where_present.values()
    known = {metric for metrics in everywhere for metric in metrics}
    for metric, name, factor, decimals, with_median in LINES:
        cells = [_mean(metrics[metric], factor, decimals) for metrics in everywhere]
        table.add_row(name, *cells, style="bold" if metric == "dice" else "")
        if with_median:
            medians = [_number(metrics[metric].median, factor, decimals) for metrics in everywhere]
            table.add_row("  median", *medians, style="dim")
        if metric == "dice" and any(summary.empty_references.values()):
            cells = [_mean(metrics[metric], factor, decimals) for metrics in present]
            table.add_row("  where in reference", *cells, style="dim")
    for metric in sorted(known - {line[0] for line in LINES}):  # those of installed packages
        name = metric if summary.units[metric] == "1" else f"{metric}, {summary.units[metric]}"
        table.add_row(name, *[_mean(metrics[metric], 1.0, 3) for metrics in everywhere])
    table.add_section()
    table.add_row("n", *[_n(metrics["dice"]) for metrics in everywhere])
    table.add_row("  absent in reference", *[str(count) for count in summary.empty_references.values()], style="dim")
    table.add_row("  absent in prediction", *[str(count) for count in summary.empty_predictions.values()], style="dim")
    return table


def sentences(summary: Summary) -> list[str]:
    """What must be read with the numbers."""
    rule, distances = summary.protocol.dice, summary.protocol.hd95_mm
    found = []
    if any(summary.empty_references.values()) or any(summary.empty_predictions.values()):
        found.append(
            f"A region absent from both masks scores Dice {rule.both:g} and HD95 {distances.both:g} mm, one absent "
            f"from one of them Dice {rule.reference:g} and {distances.reference:.9g} mm ({summary.protocol.name})."
        )
    if summary.missing:
        found.append(f"Predictions that are missing and count as empty: {_some(summary.missing)}.")
    if summary.not_scored:
        found.append(
            f"{len(summary.not_scored)} predictions have no reference, not scored: {_some(summary.not_scored)}."
        )
    if summary.seed_left_out:
        case_id, why = next(iter(summary.seed_left_out.items()))
        found.append(f"Cases without the seed's numbers: {len(summary.seed_left_out)} ({case_id}: {why}).")
    if summary.note:
        found.append(summary.note)
    return found


def seed_table(summary: Summary) -> Group:
    """The seed's numbers beside its claim and beside a predictor that finds nothing, and what that means."""
    table = _table(f"The seed's numbers · slices 22-121 at 128×128 · n = {summary.seed_n}")
    kinds = [kind for kind in (HARD, SOFT) if kind in summary.seed[PREDICTION]]
    table.add_column("mean over cases", no_wrap=True)
    table.add_column("its page", justify="right")
    for kind in kinds:
        soft = ", soft" if kind == SOFT else ""
        table.add_column(f"here{soft}", justify="right")
        table.add_column(f"no tumour found{soft}", justify="right", style="yellow")
    for metric in summary.seed[PREDICTION][kinds[0]]:
        values = [summary.seed[who][kind][metric] for kind in kinds for who in (PREDICTION, ALL_BACKGROUND)]
        claim = CLAIM.get(metric)
        table.add_row(metric, "" if claim is None else f"{claim:g}", *[f"{value:.4f}" for value in values])
    table.add_section()
    table.add_row("Dice, kind unknown", f"{CLAIM['dice']:g}", *["" for _ in range(2 * len(kinds))])
    dice = ", ".join(
        f"{region} {metrics['dice'].mean:.3f}"
        for region, metrics in summary.regions.items()
        if metrics["dice"].mean is not None
    )
    nothing = summary.seed[ALL_BACKGROUND][kinds[0]]["accuracy"]
    meaning = (
        "These average over pixels and four classes, background included: a network that finds no tumour at all "
        f"scores {nothing:.4f}. How well tumours were found says the Dice of the regions: {dice}."
    )
    return Group(table, Padding(Text(meaning, style="dim"), (0, 2)))


def _table(title: str) -> Table:
    return Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))


def _mean(found: Statistics, factor: float, decimals: int) -> str:
    spread = "" if found.sd is None else f" ± {_number(found.sd, factor, decimals)}"
    return _number(found.mean, factor, decimals) + spread


def _number(value: float | None, factor: float, decimals: int) -> str:
    return "undefined" if value is None else f"{value * factor:.{decimals}f}"


def _n(found: Statistics) -> str:
    return f"{found.n} (+ {found.undefined} undefined)" if found.undefined else str(found.n)


def _some(case_ids: tuple[str, ...]) -> str:
    more = len(case_ids) - SHOWN_CASES
    return ", ".join(case_ids[:SHOWN_CASES]) + (f" and {more} more" if more > 0 else "")
