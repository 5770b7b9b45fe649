"""Terminal tables of a comparison."""

import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from brats_unet.evaluation.paired import compare
from brats_unet.evaluation.record import Evaluation
from brats_unet.evaluation.score import Row
from brats_unet.report.comparison import balance, print_comparison


def evaluation(name, shift):
    rows = [
        Row(f"BraTS20_Training_{index:03}", region, metric, 0.5 + shift + index / 100, unit)
        for index in range(8)
        for region in ("WT", "TC", "ET")
        for metric, unit in (("dice", "1"), ("hd95", "mm"), ("volume_reference", "mm3"))
        if metric != "volume_reference"
    ]
    return Evaluation(
        name, Path(name) / "scores.csv", tuple(rows), {"protocol": {"name": "p"}, "references": {"a": "b"}}
    )


def shown(*shifts):
    console = Console(file=io.StringIO(), width=90, highlight=False)
    runs = [evaluation(f"run{index}", shift) for index, shift in enumerate(shifts)]
    print_comparison(console, compare(runs))
    return console.file.getvalue()


def test_differences_p_values_wins_and_ranking_are_shown_in_90_columns():
    text = shown(0.0, 0.1, 0.2)
    for words in ("run0 → run1 · 8 cases", "WT Dice", "+0.100", "8 0 0", "Ranking as in BraTS", "Holm's correction"):
        assert words in text
    assert "…" not in text


def test_80_columns_are_enough_and_cases_left_out_are_named():
    console = Console(file=io.StringIO(), width=80, highlight=False)
    one, other = evaluation("a", 0.0), evaluation("b", 0.1)
    rows = [replace(row, value=math.nan) if (row.region, row.metric) == ("ET", "hd95") else row for row in other.rows]
    print_comparison(console, compare([one, Evaluation("b", other.file, tuple(rows), other.summary)]))
    text = console.file.getvalue()
    assert "…" not in text
    assert "  ET HD95, mm        –" in text
    assert "Left out because a score is undefined: ET HD95, mm in 8 cases." in " ".join(text.split())


def in_slices(name, shift):
    """An evaluation of slices, whose distances have the longest name of all metrics."""
    rows = [
        Row(f"TCGA_{index:03}", "lesion", metric, size + factor * (shift + index % 3), unit)
        for index in range(40)
        for metric, size, factor, unit in (("dice", 0.5, 0.1, "1"), ("hd95_slice_px", 100.0, 40.0, "px"))
    ]
    return Evaluation(name, Path(name) / "scores.csv", tuple(rows), {"protocol": {"name": "p"}})


@pytest.mark.parametrize("width", [60, 70, 80, 100])
def test_no_number_is_cut_however_long_the_name_of_a_metric_is(width):
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_comparison(console, compare([in_slices("a", 0.0), in_slices("b", 3.0)]))
    text = console.file.getvalue()
    assert "…" not in text
    assert "+120.0   +120.0 to +120.0   < 0.001" in text and " 0 0 40 " in text
    assert ("worse │ better" in text) == (width >= 80)


def test_too_few_cases_for_significance_are_reported():
    console = Console(file=io.StringIO(), width=90)
    few = [Evaluation(e.name, e.file, e.rows[:6], e.summary) for e in (evaluation("a", 0.0), evaluation("b", 0.1))]
    print_comparison(console, compare(few))
    assert "With 1 case, no difference can reach p < 0.05: at least 6 cases are needed." in " ".join(
        console.file.getvalue().split()
    )


def test_bars_show_losses_on_the_left_and_wins_on_the_right():
    assert balance(wins=4, losses=2, n=4).plain == "   ▇▇▇│▇▇▇▇▇▇"
    assert balance(wins=0, losses=0, n=0).plain == "      │      "
