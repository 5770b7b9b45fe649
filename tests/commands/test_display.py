"""Progress where there is no terminal: a line now and then, so that long work is seen to be alive."""

import pytest

from brats_unet.commands import display
from brats_unet.commands.display import Display


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
