"""Terminal tables of an evaluation: the scores of the regions, and caveats to read with them."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brats_unet.evaluation.case_statistics import Statistics
from brats_unet.evaluation.summary import Summary
from brats_unet.metrics.glossary import tolerance_of
from brats_unet.metrics.protocols import SURFACE_DICE
from brats_unet.report.caveats import sentences
from brats_unet.report.console import plain_table
from brats_unet.report.scheme_words import predictors
from brats_unet.report.seed_scores_table import seed_table
from brats_unet.safe_text import visible

BARS = "▁▂▃▄▅▆▇█"
ANY_WIDTH = 10_000  # characters that hold every table
BINS = 10  # bins of a histogram in a cell
# Metric, name in the table, factor to the displayed unit, decimals, whether interval and median have rows of their own.
LINES = (
    ("dice", "Dice", 1.0, 3, True),
    ("hd95", "HD95, mm", 1.0, 1, True),
    ("hd95_slice_px", "HD95 in slices, px", 1.0, 1, True),
    ("lesion_dice", "Lesion-wise Dice", 1.0, 3, False),
    ("lesion_hd95", "Lesion-wise HD95, mm", 1.0, 1, False),
    ("lesion_f1", "Lesion F1", 1.0, 3, False),
    ("lesions_found", "Lesions found", 1.0, 1, False),
    ("lesions_missed", "Lesions missed", 1.0, 1, False),
    ("lesions_false", "False lesions", 1.0, 1, False),
    ("instance_f1", "Instance F1", 1.0, 3, False),
    ("instance_dice", "Dice of matched instances", 1.0, 3, False),
    ("instance_hd95", "HD95 of matched instances, mm", 1.0, 1, False),
    ("instances_found", "Instances found", 1.0, 1, False),
    ("instances_missed", "Instances missed", 1.0, 1, False),
    ("instances_false", "False instances", 1.0, 1, False),
    ("sensitivity", "Sensitivity", 1.0, 3, False),
    ("precision", "Precision", 1.0, 3, False),
    ("specificity", "Specificity", 1.0, 4, False),
    ("accuracy", "Accuracy", 1.0, 4, False),
    ("iou", "IoU", 1.0, 3, False),
    ("assd", "ASSD, mm", 1.0, 2, False),
    ("volume_reference", "Reference volume, mL", 1e-3, 1, False),
    ("volume_prediction", "Predicted volume, mL", 1e-3, 1, False),
    ("volume_difference", "Volume difference, mL", 1e-3, 1, False),
    ("voxels_reference", "Reference, voxels", 1.0, 0, False),
    ("voxels_prediction", "Prediction, voxels", 1.0, 0, False),
    ("volume_difference_relative", "Relative difference", 1.0, 3, False),
    ("ece", "Calibration error", 1.0, 4, False),
    ("brier", "Brier score", 1.0, 4, False),
)


def print_summary(
    console: Console, summary: Summary, distributions: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Print an evaluation: score tables, caveats, and the seed-notebook scores if they were computed.

    Args:
        console: Console to print on.
        summary: Summary of the evaluation.
        distributions: Dice of the cases by region, for the histograms; None leaves them out.
    """
    for table in headline_tables(console, summary, distributions):
        console.print()
        console.print(table)
    for sentence in sentences(summary):
        console.print(Padding(Text(visible(sentence), style="dim"), (0, 2)))
    if summary.seed:
        console.print()
        console.print(seed_table(summary))


def headline_tables(
    console: Console, summary: Summary, distributions: Mapping[str, Sequence[float]] | None = None
) -> list[Table]:
    """The score table, split by regions into as few tables as fit the width of the console."""
    regions = list(summary.regions)
    unlimited = console.options.update(max_width=ANY_WIDTH)
    for count in range(1, len(regions) + 1):
        length = -(-len(regions) // count)
        parts = [regions[start : start + length] for start in range(0, len(regions), length)]
        tables = [headline_table(summary, part, distributions) for part in parts]
        if all(Measurement.get(console, unlimited, table).maximum <= console.width for table in tables):
            break
    return tables


def lines_of(units: Mapping[str, str]) -> list[tuple[str, str, float, int, bool]]:
    """Rows of the table: `LINES` of the metrics that were scored, then one row for every other metric.

    Args:
        units: Unit of each metric that was scored.
    """
    named = {line[0] for line in LINES}
    others = [(name, _other(name, unit), 1.0, 3, False) for name, unit in sorted(units.items()) if name not in named]
    return [line for line in LINES if line[0] in units] + others


def _other(metric: str, unit: str) -> str:
    name, tolerance = tolerance_of(metric)
    if tolerance:
        return f"{'NSD' if name == SURFACE_DICE else 'NSD of matched instances'} at {tolerance} mm"
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


def headline_table(
    summary: Summary,
    regions: Sequence[str],
    distributions: Mapping[str, Sequence[float]] | None = None,
) -> Table:
    """Table of metrics × regions: mean ± SD, confidence interval, median, and trivial predictors."""
    n = len(summary.cases)
    cases = f"{n}{' synthetic' if summary.synthetic else ''} case{'s' if n != 1 else ''}"
    table = plain_table(f"{summary.title} · {cases}" if summary.title else cases)
    table.add_column("mean ± SD", no_wrap=True)
    for region in regions:
        table.add_column(region, justify="right", no_wrap=True)
    everywhere = [summary.regions[region] for region in regions]
    present = [summary.where_present[region] for region in regions]
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
            bars = [_histogram_or_undefined(distributions.get(region, ())) for region in regions]
            table.add_row("  histogram, 0 to 1", *bars, style="cyan")
        if metric == "dice" and any(summary.empty_references.values()):
            cells = [_mean(metrics[metric], factor, decimals) for metrics in present]
            table.add_row("  if in reference", *cells, style="dim")
        if with_median:
            for predictor, found in summary.trivial.items():
                cells = [_number(found[region][metric].mean, factor, decimals) for region in regions]
                table.add_row(f"  {predictors(summary.scheme)[predictor]}", *cells, style="yellow")
    table.add_section()
    table.add_row("n (cases with Dice)", *[_n(metrics["dice"]) for metrics in everywhere])
    references, predictions = summary.empty_references, summary.empty_predictions
    table.add_row("  not in reference", *[str(references[region]) for region in regions], style="dim")
    table.add_row("  not in prediction", *[str(predictions[region]) for region in regions], style="dim")
    return table


def _histogram_or_undefined(values: Sequence[float]) -> str:
    return histogram(values) if values else "undefined"


def _interval(found: Statistics, factor: float, decimals: int) -> str:
    if found.interval is None:
        return ""
    low, high = (_number(end, factor, decimals) for end in found.interval)
    return f"{low} – {high}"


def _mean(found: Statistics, factor: float, decimals: int) -> str:
    spread = "" if found.sd is None else f" ± {_number(found.sd, factor, decimals)}"
    return _number(found.mean, factor, decimals) + spread


def _number(value: float | None, factor: float, decimals: int) -> str:
    return "undefined" if value is None else f"{value * factor:.{decimals}f}"


def _n(found: Statistics) -> str:
    return f"{found.n} of {found.n + found.undefined}" if found.undefined else str(found.n)
