"""Signals that ask a command to stop: it finishes what it must not leave half done, saves, and ends in time."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from brats_unet.errors import Interrupted, Stopped

# Ctrl-C, what schedulers send before they kill, and what Slurm sends ahead of it with --signal=USR1@SECONDS.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
SHOW_CURSOR = "\033[?25h"  # progress bars hide it


class StopRequest:
    """Whether a signal has asked this process to stop; within the block, it handles Ctrl-C, SIGTERM and SIGUSR1.

    The first signal raises `Stopped` in the main thread; within `deferred()` it is only recorded, for a loop that asks
    `requested` between its steps. A later SIGTERM or SIGUSR1 changes nothing: schedulers send several. A later Ctrl-C
    raises KeyboardInterrupt at once, everywhere.

    Use it in the main thread. Blocks may be nested; the inner one then has the signals.

    Args:
        end: Ends the process with an exit code, without any cleanup.

    Attributes:
        signal: The first signal; None if none has come.
        within_seconds: Longest time from the first signal to the end of the block. After it, the process ends at once
            with exit code 75, even if the main thread is inside a long computation. None: no limit.
        late: Sentence that is then printed.
    """

    def __init__(self, end: Callable[[int], Any] = os._exit) -> None:
        self.signal: signal.Signals | None = None
        self.within_seconds: float | None = None
        self.late = "Stopped before the current work was done. Run the same command again to continue."
        self._end = end
        self._raises = True
        self._left = threading.Event()

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    @property
    def by(self) -> str:
        """The first signal in words: "Ctrl-C", "SIGTERM" or "SIGUSR1"; "" if none has come."""
        return "" if self.signal is None else "Ctrl-C" if self.signal == signal.SIGINT else self.signal.name

    def __enter__(self) -> "StopRequest":
        # Python calls handlers between two instructions of the main thread, which may compute for minutes. The number
        # of the signal is written to this pipe at once, and the thread below reads it.
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._old_wakeup = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        self._watch = threading.Thread(target=self._end_when_late, daemon=True, name="stop in time")
        self._watch.start()
        self._old_handlers = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._old_wakeup)
        self._left.set()
        os.close(self._write_end)
        self._watch.join()
        os.close(self._read_end)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within the block, the first signal is only recorded; ask `requested`."""
        before, self._raises = self._raises, False
        try:
            yield
        finally:
            self._raises = before

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Within the block, the first signal raises `Stopped`; so does the start of the block if one has come."""
        before = self._raises
        try:
            self._raises = True
            if self.requested:
                raise Stopped
            yield
        finally:
            self._raises = before

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = signal.Signals(number)
            if self._raises:
                raise Stopped
        elif number == signal.SIGINT:
            raise KeyboardInterrupt

    def _end_when_late(self) -> None:
        while numbers := os.read(self._read_end, 1):
            if numbers[0] in SIGNALS:
                break
        else:
            return
        if not self._left.wait(self.within_seconds):
            cursor = SHOW_CURSOR if sys.stderr.isatty() else ""
            # Not print: the main thread may hold the lock of the stream.
            os.write(2, f"{cursor}\n{self.late}\n".encode())
            self._end(Interrupted.exit_code)
