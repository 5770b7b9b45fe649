"""TensorBoard's event files, without the host name that TensorFlow writes into each file's name."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from tensorboard.plugins.image.metadata import create_summary_metadata
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.plugins.text.summary_v2 import text_pb
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

from brats_unet.files import explain_write_errors
from brats_unet.training.tracker import TrackedRun

FLUSH_SECONDS = 20.0
PNG_SIZE = slice(16, 24)  # where a PNG file holds its width and height


class EventFile:
    """A new event file in a folder, which TensorBoard reads together with the earlier ones there.

    It can be closed and is complete after `finish`. It holds scalars, pictures, the settings as text, and those that
    decide what is computed for the tab HPARAMS, which compares runs.

    Args:
        folder: Folder of the event files; made by `start`.
        clock: Seconds since 1970.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.clock = clock

    def start(self, run: TrackedRun) -> str:
        """Create the file and write the settings; returns the folder."""
        with explain_write_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            count = sum(1 for _ in self.folder.iterdir())
            # TensorBoard sorts by name: the time first, then how many files were there before.
            self.file = open(self.folder / f"events.out.tfevents.{self.clock():010.0f}.{count}", "xb")  # noqa: SIM115  (finish closes it)
        self.records = RecordWriter(self.file)
        self.flushed = now = self.clock()
        self._write(Event(wall_time=now, file_version="brain.Event:2"))
        self._add(text_pb("settings", f"```yaml\n{run.text}```\n"), 0)
        self._add(hparams_pb(dict(run.settings), trial_id=run.name, start_time_secs=now), 0)
        return str(self.folder)

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add numbers; they are on disk after `FLUSH_SECONDS` or at the end."""
        for name, value in values.items():
            self._add(scalar_pb(name, value), step)
        if self.clock() - self.flushed >= FLUSH_SECONDS:
            self._flush()

    def picture(self, name: str, png: bytes, step: int) -> None:
        """Add a picture; it is on disk at once."""
        width, height = (int.from_bytes(png[PNG_SIZE][at : at + 4]) for at in (0, 4))
        tensor = make_tensor_proto([str(width).encode(), str(height).encode(), png])
        described = create_summary_metadata(display_name=None, description=None)
        self._add(Summary(value=[Summary.Value(tag=name, metadata=described, tensor=tensor)]), step)
        self._flush()

    def finish(self, end: str) -> None:
        """Write how the training ended, and close the file."""
        status = api_pb2.STATUS_FAILURE if end == "failed" else api_pb2.STATUS_SUCCESS
        told = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=self.clock())
        described = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(session_end_info=told))
        value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=described, tensor=metadata.NULL_TENSOR)
        self._add(Summary(value=[value]), 0)
        with explain_write_errors(self.folder):
            self.records.close()

    def _add(self, summary: Summary, step: int) -> None:
        self._write(Event(wall_time=self.clock(), step=step, summary=summary))

    def _write(self, event: Event) -> None:
        with explain_write_errors(self.folder):
            self.records.write(event.SerializeToString())

    def _flush(self) -> None:
        with explain_write_errors(self.folder):
            self.records.flush()
        self.flushed = self.clock()
