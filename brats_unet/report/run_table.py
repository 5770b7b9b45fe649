"""Trainings as a table on the terminal, as CSV and as JSON, sorted, with the best one and the next command."""

import json
import math
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from brats_unet.files import atomic_path
from brats_unet.report.console import duration_text, plain_table
from brats_unet.report.run_facts import BROKEN, DONE, FAILED, PAUSED, RUNNING, STOPPED, RunFacts, differing, value_text
from brats_unet.report.short_names import apart
from brats_unet.safe_text import csv_cell, visible, write_csv

WIDE = 110  # columns of a terminal that show the last validation by region too
LONGEST_NAME, SHORTEST_NAME = 60, 14
HELD_OUT = ("data.name", "data.folds", "data.fold", "data.fold_seed", "data.splits", "data.validation_root")
BETWEEN = 3  # columns of the terminal between two columns of a table
STYLES = {DONE: "", RUNNING: "cyan", PAUSED: "", STOPPED: "yellow", FAILED: "red", BROKEN: "bold red"}
SORTS: dict[str, Callable[[RunFacts], Any]] = {
    "best": lambda one: -(one.best_mean if one.best_mean is not None else -math.inf),
    "final": lambda one: -(one.final_mean if one.final_mean is not None else -math.inf),
    "name": lambda one: one.name,
    "state": lambda one: (list(STYLES).index(one.state), one.name),
    "steps": lambda one: -one.step,
    "seconds": lambda one: -one.seconds,
}


def sorted_runs(runs: Sequence[RunFacts], by: str) -> list[RunFacts]:
    """The runs in the order of one of SORTS: Dice, steps and seconds from the largest; equal ones as they were."""
    return sorted(runs, key=SORTS[by])


def print_runs(console: Console, runs: Sequence[RunFacts], title: str) -> None:
    """Print the table, then each failure with its sentence.

    The columns "best" and "last" hold mean Dice over the regions of held-out cases, and the Dice of each region in the
    validation with the best mean; on a wide terminal also of the last one.
    """
    regions = list(dict.fromkeys(region for one in runs for region in one.best))
    wide = console.width >= WIDE
    table = plain_table(title)
    table.add_column("run", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("steps", justify="right", no_wrap=True)
    table.add_column("best", justify="right", no_wrap=True)
    table.add_column(" ".join(regions), justify="right", no_wrap=True)
    table.add_column("last", justify="right", no_wrap=True)
    if wide:
        table.add_column(" ".join(regions), justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    rows = []
    for one in runs:
        steps = f"{one.step}" if one.steps is None or one.steps == one.step else f"{one.step}/{one.steps}"
        cells = [one.state, steps, _dice(one.best_mean), _by_region(one.best, regions, 3 if wide else 2)]
        cells += [
            _dice(one.final_mean),
            *([_by_region(one.final, regions, 3)] if wide else []),
            duration_text(one.seconds),
        ]
        rows.append(cells)
    _add_rows(table, console.width, [one.name for one in runs], rows, [STYLES[one.state] for one in runs])
    console.print(table)
    for one in runs:
        if one.sentence:
            text = Text(visible(f"{one.name} {one.state}: {one.sentence}"), style=STYLES[one.state])
            console.print(Padding(text, (0, 2)))


def _add_rows(
    table: Table, width: int, names: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str]
) -> None:
    """Add the rows with names cut so that they fit beside all other cells."""
    headings = [str(column.header) for column in table.columns[1:]]
    columns = zip(headings, *rows, strict=True)
    taken = sum(max(len(cell) for cell in column) + BETWEEN for column in columns)
    room = min(LONGEST_NAME, max(SHORTEST_NAME, width - taken - BETWEEN - 1))
    for name, cells, style in zip(apart(list(map(visible, names)), room), rows, styles, strict=True):
        table.add_row(name, *cells, style=style)


def best_of(runs: Sequence[RunFacts]) -> RunFacts | None:
    """The run with the highest mean Dice of those that are done; None if none of them has one."""
    scored = [one for one in runs if one.state == DONE and one.best_mean is not None]
    return max(scored, key=lambda one: one.best_mean or 0.0, default=None)


def sentences_about(runs: Sequence[RunFacts]) -> list[str]:
    """The best run and the next command, and how those that are not done go on."""
    found = []
    if best := best_of(runs):
        found.append(f"Best: {best.name}, mean Dice {best.best_mean:.3f} in the best of its validations.")
        scored = [one for one in runs if one.best]
        if len({json.dumps([one.settings.get(key) for key in HELD_OUT]) for one in scored}) > 1:
            found.append("Not all hold out the same cases: their Dice compare the cases too.")
        found.append(f"Next: brats-unet evaluate {shlex.quote(str(best.folder))}")
    if stopped := sum(one.state == STOPPED for one in runs):
        found.append(f"{stopped} stopped: the same command goes on with {'it' if stopped == 1 else 'them'}.")
    return found


def write_runs(file: Path, runs: Sequence[RunFacts]) -> None:
    """Write the runs as CSV: one row each, with a column for every setting in which they differ.

    Raises:
        MachineError: The file cannot be written.
    """
    regions = list(dict.fromkeys(region for one in runs for region in one.best))
    header = ["run", "state", "steps_done", "steps", "seconds", "best_mean_dice", "final_mean_dice"]
    header += [f"{which}_dice_{region}" for which in ("best", "final") for region in regions]
    keys = _keys(runs)
    rows: list[list[Any]] = [[*header, *keys, "problem"]]
    for one in runs:
        facts = [csv_cell(one.name), one.state, one.step, one.steps, round(one.seconds, 1)]
        facts += [one.best_mean, one.final_mean]
        facts += [dice.get(region) for dice in (one.best, one.final) for region in regions]
        settings = _settings(one, keys)
        cells = ["" if fact is None else fact for fact in facts]
        rows.append([*cells, *(_cell(settings[key]) for key in keys), csv_cell(one.sentence)])
    with atomic_path(file) as temporary, open(temporary, "w", encoding="utf-8", newline="") as opened:
        write_csv(opened, rows)


def as_json(runs: Sequence[RunFacts]) -> list[dict[str, Any]]:
    """The runs in plain types, with the settings in which they differ."""
    keys = _keys(runs)
    return [
        {
            "run": one.name,
            "folder": None if one.folder is None else str(one.folder),
            "state": one.state,
            "problem": one.sentence or None,
            "step": one.step,
            "steps": one.steps,
            "seconds": round(one.seconds, 1),
            "best_mean_dice": one.best_mean,
            "best_dice": dict(one.best),
            "final_mean_dice": one.final_mean,
            "final_dice": dict(one.final),
            "differs": {key: one.differs.get(key, one.settings.get(key)) for key in keys},
        }
        for one in runs
    ]


def _keys(runs: Sequence[RunFacts]) -> list[str]:
    told = list(dict.fromkeys(key for one in runs for key in one.differs))
    return told or differing([one.settings for one in runs if one.settings])


def _settings(one: RunFacts, keys: Sequence[str]) -> dict[str, str]:
    return {key: one.differs.get(key, value_text(one.settings[key]) if key in one.settings else "") for key in keys}


def _cell(text: str) -> str:
    """A setting in a CSV file: numbers stay numbers."""
    try:
        float(text)
    except ValueError:
        return csv_cell(text)
    return text


def _dice(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _by_region(dice: Any, regions: Sequence[str], decimals: int) -> str:
    """Dice of each region without the zero before the point, each as wide as its name."""
    cells = []
    for region in regions:
        text = "–" if region not in dice else f"{dice[region]:.{decimals}f}".removeprefix("0")
        cells.append(text.rjust(len(region)))
    return " ".join(cells)
