"""Terminal tables of an evaluation: the scores of the regions, and the seed-notebook scores beside them."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brats_unet.errors import some
from brats_unet.evaluation.bootstrap import LEAST_CASES
from brats_unet.evaluation.case_statistics import Statistics
from brats_unet.evaluation.summary import Summary
from brats_unet.evaluation.trivial import ALL_BACKGROUND as NOTHING
from brats_unet.evaluation.trivial import MEAN_SHAPE
from brats_unet.metrics.empty import is_undefined
from brats_unet.metrics.protocols import SURFACE_DICE
from brats_unet.metrics.seed import ALL_BACKGROUND, CLAIM, HARD, PREDICTION, SOFT
from brats_unet.safe_text import visible

PREDICTORS = {NOTHING: "no tumour found", MEAN_SHAPE: "mean training shape"}  # trivial predictors, which ignore scans
BARS = "▁▂▃▄▅▆▇█"
BINS = 10  # bins of a histogram in a cell
# Metric, name in the table, factor to the displayed unit, decimals, whether interval and median have rows of their own.
LINES = (
    ("dice", "Dice", 1.0, 3, True),
    ("hd95", "HD95, mm", 1.0, 1, True),
    ("lesion_dice", "Lesion-wise Dice", 1.0, 3, False),
    ("lesion_hd95", "Lesion-wise HD95, mm", 1.0, 1, False),
    ("lesion_f1", "Lesion F1", 1.0, 3, False),
    ("lesions_found", "Lesions found", 1.0, 1, False),
    ("lesions_missed", "Lesions missed", 1.0, 1, False),
    ("lesions_false", "False lesions", 1.0, 1, False),
    ("sensitivity", "Sensitivity", 1.0, 3, False),
    ("precision", "Precision", 1.0, 3, False),
    ("specificity", "Specificity", 1.0, 4, False),
    ("accuracy", "Accuracy", 1.0, 4, False),
    ("iou", "IoU", 1.0, 3, False),
    ("assd", "ASSD, mm", 1.0, 2, False),
    ("volume_reference", "Reference volume, mL", 1e-3, 1, False),
    ("volume_prediction", "Predicted volume, mL", 1e-3, 1, False),
    ("volume_difference", "Volume difference, mL", 1e-3, 1, False),
    ("volume_difference_relative", "  relative difference", 1.0, 3, False),
    ("ece", "Calibration error", 1.0, 4, False),
    ("brier", "Brier score", 1.0, 4, False),
)


def print_summary(
    console: Console, summary: Summary, distributions: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Print an evaluation: score table, caveats, and the seed-notebook scores if they were computed.

    Args:
        console: Console to print on.
        summary: Summary of the evaluation.
        distributions: Dice of the cases by region, for the histograms; None leaves them out.
    """
    console.print()
    console.print(headline_table(summary, distributions))
    for sentence in sentences(summary):
        console.print(Padding(Text(visible(sentence), style="dim"), (0, 2)))
    if summary.seed:
        console.print()
        console.print(seed_table(summary))


def lines_of(units: Mapping[str, str]) -> list[tuple[str, str, float, int, bool]]:
    """Rows of the table: `LINES` of the metrics that were scored, then one row for every other metric.

    Args:
        units: Unit of each metric that was scored.
    """
    named = {line[0] for line in LINES}
    others = [(name, _other(name, unit), 1.0, 3, False) for name, unit in sorted(units.items()) if name not in named]
    return [line for line in LINES if line[0] in units] + others


def _other(metric: str, unit: str) -> str:
    if metric.startswith(f"{SURFACE_DICE}_"):
        return f"NSD at {metric.removeprefix(f'{SURFACE_DICE}_').removesuffix('mm')} mm"
    return metric if unit == "1" else f"{metric}, {unit}"


def histogram(values: Sequence[float]) -> str:
    """Histogram of values from 0 to 1 in `BINS` characters. The highest bar is full; a dot marks an empty bin.

    Raises:
        ValueError: A value lies outside 0 to 1.
    """
    counts = [0] * BINS
    for value in values:
        if not 0 <= value <= 1:
            raise ValueError(f"The histogram got the value {value}. Expected values from 0 to 1.")
        counts[min(BINS - 1, int(value * BINS))] += 1
    most = max(counts)
    return "".join(BARS[max(0, round(count / most * len(BARS)) - 1)] if count else "·" for count in counts)


def headline_table(summary: Summary, distributions: Mapping[str, Sequence[float]] | None = None) -> Table:
    """Table of metrics × regions in 80 columns: mean ± SD, confidence interval, median, and trivial predictors."""
    n = len(summary.cases)
    cases = f"{n} case{'s' if n != 1 else ''}"
    table = plain_table(f"{summary.title} · {cases}" if summary.title else cases)
    table.add_column("mean ± SD", no_wrap=True)
    for region in summary.regions:
        table.add_column(region, justify="right", no_wrap=True)
    everywhere, present = summary.regions.values(), summary.where_present.values()
    known = {metric for metrics in everywhere for metric in metrics}
    for metric, name, factor, decimals, with_median in lines_of(summary.units):
        if metric not in known:  # the protocol does not ask for it
            continue
        cells = [_mean(metrics[metric], factor, decimals) for metrics in everywhere]
        table.add_row(name, *cells, style="bold" if metric == "dice" else "")
        if with_median:
            if any(metrics[metric].interval for metrics in everywhere):
                cells = [_interval(metrics[metric], factor, decimals) for metrics in everywhere]
                table.add_row("  95 % interval", *cells, style="dim")
            medians = [_number(metrics[metric].median, factor, decimals) for metrics in everywhere]
            table.add_row("  median", *medians, style="dim")
        if metric == "dice" and distributions is not None:
            bars = [_histogram_or_undefined(distributions.get(region, ())) for region in summary.regions]
            table.add_row("  histogram, 0 to 1", *bars, style="cyan")
        if metric == "dice" and any(summary.empty_references.values()):
            cells = [_mean(metrics[metric], factor, decimals) for metrics in present]
            table.add_row("  if in reference", *cells, style="dim")
        if with_median:
            for predictor, regions in summary.trivial.items():
                cells = [_number(regions[region][metric].mean, factor, decimals) for region in summary.regions]
                table.add_row(f"  {PREDICTORS[predictor]}", *cells, style="yellow")
    table.add_section()
    table.add_row("n (cases with Dice)", *[_n(metrics["dice"]) for metrics in everywhere])
    table.add_row("  not in reference", *[str(count) for count in summary.empty_references.values()], style="dim")
    table.add_row("  not in prediction", *[str(count) for count in summary.empty_predictions.values()], style="dim")
    return table


def _histogram_or_undefined(values: Sequence[float]) -> str:
    return histogram(values) if values else "undefined"


def _interval(found: Statistics, factor: float, decimals: int) -> str:
    if found.interval is None:
        return ""
    low, high = (_number(end, factor, decimals) for end in found.interval)
    return f"{low} – {high}"


def sentences(summary: Summary) -> list[str]:
    """Caveats to read with the scores: rules that applied, cases left out, missing files."""
    rule, distances = summary.protocol.dice, summary.protocol.hd95_mm
    found = []
    if any(summary.empty_references.values()) or any(summary.empty_predictions.values()):
        found.append(
            f"By the rules of {summary.protocol.name}, a region absent from both masks scores Dice "
            f"{_rule_text(rule.both)} and HD95 {_rule_text(distances.both, 'mm')}; a region absent from only one mask "
            f"scores Dice {_rule_text(rule.reference)} and HD95 {_rule_text(distances.reference, 'mm')}."
        )
    undefined: dict[str, list[str]] = {}
    for region, metrics in summary.regions.items():
        for metric, stats in metrics.items():
            if stats.undefined:
                where = f"{region} in {stats.undefined} of {stats.undefined + stats.n} cases"
                undefined.setdefault(where, []).append(metric)
    if undefined:
        listed = "; ".join(f"{where} ({', '.join(names)})" for where, names in undefined.items())
        found.append(f"Undefined, so left out of the means: {listed}.")
    if summary.missing:
        found.append(f"Missing predictions, scored as empty masks: {some(summary.missing)}.")
    if summary.not_scored:
        found.append(
            f"Predictions without a reference, not scored: {len(summary.not_scored)} ({some(summary.not_scored)})."
        )
    if summary.seed_left_out:
        case_id, why = next(iter(summary.seed_left_out.items()))
        found.append(f"Cases without seed-notebook scores: {len(summary.seed_left_out)} ({case_id}: {why}).")
    if summary.trivial:
        found.append(_trivial_sentence(summary))
    if len(summary.cases) < LEAST_CASES:
        found.append(f"Fewer than {LEAST_CASES} cases, so there is no confidence interval.")
    if summary.note:
        found.append(summary.note)
    return found


def _trivial_sentence(summary: Summary) -> str:
    if MEAN_SHAPE in summary.trivial:
        n, total = summary.trivial_n[MEAN_SHAPE], len(summary.cases)
        partly = f" (scored on {n} of {total} cases)" if n < total else ""
        return (
            "Yellow rows are predictions that ignore the scan: no tumour at all, and the mean tumour shape of the "
            f"training cases{partly}."
        )
    why = next(iter(summary.trivial_left_out.values()), "")
    return (
        "The yellow rows are a prediction that ignores the scan: no tumour at all. "
        f"The mean shape of the training cases was not scored{f': {why}' if why else '.'}"
    )


def seed_table(summary: Summary) -> Group:
    """Table of the seed-notebook scores beside the notebook's claims and an all-background prediction, and a caveat."""
    table = plain_table(f"Scores of the seed notebook · slices 22-121 at 128×128 · n = {summary.seed_n}")
    kinds = [kind for kind in (HARD, SOFT) if kind in summary.seed[PREDICTION]]
    table.add_column("mean over cases", no_wrap=True)
    table.add_column("notebook", justify="right")
    for kind in kinds:
        soft = ", soft" if kind == SOFT else ""
        table.add_column(f"this prediction{soft}", justify="right")
        table.add_column(f"no tumour found{soft}", justify="right", style="yellow")
    for metric in summary.seed[PREDICTION][kinds[0]]:
        values = [summary.seed[who][kind][metric] for kind in kinds for who in (PREDICTION, ALL_BACKGROUND)]
        claim = CLAIM.get(metric)
        table.add_row(metric, "" if claim is None else f"{claim:g}", *[f"{value:.4f}" for value in values])
    table.add_section()
    table.add_row("Dice, formula unknown", f"{CLAIM['dice']:g}", *["" for _ in range(2 * len(kinds))])
    dice = ", ".join(
        f"{region} {metrics['dice'].mean:.3f}"
        for region, metrics in summary.regions.items()
        if metrics["dice"].mean is not None
    )
    nothing = summary.seed[ALL_BACKGROUND][kinds[0]]["accuracy"]
    meaning = (
        "These scores average over pixels and four classes, background included: a prediction without any tumour has "
        f"an accuracy of {nothing:.4f}. How well the tumours were segmented is shown by the Dice of the regions: "
        f"{dice}."
    )
    return Group(table, Padding(Text(meaning, style="dim"), (0, 2)))


def plain_table(title: str) -> Table:
    """An empty table in the style of all terminal tables: bold title on the left, a line under the header."""
    return Table(title=Text(visible(title), style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))


def _mean(found: Statistics, factor: float, decimals: int) -> str:
    spread = "" if found.sd is None else f" ± {_number(found.sd, factor, decimals)}"
    return _number(found.mean, factor, decimals) + spread


def _number(value: float | None, factor: float, decimals: int) -> str:
    return "undefined" if value is None else f"{value * factor:.{decimals}f}"


def _n(found: Statistics) -> str:
    return f"{found.n} of {found.n + found.undefined}" if found.undefined else str(found.n)


def _rule_text(rule: float, unit: str = "") -> str:
    return "undefined" if is_undefined(rule) else f"{rule:.9g} {unit}".strip()
