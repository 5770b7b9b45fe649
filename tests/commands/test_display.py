"""Progress where there is no terminal: a line now and then, so that long work is seen to be alive."""

import io
import re

import pytest
from rich.console import Console

from brats_unet.commands import display
from brats_unet.commands.display import Display, TrainingDisplay


@pytest.fixture
def at(monkeypatch):
    """Set the clock of the display."""

    def now(seconds):
        monkeypatch.setattr(display.time, "monotonic", lambda: seconds)

    now(1000.0)
    return now


def test_a_line_is_printed_each_half_minute_and_none_at_the_end(at, capsys):
    shown = Display(json=False)
    for seconds, done in ((1010, 1), (1031, 2), (1040, 3), (1062, 4), (1100, 5)):
        at(seconds)
        shown.progress("Scoring", done, 5)
    assert capsys.readouterr().out == "Scoring: 2 of 5\nScoring: 4 of 5\n"


def test_json_hears_nothing(at, capsys):
    shown = Display(json=True)
    at(2000)
    shown.progress("Scoring", 1, 5)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_training_keeps_its_count_and_time_left_at_every_width(width, monkeypatch):
    shown = Display(json=False)
    shown.console = Console(width=width, force_terminal=True, file=io.StringIO())
    bar = TrainingDisplay(shown, 0, 250_000)

    def line():
        with shown.console.capture() as captured:
            shown.console.print(bar.bar.get_renderable())
        return re.sub(r"\x1b\[[\d;]*m", "", captured.get()).strip()

    assert "0/250000" in line() and "first step: building the graph …" in line() and line().endswith("-:--:--")
    bar.dice, bar.patch_dice = "  Dice 0.123", "  patch Dice 0.456"
    bar.step(1, 250_000, 0.915, 24.17)
    assert "1/250000" in line() and "24.17 patches/s" in line() and ":" in line()[-8:]
    assert "\n" not in line() and "…" not in line()


@pytest.mark.parametrize(("variables", "lines"), [({}, 2), ({"JPY_PARENT_PID": "7"}, 12)])
def test_a_training_in_a_file_or_notebook_prints_a_line_now_and_then(at, monkeypatch, capsys, variables, lines):
    monkeypatch.delenv("JPY_PARENT_PID", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with TrainingDisplay(Display(json=False), 0, 300) as bar:
        for number in range(1, 61):
            at(1000 + number)
            bar.step(number, 300, 0.5, 24.0)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == lines and said[-1] == "step 60 of 300  loss 0.500  24.00 patches/s  about 4 min left"


def test_in_a_notebook_a_terminal_is_no_place_for_bars(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # Rich then takes any output for a terminal
    for name, live in (("NOTHING", True), ("COLAB_RELEASE_TAG", False)):
        monkeypatch.setenv(name, "1")
        assert Display(json=False).live is live
