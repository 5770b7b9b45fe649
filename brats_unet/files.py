"""Atomic file writes (a file gets its final name only when complete), deletion, and errors of the disk."""

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from brats_unet.errors import MachineError

LEFTOVER = r"\.[0-9a-f]{8}\.part(\.\w+)?"  # end of the name of a temporary of `atomic_path` or `atomic_folder`
# What the system says of a disk that is full, not writable or broken.
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
NAME_ERRORS = {errno.ENAMETOOLONG, errno.ELOOP}  # what it says of a path that no file can have
MOST_PACKED = 1032  # deflate, as in gzip and zip, makes at most so many bytes of one


def exists(path: Path) -> bool:
    """Whether there is a file or folder of that name; also for a name that is too long, where `Path.exists` raises."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: Path) -> bool:
    """Whether there is a file of that name; see `exists`."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: Path) -> bool:
    """Whether there is a folder of that name; see `exists`."""
    return os.path.isdir(path)  # noqa: PTH112


def conf_folder() -> Path:
    """conf/ inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    return installed if (installed := package / "conf").is_dir() else package.parent / "conf"


def is_leftover(path: Path, of: str | None = None) -> bool:
    """Whether a path is a temporary of this program, by its name: of a process that was killed, or of one that runs.

    Args:
        path: File or folder.
        of: Name of the file or folder that the temporary is for; None for any.
    """
    start = r"\..+" if of is None else re.escape(f".{of}")
    return re.fullmatch(start + LEFTOVER, path.name) is not None


def entries(folder: Path) -> list[Path]:
    """What a folder holds, without the temporaries of this program; [] if it does not exist."""
    return [path for path in folder.iterdir() if not is_leftover(path)] if folder.is_dir() else []


def remove_leftovers(folder: Path, of: str | None = None) -> None:
    """Delete the temporaries that killed processes left in a folder, which may not exist.

    Those of a running process stay: it holds a lock on each. What cannot be locked or deleted stays, too.

    Args:
        folder: The folder.
        of: Name of the file or folder whose temporaries are deleted; None for those of all.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if is_leftover(path, of) and not path.is_symlink():
                opened = os.open(path, os.O_RDONLY)
                try:
                    if _hold(opened):
                        shutil.rmtree(path) if path.is_dir() else path.unlink()
                finally:
                    os.close(opened)


def _hold(opened: int) -> bool:
    """Lock an open temporary for this process; False if another holds it, or the disk has no locks."""
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def atomic_path(path: Path, *, ending: str = "") -> Iterator[Path]:
    """A temporary file beside `path`: renamed to `path` if the block succeeds, deleted if it raises.

    The folder is created if it does not exist. What killed processes left of this file is deleted.

    Args:
        path: The final file.
        ending: End of the temporary's name, for writers that require one.

    Raises:
        MachineError: The disk is full, or the folder is not writable.
    """
    with explain_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers(path.parent, of=path.name)
        temporary = path.parent / f".{path.name}.{secrets.token_hex(4)}.part{ending}"
        # Not tempfile: its files are readable by their owner only. Here the system applies the user's umask.
        opened = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            _hold(opened)
            yield temporary
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(opened)


@contextmanager
def atomic_folder(path: Path, names: Sequence[str]) -> Iterator[Path]:
    """A temporary folder: its content moves to `path` if the block succeeds, and is deleted if it raises.

    What killed processes left of this folder is deleted. As long as the files in `path` are not all of one kind, old or
    new, a temporary lies in it, also after an error.

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
        around = path if exists else path.parent
        temporary = around / f".{path.name}.{secrets.token_hex(4)}.part"
        temporary.mkdir()
        opened = os.open(temporary, os.O_RDONLY)
        try:
            _hold(opened)
            try:
                yield temporary
                if not exists:
                    temporary.replace(path)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            if exists:
                for name in names:
                    remove(path / name)
                for new in (temporary / name for name in reversed(names)):
                    if new.exists():
                        new.replace(path / new.name)
                shutil.rmtree(temporary, ignore_errors=True)
            remove_leftovers(around, of=path.name)
        finally:
            os.close(opened)


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
