"""A tracker in a thread of its own: one that is slow does not slow the training, and one that fails does not end it."""

from collections.abc import Callable, Mapping
from functools import partial
from queue import Full, Queue
from threading import Thread

from brats_unet.training.tracker import TrackedRun, Tracker

MOST_WAITING = 10_000  # reports that wait for the tracker
# How long the last reports may take.
LAST_SECONDS: Mapping[str, float] = {"done": 60.0, "paused": 60.0, "stopped": 5.0, "failed": 5.0}


class InBackground:
    """Hands everything to a tracker in a thread; if that fails, says so once and reports nothing more.

    Args:
        tracker: The tracker; only the thread calls it.
        name: Its name, for sentences.
        log: Prints a sentence; called in the thread that reports.
        pictures: Whether it gets pictures.
        most_waiting: Reports that may wait. If there are more, the tracker has failed.
        last_seconds: How long `finish` waits for it, by the end of the training.
    """

    def __init__(
        self,
        tracker: Tracker,
        name: str,
        log: Callable[[str], None],
        *,
        pictures: bool = True,
        most_waiting: int = MOST_WAITING,
        last_seconds: Mapping[str, float] = LAST_SECONDS,
    ) -> None:
        self.tracker = tracker
        self.name = name
        self.log = log
        self.pictures = pictures
        self.last_seconds = last_seconds
        self.waiting: Queue[Callable[[], object] | None] = Queue(most_waiting)
        self.where = self.problem = ""
        self.is_off = False

    def start(self, run: TrackedRun) -> str:
        """Start the thread, and the tracker in it; where a user finds the run is printed later."""
        self.thread = Thread(target=self._work, args=(run,), daemon=True, name=self.name)
        self.thread.start()
        return ""

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Report numbers soon."""
        self._put(partial(self.tracker.scalars, dict(values), step))

    def picture(self, name: str, png: bytes, step: int) -> None:
        """Report a picture soon."""
        if self.pictures:
            self._put(partial(self.tracker.picture, name, png, step))

    def finish(self, end: str) -> None:
        """Report the end, and wait a while until all is reported."""
        self._put(partial(self.tracker.finish, end))
        self._put(None)
        if not self.is_off:
            self.thread.join(self.last_seconds[end])
            if self.thread.is_alive():
                waited = f"{self.last_seconds[end]:g} s at the end, {self.waiting.qsize()} reports wait"
                self.problem = self.problem or f"it has not taken everything: after {waited}"
        self._tell()

    def _put(self, report: Callable[[], object] | None) -> None:
        self._tell()
        if not self.is_off:
            try:
                self.waiting.put_nowait(report)
            except Full:
                self.problem = f"it is slower than the training, and {self.waiting.maxsize} reports wait"
                self._tell()

    def _tell(self) -> None:
        """Print what the thread has found, from the thread that reports."""
        if self.where:
            self.log(f"{self.name}: {self.where}")
            self.where = ""
        if self.problem and not self.is_off:
            self.is_off = True
            self.log(f"{self.name} fails: {self.problem}. The training goes on without it.")

    def _work(self, run: TrackedRun) -> None:
        try:
            self.where = self.tracker.start(run)
            while not self.is_off and (report := self.waiting.get()) is not None:
                report()
        # A package of others talks to a server of others here: anything can be raised, also by their own bugs, and
        # nothing of it is worth a training. The reason is printed.
        except (Exception, SystemExit) as raised:  # noqa: BLE001
            lines = str(raised).strip().splitlines()
            self.problem = (lines[0] if lines else type(raised).__name__).rstrip(".")
