"""Ranges of settings as they are typed, and the trials that a sweep draws from them."""

import numpy as np
import pytest

from brats_unet.cli.search_space import Choice, Interval, better_half, draw_trials, is_range, read_range, rungs_of
from brats_unet.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a,b,c", Choice(("a", "b", "c"))),
        ("choice(a,b)", Choice(("a", "b"))),
        ("[4,8],[8,16]", Choice(("[4,8]", "[8,16]"))),
        ("interval(0, 0.5)", Interval(0, 0.5)),
        ("log(1e-4,1e-1)", Interval(1e-4, 1e-1, log=True)),
        ("int(2,5)", Interval(2, 5, whole=True)),
        ("int(log(1,64))", Interval(1, 64, log=True, whole=True)),
        ("tag(log, interval(1e-4,1e-1))", Interval(1e-4, 1e-1, log=True)),
        ("int(interval(2,5))", Interval(2, 5, whole=True)),
        (["x", 3], Choice(("x", "3"))),
    ],
)
def test_a_range_is_read_as_typed(text, expected):
    assert read_range("key", text) == expected
    assert isinstance(text, list) or is_range(text)


@pytest.mark.parametrize("text", ["0.1", "[1,2]", "a", "", "'a,b'", "sweep(1,2)", "{WT: 1, TC: 2}"])
def test_a_single_value_is_no_range(text):
    assert not is_range(text)


@pytest.mark.parametrize(
    "text", ["log(0,1)", "interval(2,1)", "int(a,b)", "interval(1)", "log(-1,2)", "interval(0,inf)", "x"]
)
def test_limits_that_do_not_fit_are_refused(text):
    with pytest.raises(SettingsError, match="key="):
        read_range("key", text)


def test_draws_stay_inside_and_fill_the_range():
    space = {
        "a": Interval(0.1, 0.9),
        "b": Interval(1e-4, 1e-1, log=True),
        "c": Interval(2, 5, whole=True),
        "d": Choice(("x", "y")),
    }
    trials = draw_trials(space, 400, seed=0)
    columns = {key: [trial[key] for trial in trials] for key in space}
    uniform = np.array(columns["a"], float)
    assert 0.1 <= uniform.min() < 0.12 and 0.88 < uniform.max() <= 0.9 and abs(uniform.mean() - 0.5) < 0.05
    logarithm = np.log10(np.array(columns["b"], float))
    assert -4 <= logarithm.min() < -3.9 and -1.1 < logarithm.max() <= -1 and abs(logarithm.mean() + 2.5) < 0.15
    assert {key: columns["c"].count(key) > 70 for key in ("2", "3", "4", "5")} == dict.fromkeys("2345", True)
    assert set(columns["d"]) == {"x", "y"}


def test_the_first_trials_stay_when_more_are_drawn_and_another_seed_draws_others():
    space = {"a": Interval(0, 1), "b": Choice(("x", "y"))}
    assert draw_trials(space, 20, seed=3)[:5] == draw_trials(space, 5, seed=3) != draw_trials(space, 5, seed=4)


def test_no_trial_is_drawn_twice_and_a_small_space_ends():
    trials = draw_trials({"a": Choice(("x", "y")), "b": Choice(("1", "2"))}, 10, seed=0)
    assert len(trials) == 4 and all(trials.count(trial) == 1 for trial in trials)


def test_the_better_half_goes_on_rounded_up_and_failed_trials_never_do():
    assert better_half([0.1, 0.5, 0.3, 0.4]) == [1, 3]
    assert better_half([0.1, None, 0.3, 0.2]) == [2, 3]
    assert better_half([None, None]) == []
    assert better_half([0.7]) == [0]


def test_rungs_leave_about_two_trials():
    assert rungs_of(1000, 8) == [250, 500]
    assert rungs_of(1000, 16) == [125, 250, 500]
    assert rungs_of(1000, 2) == [500] and rungs_of(1, 8) == []
