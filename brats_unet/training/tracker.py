"""What a training reports while it runs, and to whom: TensorBoard's event files, and another tracker if one is set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told about a training at its start.

    Attributes:
        name: Name of the run folder.
        project: Name under which the tracker collects the runs to compare; MLflow calls it an experiment.
        settings: Settings that decide what the training computes, by dotted key.
        text: All settings, as YAML.
        id: What the tracker called this run at an earlier start, to continue it; None for a new one.
        remember: Keeps such an id for the next start.
    """

    name: str
    project: str
    settings: Mapping[str, bool | float | str]
    text: str
    id: str | None
    remember: Callable[[str], None]


class Tracker(Protocol):
    """Receives what a training measures. Steps can come again, after a return to an earlier checkpoint."""

    def start(self, run: TrackedRun) -> str:
        """Begin or continue a run; returns where a user finds it."""
        ...

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Record numbers by name; the part of a name before "/" is its group."""
        ...

    def picture(self, name: str, png: bytes, step: int) -> None:
        """Record a picture, as the content of a PNG file."""
        ...

    def finish(self, end: str) -> None:
        """Record that all is told, and how this start ended: "done", "paused", "stopped" or "failed"."""
        ...


class Trackers:
    """Several trackers as one; none for a process that reports nothing."""

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self.trackers = trackers

    def start(self, run: TrackedRun) -> str:
        """Start all of them."""
        return ", ".join([tracker.start(run) for tracker in self.trackers])

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Report numbers to all of them."""
        for tracker in self.trackers:
            tracker.scalars(values, step)

    def picture(self, name: str, png: bytes, step: int) -> None:
        """Report a picture to all of them."""
        for tracker in self.trackers:
            tracker.picture(name, png, step)

    def finish(self, end: str) -> None:
        """Finish all of them."""
        for tracker in self.trackers:
            tracker.finish(end)
