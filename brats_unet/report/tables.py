"""Tables for the terminal: how well tumours were found, and beside it what the seed's numbers would say."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brats_unet.errors import some
from brats_unet.evaluation.bootstrap import LEAST_CASES
from brats_unet.evaluation.summary import Statistics, Summary
from brats_unet.evaluation.trivial import ALL_BACKGROUND as NOTHING
from brats_unet.evaluation.trivial import MEAN_SHAPE
from brats_unet.metrics.empty import is_undefined
from brats_unet.metrics.protocols import SURFACE_DICE
from brats_unet.metrics.seed import ALL_BACKGROUND, CLAIM, HARD, PREDICTION, SOFT

PREDICTORS = {NOTHING: "finding no tumour", MEAN_SHAPE: "the mean shape"}  # that look at no scan
BARS = "▁▂▃▄▅▆▇█"
BINS = 10  # of a histogram in a cell
# Metric, what the table calls it, factor to the unit shown, decimals, whether the median has a line of its own.
LINES = (
    ("dice", "Dice", 1.0, 3, True),
    ("hd95", "HD95, mm", 1.0, 1, True),
    ("lesion_dice", "Dice by lesion", 1.0, 3, False),
    ("lesion_hd95", "HD95 by lesion, mm", 1.0, 1, False),
    ("lesion_f1", "F1 of lesions", 1.0, 3, False),
    ("lesions_found", "Lesions found", 1.0, 1, False),
    ("lesions_missed", "Lesions missed", 1.0, 1, False),
    ("lesions_false", "Lesions false", 1.0, 1, False),
    ("sensitivity", "Sensitivity", 1.0, 3, False),
    ("precision", "Precision", 1.0, 3, False),
    ("specificity", "Specificity", 1.0, 4, False),
    ("accuracy", "Accuracy", 1.0, 4, False),
    ("iou", "IoU", 1.0, 3, False),
    ("assd", "ASSD, mm", 1.0, 2, False),
    ("volume_reference", "Reference, mL", 1e-3, 1, False),
    ("volume_prediction", "Prediction, mL", 1e-3, 1, False),
    ("volume_difference", "  difference, mL", 1e-3, 1, False),
    ("volume_difference_relative", "  as a share", 1.0, 3, False),
    ("ece", "Calibration error", 1.0, 4, False),
    ("brier", "Brier score", 1.0, 4, False),
)


def print_summary(
    console: Console, summary: Summary, distributions: Mapping[str, Sequence[float]] | None = None
) -> None:
    """Everything that a person should see of an evaluation; `distributions` are the cases' Dice by region."""
    console.print()
    console.print(headline_table(summary, distributions))
    for sentence in sentences(summary):
        console.print(Padding(Text(sentence, style="dim"), (0, 2)))
    if summary.seed:
        console.print()
        console.print(seed_table(summary))


def lines_of(units: Mapping[str, str]) -> list[tuple[str, str, float, int, bool]]:
    """`LINES` of the metrics that were scored, given with their units; then one for every other."""
    named = {line[0] for line in LINES}
    others = [(name, _other(name, unit), 1.0, 3, False) for name, unit in sorted(units.items()) if name not in named]
    return [line for line in LINES if line[0] in units] + others


def _other(metric: str, unit: str) -> str:
    if metric.startswith(f"{SURFACE_DICE}_"):
        return f"NSD at {metric.removeprefix(f'{SURFACE_DICE}_').removesuffix('mm')} mm"
    return metric if unit == "1" else f"{metric}, {unit}"


def histogram(values: Sequence[float]) -> str:
    """How many values lie in each tenth from 0 to 1, as bars: the highest is full, a dot is none, 1 is in the last.

    Raises:
        ValueError: A value lies outside.
    """
    counts = [0] * BINS
    for value in values:
        if not 0 <= value <= 1:
            raise ValueError(f"A histogram from 0 to 1 has no place for {value}.")
        counts[min(BINS - 1, int(value * BINS))] += 1
    most = max(counts)
    return "".join(BARS[max(0, round(count / most * len(BARS)) - 1)] if count else "·" for count in counts)


def headline_table(summary: Summary, distributions: Mapping[str, Sequence[float]] | None = None) -> Table:
    """Metrics × regions: mean ± standard deviation, its interval, medians, and beside them what no network scores.

    Eighty columns are enough.
    """
    n = len(summary.cases)
    cases = f"{n} case{'s' if n != 1 else ''}"
    table = plain_table(f"{summary.title} · {cases}" if summary.title else cases)
    table.add_column("mean ± sd", no_wrap=True)
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
            bars = [_or_nothing(distributions.get(region, ())) for region in summary.regions]
            table.add_row("  cases from 0 to 1", *bars, style="cyan")
        if metric == "dice" and any(summary.empty_references.values()):
            cells = [_mean(metrics[metric], factor, decimals) for metrics in present]
            table.add_row("  where in reference", *cells, style="dim")
        if with_median:
            for predictor, regions in summary.trivial.items():
                cells = [_number(regions[region][metric].mean, factor, decimals) for region in summary.regions]
                table.add_row(f"  {PREDICTORS[predictor]}", *cells, style="yellow")
    table.add_section()
    table.add_row("n", *[_n(metrics["dice"]) for metrics in everywhere])
    table.add_row("  absent in reference", *[str(count) for count in summary.empty_references.values()], style="dim")
    table.add_row("  absent in prediction", *[str(count) for count in summary.empty_predictions.values()], style="dim")
    return table


def _or_nothing(values: Sequence[float]) -> str:
    return histogram(values) if values else "undefined"


def _interval(found: Statistics, factor: float, decimals: int) -> str:
    if found.interval is None:
        return ""
    low, high = (_number(end, factor, decimals) for end in found.interval)
    return f"{low} – {high}"


def sentences(summary: Summary) -> list[str]:
    """What must be read with the numbers."""
    rule, distances = summary.protocol.dice, summary.protocol.hd95_mm
    found = []
    if any(summary.empty_references.values()) or any(summary.empty_predictions.values()):
        found.append(
            f"A region absent from both masks scores Dice {_said(rule.both)} and HD95 {_said(distances.both, 'mm')}, "
            f"one absent from one of them Dice {_said(rule.reference)} and {_said(distances.reference, 'mm')} "
            f"({summary.protocol.name})."
        )
    undefined: dict[str, list[str]] = {}
    for region, metrics in summary.regions.items():
        for metric, stats in metrics.items():
            if stats.undefined:
                where = f"in {stats.undefined} of {stats.undefined + stats.n} cases {region}"
                undefined.setdefault(where, []).append(metric)
    if undefined:
        listed = "; ".join(f"{where} {', '.join(names)}" for where, names in undefined.items())
        found.append(f"Undefined, hence in no mean: {listed}.")
    if summary.missing:
        found.append(f"Predictions that are missing and count as empty: {some(summary.missing)}.")
    if summary.not_scored:
        found.append(
            f"{len(summary.not_scored)} predictions have no reference, not scored: {some(summary.not_scored)}."
        )
    if summary.seed_left_out:
        case_id, why = next(iter(summary.seed_left_out.items()))
        found.append(f"Cases without the seed's numbers: {len(summary.seed_left_out)} ({case_id}: {why}).")
    if summary.trivial:
        found.append(_trivial_sentence(summary))
    if len(summary.cases) < LEAST_CASES:
        found.append(f"Fewer than {LEAST_CASES} cases: no confidence interval is given.")
    if summary.note:
        found.append(summary.note)
    return found


def _trivial_sentence(summary: Summary) -> str:
    if MEAN_SHAPE in summary.trivial:
        n, of = summary.trivial_n[MEAN_SHAPE], len(summary.cases)
        some = f" ({n} of {of} cases)" if n < of else ""
        return f"Yellow lines look at no scan: no tumour at all, and the training cases' mean shape{some}."
    why = next(iter(summary.trivial_left_out.values()), "")
    return f"Yellow lines look at no scan. No mean shape of training cases{f': {why}' if why else '.'}"


def seed_table(summary: Summary) -> Group:
    """The seed's numbers beside its claim and beside a predictor that finds nothing, and what that means."""
    table = plain_table(f"The seed's numbers · slices 22-121 at 128×128 · n = {summary.seed_n}")
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


def plain_table(title: str) -> Table:
    """A table of ours: a bold title at the left, a line under the heads."""
    return Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))


def _mean(found: Statistics, factor: float, decimals: int) -> str:
    spread = "" if found.sd is None else f" ± {_number(found.sd, factor, decimals)}"
    return _number(found.mean, factor, decimals) + spread


def _number(value: float | None, factor: float, decimals: int) -> str:
    return "undefined" if value is None else f"{value * factor:.{decimals}f}"


def _n(found: Statistics) -> str:
    return f"{found.n} of {found.n + found.undefined}" if found.undefined else str(found.n)


def _said(rule: float, unit: str = "") -> str:
    return "undefined" if is_undefined(rule) else f"{rule:.9g} {unit}".strip()
