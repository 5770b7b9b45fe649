"""The lock of a run folder: one process at a time trains in it. The system releases it when that process ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brats_unet.errors import SettingsError
from brats_unet.files import explain_write_errors

LOCK = ".lock"  # in the folder; it stays, because two processes could hold the lock if one removed it


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which is created if it does not exist.

    Raises:
        SettingsError: Another process holds it; the message names that process.
        MachineError: The folder cannot be written.
    """
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a+", encoding="utf-8")  # noqa: SIM115  (closed below)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise SettingsError(
                f"{folder} is in use: {file.read().strip() or 'another process'} works in it. Wait until that one has "
                f"ended, or choose another name with name=…."
            ) from None
        except OSError:  # a disk that has no locks, as some network disks: the training runs all the same
            yield
            return
        file.truncate(0)
        file.write(f"process {os.getpid()}\n")  # no name of the machine: a run folder is given away
        file.flush()
        yield


def is_locked(folder: Path) -> bool:
    """Whether a process works in a folder."""
    try:
        with open(folder / LOCK, encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no such file, or a disk without locks
        return False
    return False
