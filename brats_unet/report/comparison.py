"""Terminal tables of a comparison: differences between evaluations, their p values, and the ranking."""

from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brats_unet.evaluation.paired import Comparison, Difference
from brats_unet.report.console import plain_table
from brats_unet.report.short_names import apart
from brats_unet.report.tables import lines_of
from brats_unet.safe_text import visible

WIDEST = 6  # characters of a bar for all cases, on either side
SIGNIFICANT = 0.05  # below this corrected p, a row is bold
NAMED_CASES = 3  # cases with the largest differences that are listed per region
NARROW = 80  # characters of a terminal below which the bars are left out
SHORTEST_NAME = 16  # characters of a run's name that are always shown
BESIDE_NAMES = 30  # characters of a title beside two names
FEWEST_CASES = 6  # with fewer cases, no signed-rank test reaches p < 0.05


def print_comparison(console: Console, found: Comparison) -> None:
    """Print a comparison: differences, caveats and ranking. Long names are cut so that they stay apart."""
    short = apart([visible(name) for name in found.names], max(SHORTEST_NAME, (console.width - BESIDE_NAMES) // 2))
    found = renamed(found, dict(zip(found.names, short, strict=True)))
    for second in found.names[1:]:
        console.print()
        console.print(_differences(found, second, bars=console.width >= NARROW))
        console.print(Padding(_moved(found, second), (0, 2)))
    other = "the other run" if len(found.names) > 2 else found.names[1]
    sentences = [
        f"change: {other} minus {found.names[0]}, mean over cases, with its bootstrap confidence interval. p: Wilcoxon "
        f"signed-rank test, with Holm's correction over all rows; bold if p < {SIGNIFICANT}. W T L: cases in which "
        f"{other} is better (win), equal (tie) and worse (loss).",
        *_undefined(found),
        *found.notes,
    ]
    if len(found.cases) < FEWEST_CASES:
        sentences.append(
            f"With {_cases(len(found.cases))}, no difference can reach p < {SIGNIFICANT}: at least {FEWEST_CASES} "
            "cases are needed."
        )
    for sentence in sentences:
        console.print(Padding(Text(visible(sentence), style="dim"), (0, 2)))
    console.print()
    console.print(_ranking(found))


def renamed(found: Comparison, names: Mapping[str, str]) -> Comparison:
    """A comparison with other names of its evaluations."""
    return replace(
        found,
        names=tuple(names[name] for name in found.names),
        differences=tuple(replace(one, first=names[one.first], second=names[one.second]) for one in found.differences),
        ranking=tuple(replace(one, name=names[one.name]) for one in found.ranking),
        exchanges=tuple((names[one], names[other], p) for one, other, p in found.exchanges),
    )


def balance(wins: int, losses: int, n: int) -> Text:
    """Bars of losses (left) and wins (right) on either side of a line; n cases fill one side."""
    left = round(losses / n * WIDEST) if n else 0
    right = round(wins / n * WIDEST) if n else 0
    text = Text(" " * (WIDEST - left))
    text.append("▇" * left, style="yellow")
    text.append("│")
    text.append("▇" * right, style="cyan")
    return text.append(" " * (WIDEST - right))


def _differences(found: Comparison, second: str, *, bars: bool) -> Table:
    table = plain_table(f"{found.names[0]} → {second} · {_cases(len(found.cases))}")
    table.add_column("", overflow="fold")  # the only one that gives way: no number is cut
    table.add_column("change", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    if bars:
        table.add_column("worse │ better", justify="center", no_wrap=True)
    table.add_column("W T L", justify="right", no_wrap=True)
    for metric in found.metrics:
        for one in (one for one in found.differences if (one.second, one.metric) == (second, metric)):
            style = "bold" if one.p_holm is not None and one.p_holm < SIGNIFICANT else ""
            table.add_row(
                f"{one.region} {_name(one)}",
                "–" if one.mean is None else f"{one.mean:+.{_decimals(one)}f}",
                "" if one.interval is None else " to ".join(f"{end:+.{_decimals(one)}f}" for end in one.interval),
                "" if one.p_holm is None else _p(one.p_holm),
                *([balance(one.wins, one.losses, one.n)] if bars else []),
                f"{one.wins} {one.ties} {one.losses}",
                style=style,
            )
        table.add_section()
    return table


def _undefined(found: Comparison) -> list[str]:
    """A sentence that names the cases left out because a score is undefined; none if all are defined."""
    left_out = [
        f"{one.region} {_name(one)} in {_cases(one.undefined)}" + (f" of {one.second}" if len(found.names) > 2 else "")
        for one in found.differences
        if one.undefined
    ]
    return [f"Left out because a score is undefined: {'; '.join(left_out)}."] if left_out else []


def _moved(found: Comparison, second: str) -> Text:
    """The cases with the largest differences in the first metric."""
    lines = []
    for one in (d for d in found.differences if (d.second, d.metric) == (second, found.metrics[0])):
        moves = [f"{m.case} {_number(m.first, one)} → {_number(m.second, one)}" for m in one.moved[:NAMED_CASES]]
        lines.append(f"Largest changes in {one.region} {_name(one)}: {', '.join(moves) or 'none'}.")
    return Text(visible("\n".join(lines)), style="dim")


def _ranking(found: Comparison) -> Table:
    table = plain_table("Ranking as in BraTS, by the mean rank over cases")
    table.add_column("place", justify="right")
    table.add_column("run")
    table.add_column("mean rank", justify="right")
    table.add_column("best in", justify="right")
    table.add_column("p against next run", justify="right")
    order = [ranked.name for ranked in found.ranking]
    p = {(better, worse): value for better, worse, value in found.exchanges}
    for index, ranked in enumerate(found.ranking):
        after = order[index + 1] if index + 1 < len(order) else None
        against = p.get((ranked.name, after), p.get((after, ranked.name))) if after else None
        table.add_row(
            str(ranked.place),
            ranked.name,
            f"{ranked.mean_rank:.2f}",
            _cases(ranked.first_in),
            "" if against is None else _p(against),
        )
    return table


def _name(one: Difference) -> str:
    return lines_of({one.metric: one.unit})[0][1].strip()


def _decimals(one: Difference) -> int:
    return 1 if one.unit in ("mm", "px") else 3


def _number(value: float, one: Difference) -> str:
    return f"{value:.{_decimals(one)}f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cases(n: int) -> str:
    return f"{n} case{'' if n == 1 else 's'}"
