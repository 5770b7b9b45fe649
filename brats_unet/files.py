"""Atomic file writes (a file gets its final name only when complete), JSON files, deletion, and errors of the disk."""

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brats_unet.errors import CheckpointError, MachineError
from brats_unet.hand_written import json_values

LEFTOVER = re.compile(r"\..+\.[0-9a-f]{8}\.part")  # name of a temporary file of `atomic_path`


def conf_folder() -> Path:
    """conf/ inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return installed if (installed := package / "conf").is_dir() else package.parent / "conf"


def read_json(path: Path, *, what: str, advice: str = "Train again under another name.") -> dict[str, Any]:
    """The content of a JSON file.

    Args:
        path: The file.
        what: First words of the message if the file does not exist.
        advice: Last sentence of the message if the file is not valid JSON.

    Raises:
        CheckpointError: The file is missing, unreadable or not valid JSON, or holds a key twice.
    """
    try:
        return json_values(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{what}: there is no {path.name}. Expected a folder that `brats-unet train` made."
        ) from None
    except OSError as problem:
        raise CheckpointError(f"{path}: {problem.strerror or problem}. Expected a readable file.") from problem
    except (ValueError, RecursionError) as problem:
        raise CheckpointError(f"{path}: not readable as JSON ({problem}). {advice}") from None


def write_json(path: Path, content: Mapping[str, Any] | list[Any]) -> None:
    """Write a JSON file atomically; create its folder if it does not exist."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`: renamed to `path` if the block succeeds, deleted if it raises.

    The folder is created if it does not exist.

    Raises:
        MachineError: The disk is full, or the folder is not writable.
    """
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
        # Not tempfile: its files are readable by their owner only. Here the system applies the user's umask.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Delete the temporary files of `atomic_path` that a killed process left in a folder, which may not exist."""
    for path in folder.glob(".*.part"):
        if LEFTOVER.fullmatch(path.name):
            remove_file(path)


@contextmanager
def atomic_folder(path: Path, names: Sequence[str]) -> Iterator[Path]:
    """A temporary folder: its content moves to `path` if the block succeeds, and is deleted if it raises.

    Args:
        path: The final folder, which may exist. Of the files in it, those listed in `names` are deleted, whether or not
            the block wrote them anew; all others stay.
        names: Every file and folder name that the block may write. The first is deleted first and written last: if it
            exists, the others are complete.

    Raises:
        MachineError: The disk is full, or the folder is not writable.
    """
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        exists = path.is_dir()  # kept, because it may be a link or a mount point
        temporary = (path if exists else path.parent) / f".{path.name}.{secrets.token_hex(4)}"
        temporary.mkdir()
        try:
            yield temporary
            if not exists:
                temporary.replace(path)
                return
            for name in names:
                remove(path / name)
            for new in (temporary / name for name in reversed(names)):
                if new.exists():
                    new.replace(path / new.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def remove(path: Path) -> None:
    """Delete a file, a link, or a folder with its content; nothing happens if `path` does not exist.

    Of a link, only the link is deleted: what it points to stays as it is. The same holds for links inside a folder.

    Raises:
        MachineError: The system refuses to delete it.
    """
    with _explain_delete_errors(path):
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)


def remove_file(path: Path) -> None:
    """Delete a file or a link, never a folder; nothing happens if `path` does not exist.

    Raises:
        MachineError: `path` is a folder, or the system refuses to delete it.
    """
    with _explain_delete_errors(path):
        path.unlink(missing_ok=True)


@contextmanager
def _explain_delete_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise MachineError(
            f"{problem.filename or path}: cannot be deleted ({problem.strerror or problem}). Delete it yourself, or "
            f"choose another folder."
        ) from problem


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError in the block into a MachineError that says what cannot be written and how much space is free."""
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
    """A human-readable size: "12 KiB", "3.9 MiB", "74.1 GiB"."""
    if size_bytes >= 2**30:
        return f"{size_bytes / 2**30:.1f} GiB"
    return f"{size_bytes / 2**20:.1f} MiB" if size_bytes >= 0.1 * 2**20 else f"{size_bytes / 2**10:.0f} KiB"


def require_free_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Raise MachineError unless 1.1 times `needed_bytes` are free; called before any work starts."""
    free = shutil.disk_usage(existing_parent(folder)).free
    if free < 1.1 * needed_bytes:
        raise MachineError(
            f"{folder}: {size_text(free)} free, but {what} need about {size_text(1.1 * needed_bytes)}. "
            f"Make room, or choose another folder."
        )
