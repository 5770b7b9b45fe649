"""Scalars in TensorBoard's event files, without the host name that TensorFlow writes into each file's name."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from brats_unet.files import explain_write_errors

FLUSH_SECONDS = 20.0


class ScalarEvents:
    """A new event file in a folder, which TensorBoard reads together with the earlier ones there.

    Args:
        folder: Folder of the event files; made when the block is entered.
        clock: Seconds since 1970.
        writes: False for a process that writes nothing, as all workers of a training but the chief.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time, *, writes: bool = True) -> None:
        self.folder = folder
        self.writes = writes
        self.clock = clock

    def __enter__(self) -> "ScalarEvents":
        if not self.writes:
            return self
        with explain_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            count = sum(1 for _ in self.folder.iterdir())
            # TensorBoard sorts by name: the time first, then how many files were there before.
            self.file = open(self.folder / f"events.out.tfevents.{self.clock():010.0f}.{count}", "xb")
        self.records = RecordWriter(self.file)
        self.flushed = self.clock()
        self._write(Event(wall_time=self.flushed, file_version="brain.Event:2"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.writes:
            with explain_write_errors(self.folder):
                self.records.close()

    def add(self, name: str, value: float, step: int) -> None:
        """Add one scalar; it is on disk after `FLUSH_SECONDS` or at the end of the block."""
        if not self.writes:
            return
        now = self.clock()
        self._write(Event(wall_time=now, step=step, summary=scalar_pb(name, value)))
        if now - self.flushed >= FLUSH_SECONDS:
            with explain_write_errors(self.folder):
                self.records.flush()
            self.flushed = now

    def _write(self, event: Event) -> None:
        with explain_write_errors(self.folder):
            self.records.write(event.SerializeToString())
