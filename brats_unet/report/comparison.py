"""Tables for the terminal: what differs between evaluations, whether that could be chance, and who ranks where."""

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brats_unet.evaluation.paired import Comparison, Difference
from brats_unet.report.tables import lines_of, plain_table

WIDEST = 6  # cells that a bar of wins and losses takes on either side
SIGNIFICANT = 0.05
NAMED_CASES = 3


def print_comparison(console: Console, found: Comparison) -> None:
    """Everything that a person should see of a comparison."""
    for second in found.names[1:]:
        console.print()
        console.print(_differences(found, second))
        console.print(Padding(_moved(found, second), (0, 2)))
    sentences = [
        f"Changes are {'the later' if len(found.names) > 2 else found.names[1]} less {found.names[0]}, with 95 % "
        "bootstrap intervals over cases. p: Wilcoxon signed-rank after Holm's correction over all of them. W T L: "
        "cases in which it is better, equal, worse.",
        *_undefined(found),
        *found.notes,
    ]
    if len(found.cases) < 6:
        sentences.append(f"With {len(found.cases)} cases no difference can reach p < 0.05.")
    for sentence in sentences:
        console.print(Padding(Text(sentence, style="dim"), (0, 2)))
    console.print()
    console.print(_ranking(found))


def balance(wins: int, losses: int, n: int) -> Text:
    """Losses to the left of a line and wins to its right, as bars; all n cases fill a side."""
    left = round(losses / n * WIDEST) if n else 0
    right = round(wins / n * WIDEST) if n else 0
    text = Text(" " * (WIDEST - left))
    text.append("▇" * left, style="yellow")
    text.append("│")
    text.append("▇" * right, style="cyan")
    return text.append(" " * (WIDEST - right))


def _differences(found: Comparison, second: str) -> Table:
    table = plain_table(f"{found.names[0]} → {second} · {_cases(len(found.cases))}")
    table.add_column("", no_wrap=True)
    table.add_column("change", justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    table.add_column("worse │ better", justify="center", no_wrap=True)
    table.add_column("W T L", justify="right", no_wrap=True)
    for metric in found.metrics:
        for one in (one for one in found.differences if (one.second, one.metric) == (second, metric)):
            style = "bold" if one.p_holm is not None and one.p_holm < SIGNIFICANT else ""
            table.add_row(
                f"{one.region} {_name(one)}",
                "–" if one.mean is None else f"{one.mean:+.{_decimals(one)}f}",
                "" if one.interval is None else " – ".join(f"{end:+.{_decimals(one)}f}" for end in one.interval),
                "" if one.p_holm is None else _p(one.p_holm),
                balance(one.wins, one.losses, one.n),
                f"{one.wins} {one.ties} {one.losses}",
                style=style,
            )
        table.add_section()
    return table


def _undefined(found: Comparison) -> list[str]:
    """What is left out, where anything is."""
    left_out = [
        f"{one.region} {_name(one)} in {_cases(one.undefined)}" + (f" of {one.second}" if len(found.names) > 2 else "")
        for one in found.differences
        if one.undefined
    ]
    return [f"Left out, being undefined in one of the two: {'; '.join(left_out)}."] if left_out else []


def _moved(found: Comparison, second: str) -> Text:
    """The cases that moved most, for the first metric."""
    lines = []
    for one in (d for d in found.differences if (d.second, d.metric) == (second, found.metrics[0])):
        moves = [f"{m.case} {_number(m.first, one)} → {_number(m.second, one)}" for m in one.moved[:NAMED_CASES]]
        lines.append(f"{one.region} {_name(one)} moved most: {', '.join(moves) or 'none'}.")
    return Text("\n".join(lines), style="dim")


def _ranking(found: Comparison) -> Table:
    table = plain_table("Ranking as in BraTS: mean of the ranks within each case")
    table.add_column("place", justify="right")
    table.add_column("run")
    table.add_column("mean rank", justify="right")
    table.add_column("first in", justify="right")
    table.add_column("p against the next", justify="right")
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
    return 1 if one.unit == "mm" else 3


def _number(value: float, one: Difference) -> str:
    return f"{value:.{_decimals(one)}f}"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _cases(n: int) -> str:
    return f"{n} case{'' if n == 1 else 's'}"
