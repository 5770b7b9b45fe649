from itertools import pairwise

import pytest

from brats_unet.training.budget import ENDLESS, Budget, Clock, Rate


class Time:
    """A clock that the test moves."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr("brats_unet.training.budget.time.perf_counter", lambda: self.now)

    def passes(self, seconds):
        self.now += seconds


@pytest.fixture
def time(monkeypatch):
    return Time(monkeypatch)


def trained(clock, time, *, step, validation=0.0, first=0.0, done=0):
    """Train by the clock as the loop does, with steps and validations of given seconds.

    Returns the steps with a validation, the estimated totals and the last step.
    """
    validations, totals = [], [clock.total(done)]
    while done < totals[-1]:
        time.passes(step(done) if callable(step) else step)
        if not totals[1:]:
            time.passes(first)
        clock.rate.update()
        done += 1
        totals.append(clock.total(done))
        if clock.validation_due(done, totals[-1]):
            time.passes(validation)
            clock.validated(validation, done, totals[-1])
            validations.append(done)
    return validations, totals, done


@pytest.mark.parametrize(
    ("steps", "share", "expected"),
    [
        (1000, 0.1, (1000, 100, 50)),
        (250_000, 0.1, (250_000, 25_000, 2500)),
        (3, 0.1, (3, 1, 50)),
        (10, 1, (10, 10, 50)),
    ],
)
def test_a_budget_of_steps_by_hand(steps, share, expected):
    budget = Budget.of(steps, share)
    assert (budget.steps, budget.validate_every, budget.save_every) == expected and budget.seconds is None


def test_a_budget_of_minutes_may_also_limit_the_steps():
    assert Budget.of(None, 0.1, 2).seconds == 120 and Budget.of(None, 0.1, 2).steps == ENDLESS
    assert Budget.of(70, 0.1, 0.5).steps == 70


def test_the_rate_excludes_the_first_step_and_validations(time):
    rate = Rate()
    time.passes(100)
    assert rate.update() == 0  # the first step, which traces the graph
    time.passes(2)
    assert rate.update() == 2
    time.passes(400)
    rate.restart()
    time.passes(2)
    assert rate.update() == 2 == rate.mean
    time.passes(5)
    assert rate.update() == 3 == rate.mean  # mean of 2, 2 and 5


def test_without_a_time_limit_the_number_of_steps_does_not_depend_on_the_clock(time):
    clock = Clock(Budget.of(20, 0.25), 0)
    validations, totals, done = trained(clock, time, step=10**6, validation=10**6)
    assert (validations, set(totals), done) == ([5, 10, 15, 20], {20}, 20)
    assert clock.spent() is None


def test_with_a_time_limit_as_many_steps_are_done_as_fit(time):
    clock = Clock(Budget.of(None, 0.25, 10), 0, validation_seconds=0.0)
    validations, totals, done = trained(clock, time, step=2.0, first=30.0)
    assert totals[0] == totals[1] == ENDLESS  # only the tracing step has been timed
    assert done == (600 - 30) // 2 and set(totals[2:]) == {done}
    assert 598 <= clock.spent() <= 600
    assert validations[-1] == done


def test_time_is_reserved_for_all_validations_including_the_last(time):
    clock = Clock(Budget.of(None, 0.25, 10), 0)
    validations, _, done = trained(clock, time, step=1.0, validation=20.0)
    assert 598 <= clock.spent() <= 600
    # One early validation to measure its duration, and one after each quarter.
    assert len(validations) == 5 and validations[-1] == done and validations[0] == 60
    assert done == 500


def test_the_schedule_ends_in_time_even_if_the_machine_becomes_three_times_slower(time):
    clock = Clock(Budget.of(None, 0.5, 10), 0, validation_seconds=0.0)
    _, totals, done = trained(clock, time, step=lambda done: 1.0 if done < 200 else 3.0)
    assert 597 <= clock.spent() <= 603 and 330 <= done <= 336
    progress = [step / total for step, total in enumerate(totals)]
    # `progress` is the position in the schedule before each step; it approaches 1 smoothly.
    assert progress[-2] > 0.98 and max(b - a for a, b in pairwise(progress)) < 0.02


def test_at_least_half_of_the_time_is_used_for_steps_even_with_long_validations(time):
    clock = Clock(Budget.of(None, 0.01, 10), 0)
    validations, _, done = trained(clock, time, step=1.0, validation=50.0)
    assert done >= 290 and 2 <= len(validations) <= 7 and validations[-1] == done
    assert clock.spent() <= 600


def test_the_last_validation_is_skipped_if_it_does_not_fit(time):
    clock = Clock(Budget.of(None, 0.5, 10), 0)
    validations, _, done = trained(clock, time, step=1.0, validation=400.0)
    assert validations == [60] and done == 200 and clock.spent() == 600


def test_a_run_ends_at_its_number_of_steps_before_the_time_limit(time):
    validations, totals, done = trained(Clock(Budget.of(40, 0.5, 10), 0, validation_seconds=0.0), time, step=1.0)
    assert (validations, set(totals), done) == ([20, 40], {40}, 40)


def test_a_resumed_run_has_the_time_that_is_left(time):
    clock = Clock(Budget.of(None, 0.25, 10), 100, spent=300.0, validation_seconds=30.0)
    # 300 s minus two validations of 30 s, at the 3 s per step of the earlier process.
    assert clock.total(100) == 180
    validations, _, done = trained(clock, time, step=1.0, validation=30.0, done=100)
    assert 598 <= clock.spent() <= 600 and done == 340 and len(validations) == 2


def test_a_run_with_no_time_left_is_over(time):
    assert Clock(Budget.of(None, 0.25, 10), 100, spent=600.0).total(100) == 100


def test_validations_on_patches_count_as_time_of_the_steps_and_one_is_kept_for_the_end(time):
    clock = Clock(Budget.of(None, 0.5, 10), 0, validation_seconds=0.0)
    done, total = 0, clock.total(0)
    while done < total:
        time.passes(1.0)
        clock.rate.update()
        done += 1
        total = clock.total(done)
        if done % 10 == 0 or done >= total:
            time.passes(62.0 if done == 10 else 2.0)  # the first one traces the graph for a minute
            clock.patches_validated(2.0, traced=done > 10)
            if done == 10:
                assert clock.rate.mean == 1.0
    # 600 s minus the minute of tracing, at 1.2 s a step
    assert 596 <= clock.spent() <= 600 and 445 <= done <= 450


def test_a_run_without_validation_reserves_no_time_for_it(time):
    clock = Clock(Budget.of(None, 0.1, 1), 30, spent=30.0, validation_seconds=0.0)
    assert clock.total(30) == 60


def test_with_a_time_limit_checkpoints_are_a_hundredth_of_it_but_at_least_a_minute_apart(time):
    for minutes, apart in ((10, 60), (1000, 600)):
        clock = Clock(Budget.of(None, 0.25, minutes), 0)
        time.passes(apart - 1)
        assert not clock.checkpoint_due(7)
        time.passes(1)
        assert clock.checkpoint_due(7)
        clock.saved(3.0)
        assert not clock.checkpoint_due(8)
    clock = Clock(Budget.of(100, 0.25), 0)
    assert [done for done in range(1, 101) if clock.checkpoint_due(done)] == [50, 100]
