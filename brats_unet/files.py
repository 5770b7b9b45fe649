"""Files written under their final name only once they are whole, and what a full disk says."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brats_unet.errors import CheckpointError, MachineError


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
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
        # Made here and not by tempfile, whose files nobody else may read: the system applies the user's umask to these.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            yield temporary
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
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        there = path.is_dir()  # perhaps a link, or where another disk is mounted: it stays
        temporary = (path if there else path.parent) / f".{path.name}.{secrets.token_hex(4)}"
        temporary.mkdir()
        try:
            yield temporary
            if not there:
                temporary.replace(path)
                return
            for old in (path / name for name in names):
                shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
            for new in (temporary / name for name in reversed(names)):
                if new.exists():
                    new.replace(path / new.name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
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


def require_free_space(folder: Path, needed_bytes: int, what: str) -> None:
    """Raise MachineError before work begins that would fill the disk; a tenth more than `needed_bytes` must be free."""
    free = shutil.disk_usage(existing_parent(folder)).free
    if free < 1.1 * needed_bytes:
        raise MachineError(
            f"{folder}: {size_text(free)} free, but {what} need about {size_text(1.1 * needed_bytes)}. "
            f"Make room, or choose another folder."
        )
