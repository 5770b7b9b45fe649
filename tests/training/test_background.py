"""A tracker in a thread: whatever it does, the training goes on, and what went wrong is said once."""

import re
from threading import Event

import pytest

from brats_unet.training.background import InBackground
from brats_unet.training.tracker import TrackedRun, Trackers

RUN = TrackedRun("run", "project", {"steps": 5}, "steps: 5\n", None, lambda name: None)
GONE_ON = "The training goes on without it."


class Recorder:
    """A tracker that records its calls, raises in those named in `raises`, and waits in `scalars` for `gate`."""

    def __init__(self, raises=(), problem=None, gate=None):
        self.calls, self.raises, self.gate = [], raises, gate
        self.problem = problem or ConnectionError("no route to the server.\nTraceback of a library")

    def called(self, name, *values):
        if name in self.raises:
            raise self.problem
        self.calls.append((name, *values))

    def start(self, run):
        self.called("start", run.name)
        return "see it there"

    def scalars(self, values, step):
        if self.gate is not None:
            self.gate.wait(10)
        self.called("scalars", values, step)

    def picture(self, name, png, step):
        self.called("picture", name, png, step)

    def finish(self, end):
        self.called("finish", end)


def report(tracker, steps=3, end="done", **options):
    """Report some steps and a picture; returns the sentences."""
    said = []
    told = InBackground(tracker, "tracking=x", said.append, **options)
    told.start(RUN)
    for step in range(1, steps + 1):
        told.scalars({"train/loss": 1 / step}, step)
    told.picture("held_out/first_case", b"png", steps)
    told.finish(end)
    return said


def test_everything_reaches_the_tracker_in_order():
    tracker = Recorder()
    assert report(tracker, end="stopped") == ["tracking=x: see it there"]
    assert tracker.calls == [
        ("start", "run"),
        *(("scalars", {"train/loss": 1 / step}, step) for step in (1, 2, 3)),
        ("picture", "held_out/first_case", b"png", 3),
        ("finish", "stopped"),
    ]


def test_without_pictures_only_numbers_are_sent():
    tracker = Recorder()
    report(tracker, pictures=False)
    assert [name for name, *_ in tracker.calls] == ["start", "scalars", "scalars", "scalars", "finish"]


@pytest.mark.parametrize("at", ["start", "scalars", "picture", "finish"])
@pytest.mark.parametrize("problem", [None, SystemExit("no route to the server")])
def test_a_tracker_that_fails_is_said_once_and_not_called_again(at, problem):
    tracker = Recorder(raises=[at], problem=problem)
    said = [sentence for sentence in report(tracker) if "see it there" not in sentence]
    assert said == [f"tracking=x fails: no route to the server. {GONE_ON}"]
    order = ["start", "scalars", "picture", "finish"]
    assert all(order.index(name) < order.index(at) for name, *_ in tracker.calls)


def test_an_error_without_words_is_said_by_its_name():
    assert report(Recorder(raises=["start"], problem=KeyError())) == [f"tracking=x fails: KeyError. {GONE_ON}"]


def test_values_are_those_of_the_moment_of_the_report():
    tracker, values = Recorder(gate=Event()), {"train/loss": 1.0}
    told = InBackground(tracker, "tracking=x", lambda sentence: None)
    told.start(RUN)
    told.scalars(values, 1)
    values["train/loss"] = 9.0
    tracker.gate.set()
    told.finish("done")
    assert tracker.calls[1] == ("scalars", {"train/loss": 1.0}, 1)


def test_a_tracker_that_hangs_neither_slows_nor_ends_the_training_and_is_said():
    gate = Event()
    said = report(Recorder(gate=gate), steps=50, most_waiting=10)
    assert said[-1] == f"tracking=x fails: it is slower than the training, and 10 reports wait. {GONE_ON}"
    said = report(Recorder(gate=gate), last_seconds={"done": 0.05})
    gate.set()
    found = rf"tracking=x fails: it has not taken everything: after 0.05 s at the end, \d reports wait. {GONE_ON}"
    assert re.fullmatch(found, said[-1])


def test_several_trackers_are_told_the_same_and_none_is_told_nothing():
    first, second = Recorder(), Recorder()
    for trackers in (Trackers([first, second]), Trackers()):
        trackers.start(RUN)
        trackers.scalars({"a": 1.0}, 1)
        trackers.picture("b", b"png", 1)
        trackers.finish("done")
    assert first.calls == second.calls and len(first.calls) == 4
