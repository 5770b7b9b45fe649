"""The run folder `runs/<name>`: names every file in it, writes them atomically, keeps the journal."""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.errors import CheckpointError, MachineError


@dataclass(frozen=True)
class Run:
    """One training and all that came of it. Nothing here is created until something is written."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def settings_file(self) -> Path:
        """What the run was told, as plain JSON; evaluate and predict take what is unset from it."""
        return self.folder / "settings.json"

    @property
    def recipe_file(self) -> Path:
        """All that prediction needs beside the weights: preparation, outputs, mode, …; lies beside model.keras."""
        return self.folder / "recipe.json"

    @property
    def model_file(self) -> Path:
        """The network with its last weights in float32, as Keras saves it."""
        return self.folder / "model.keras"

    @property
    def postprocessing_file(self) -> Path:
        """What `brats-unet tune` chose for the masks; lies beside model.keras."""
        return self.folder / "postprocessing.json"

    @property
    def environment_file(self) -> Path:
        """Versions, devices, commit and command: how to repeat it."""
        return self.folder / "environment.json"

    @property
    def folds_file(self) -> Path:
        """The folds that this run was trained with, copied from the dataset's."""
        return self.folder / "folds.json"

    @property
    def journal_file(self) -> Path:
        """One JSON object a line: {"event": "step" | "validation" | …, "step": …, …}."""
        return self.folder / "journal.jsonl"

    @property
    def tensorboard_folder(self) -> Path:
        return self.folder / "tensorboard"

    @property
    def evaluation_folder(self) -> Path:
        """scores.csv, summary.json, seed_scores.csv, figures/ and predictions/ of the held-out cases."""
        return self.folder / "evaluation"

    @property
    def mean_shape_file(self) -> Path:
        """The training cases' mean tumour, which an evaluation scores beside the network."""
        return self.folder / "mean_shape.npz"

    @property
    def figures_folder(self) -> Path:
        return self.folder / "figures"

    def checkpoint_file(self, which: str) -> Path:
        """Weights, optimizer and step of the "last" or "best" checkpoint, as safetensors."""
        return self.folder / "checkpoints" / f"{which}.safetensors"

    def settings(self) -> dict[str, Any]:
        """The settings the run was started with.

        Raises:
            CheckpointError: The folder is no run, or its settings cannot be read.
        """
        return self._json(self.settings_file)

    def recipe(self) -> dict[str, Any]:
        """What prediction needs beside the weights; raises CheckpointError for a folder without it."""
        return self._json(self.recipe_file)

    def _json(self, file: Path) -> dict[str, Any]:
        if not self.folder.is_dir():
            raise CheckpointError(f"{self.folder}: no such run folder. Expected one that `brats-unet train` made.")
        return read_json(file, what=f"{self.folder} is not a run folder")

    def note(self, event: str, **facts: Any) -> None:
        """Append one line to the journal."""
        line = json.dumps({"event": event, **facts}, allow_nan=False) + "\n"
        with disk_full_is_said(self.journal_file):
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.journal_file, "ab+") as file:
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    if file.read() != b"\n":  # cut short by a crash: this line shall not be lost with that one
                        line = "\n" + line
                file.write(line.encode())

    def journal(self, event: str | None = None) -> list[dict[str, Any]]:
        """Lines of the journal, of one event or all, oldest first.

        Left out are a line cut short by a crash, and steps that were done again from an earlier checkpoint: each step
        is there once, as it was last done.
        """
        if not self.journal_file.exists():
            return []
        lines: list[dict[str, Any]] = []
        earliest: float = math.inf
        seen: set[tuple[str, int]] = set()
        for text in reversed(self.journal_file.read_text(encoding="utf-8", errors="replace").splitlines()):
            try:
                line = json.loads(text)
            except json.JSONDecodeError:
                continue  # written while the power went
            if (step := line.get("step")) is not None:
                if step > earliest or (line["event"], step) in seen:
                    continue
                earliest = step
                seen.add((line["event"], step))
            if event is None or line["event"] == event:
                lines.append(line)
        return lines[::-1]


def read_json(path: Path, *, what: str, advice: str = "Train again under another name.") -> dict[str, Any]:
    """A JSON object; if it cannot be had, `what` opens the sentence, and `advice` ends it if the file is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{what}: there is no {path.name}. Expected a folder that `brats-unet train` made."
        ) from None
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or problem}. Expected a readable file.") from problem
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise CheckpointError(f"{path}: not readable as JSON ({problem}). {advice}") from None


def write_json(path: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON under its final name only once it is whole; the folder is made."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name when the block ends well, and is removed when it does not.

    The folder is made if need be.

    Raises:
        MachineError: The disk is full, or the folder may not be written to.
    """
    with disk_full_is_said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o666 & ~_umask())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path, names: Sequence[str]) -> Iterator[Path]:
    """A temporary folder whose content lies in `path` when the block ends well; else it is removed.

    Args:
        path: New or empty; or it holds files, of which those called by one of `names` go, whatever the block wrote.
        names: Of all that the block may write. The first goes first and comes last, and so vouches for the others.

    Raises:
        MachineError: The disk is full, or the folder may not be written to.
    """
    with disk_full_is_said(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.is_dir()  # perhaps a link, or where another disk is mounted: it stays
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path if there else path.parent) as name:
            yield (temporary := Path(name))
            temporary.chmod(0o777 & ~_umask())
            if not there:
                temporary.replace(path)
                temporary.mkdir()  # for the end of the block to remove
                return
            for old in (path / name for name in names):
                shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
            for new in (temporary / name for name in reversed(names)):
                if new.exists():
                    new.replace(path / new.name)


@contextmanager
def disk_full_is_said(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into one clear sentence."""
    try:
        yield
    except OSError as problem:
        free = size_text(shutil.disk_usage(existing_parent(path)).free)
        raise MachineError(
            f"{path}: cannot be written ({problem.strerror or problem}; {free} free there). "
            f"Make room, or choose another folder."
        ) from problem


def existing_parent(path: Path) -> Path:
    """The nearest folder above `path` that exists."""
    path = path.absolute()
    while not path.is_dir():
        path = path.parent
    return path


def size_text(size_bytes: float) -> str:
    """A size for people: "12 KiB", "3.9 MiB", "74.1 GiB"."""
    if size_bytes >= 2**30:
        return f"{size_bytes / 2**30:.1f} GiB"
    return f"{size_bytes / 2**20:.1f} MiB" if size_bytes >= 0.1 * 2**20 else f"{size_bytes / 2**10:.0f} KiB"


def refuse_unless_room(folder: Path, needed_bytes: int, what: str) -> None:
    """Raise MachineError before work begins that would fill the disk; a tenth more than `needed_bytes` must be free."""
    free = shutil.disk_usage(existing_parent(folder)).free
    if free < 1.1 * needed_bytes:
        raise MachineError(
            f"{folder}: {size_text(free)} free, but {what} need about {size_text(1.1 * needed_bytes)}. "
            f"Make room, or choose another folder."
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
