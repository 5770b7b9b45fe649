"""The last few checkpoints of a run: written while training goes on, each whole; a damaged one is passed over."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

import keras
import numpy as np

from brats_unet.errors import CheckpointError, MachineError
from brats_unet.files import remove_file, remove_leftovers
from brats_unet.models import checkpoint
from brats_unet.run import Run


class CheckpointWriter:
    """Writes checkpoints in a thread of its own, one at a time; within the block.

    `save` copies the tensors and returns; training goes on while they are written. A new "last" takes its name only
    when it is complete on disk. The one before becomes "last-1", and so on; `keep` of them stay. A checkpoint that
    cannot be written is raised by the next call; the one before it stays as it is.

    Args:
        run: Run folder. What a killed process left half written there is deleted. Of several workers, only the chief,
            for whom `run.writes` is true, copies and writes anything.
        keep: Number of last checkpoints to keep, 1 or more.

    Attributes:
        seconds: Time that copying and writing the last checkpoint took; 0 before the first.
    """

    def __init__(self, run: Run, keep: int) -> None:
        self.run = run
        self.keep = keep
        self.seconds = 0.0
        self._step: int | None = None  # of the last checkpoint that was written
        self._writing: Future[None] | None = None

    def __enter__(self) -> "CheckpointWriter":
        if self.run.writes:
            folder = self.run.checkpoint_file("last").parent
            remove_leftovers(folder)
            for path in folder.glob(".tmp" + 6 * "[0-9A-Za-z]"):  # of safetensors
                remove_file(path)
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._thread.shutdown()
        if kind is None:
            self.wait()

    @property
    def busy(self) -> bool:
        """Whether a checkpoint is being written."""
        return self._writing is not None and not self._writing.done()

    def save(
        self,
        which: str,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        state: checkpoint.State,
        average: Mapping[str, Any] | None,
    ) -> None:
        """Copy the tensors and start to write checkpoint `which`, once the one before is written.

        Raises:
            MachineError: The checkpoint before could not be written.
        """
        if not self.run.writes:
            return
        self.wait()
        started = time.perf_counter()
        tensors = checkpoint.copies(model, optimizer, average)
        self._writing = self._thread.submit(self._write, which, tensors, state, started)

    def check(self) -> None:
        """Raise MachineError if a checkpoint could not be written; does not wait for one that is being written."""
        if not self.busy:
            self.wait()

    def wait(self) -> None:
        """Wait until all checkpoints are written; raises MachineError if one could not be."""
        if self._writing is None:
            return
        try:
            self._writing.result()
        except MachineError as problem:
            of = "" if self._step is None else f" of step {self._step}"
            raise MachineError(
                f"{problem} The checkpoint before{of} stays; the same command continues from it."
            ) from problem
        finally:
            self._writing = None

    def _write(self, which: str, tensors: Mapping[str, np.ndarray], state: checkpoint.State, started: float) -> None:
        file = self.run.checkpoint_file
        if which == "last":
            checkpoint.write(file("last"), tensors, state, before=self._make_room)
            remove_file(file("initial"))
            for old in self.run.last_checkpoints()[self.keep :]:
                remove_file(old)
            self._step = state.step
        else:
            checkpoint.write(file(which), tensors, state)
        self.seconds = time.perf_counter() - started

    def _make_room(self) -> None:
        """Give "last" and those before it the names of older ones, the oldest first."""
        for number in range(self.keep - 1, 0, -1):
            newer = self.run.checkpoint_file(f"last-{number - 1}" if number > 1 else "last")
            if newer.exists():
                newer.replace(self.run.checkpoint_file(f"last-{number}"))


def restore_newest(
    run: Run,
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    average: Mapping[str, Any] | None,
) -> tuple[checkpoint.State, list[Path], str]:
    """Restore the newest checkpoint that is not damaged; changes no file.

    Returns:
        Its state, or that of step 0 if there is none; the damaged checkpoints, which are newer; and a warning that
        names them, or "".

    Raises:
        CheckpointError: All are damaged, or one is of another network.
    """
    files, damaged, problems = run.last_checkpoints(), [], []
    for file in files:
        try:
            state = checkpoint.restore(file, model, optimizer, average)
        except checkpoint.DamagedCheckpointError as problem:
            damaged.append(file)
            problems.append(str(problem))
            continue
        warning = ""
        if damaged:
            names = " and ".join(path.name for path in damaged)
            warning = (
                f"Warning: {names} in {file.parent} cannot be used; going on from the checkpoint before, {file.name}, "
                f"of step {state.step}. {' '.join(problems)}"
            )
        return state, damaged, warning
    if damaged:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise CheckpointError(
            f"{run.folder}: no checkpoint can be used:\n{listed}\nRestore one from a backup, or start again with "
            f"overwrite=true."
        )
    return checkpoint.State(step=0), [], ""


def set_aside(run: Run, damaged: Sequence[Path]) -> None:
    """Rename the newest damaged checkpoint to "damaged", delete others, and make the newest good one "last"."""
    for path in reversed(damaged):
        path.replace(run.checkpoint_file("damaged"))
    if (files := run.last_checkpoints()) and files[0] != run.checkpoint_file("last"):
        files[0].replace(run.checkpoint_file("last"))
