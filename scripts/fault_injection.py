"""Run commands of brats-unet and disturb each at one file event: kill it, or refuse the event as a disk would.

    .venv/bin/python scripts/fault_injection.py PLAN.json -- phantom output=phantoms cases=1

A file event is what Python tells its audit hooks: a file opened for writing, a rename, a deletion, a new folder. Writes
have no event of their own; "full" lets every write after the event fail. PLAN.json holds the fields of `Plan`.
"""

import errno
import importlib
import json
import os
import re
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, NamedTuple

KILL, FULL = "kill", "full"
ERRORS = {"ENOSPC": errno.ENOSPC, "EACCES": errno.EACCES}
MOST_BYTES = 64  # of a file on a "full" disk; the semaphores of Python, 32 bytes, do not lie on a disk
# Arguments of an audit event that are paths; each may be relative to the open folder whose number follows later.
PATHS = {
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.mkdir": (0,),
    "os.link": (0, 1),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "os.utime": (0,),
    "shutil.rmtree": (0,),
}
FOLDER_NUMBERS = {"os.rename": (2, 3), "os.remove": (1,), "os.rmdir": (1,), "os.mkdir": (2,), "shutil.rmtree": (1,)}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TEMPORARY = re.compile(r"\.(?P<name>.+?)(\.[0-9a-f]{8})?\.part(\.\w+)?")  # name of a temporary of brats-unet
PACKAGE = f"{os.sep}brats_unet{os.sep}"


class Event(NamedTuple):
    """One distinct file event: what is done, to which kind of file, and where in brats-unet."""

    operation: str
    kind: str
    site: str


@dataclass(frozen=True)
class Plan:
    """What happens to one run of a command.

    Attributes:
        folder: Only events in this folder count.
        log: A line of JSON for each event (operation, kind, site, path); with `how`, only for the disturbed one.
        how: "kill", "ENOSPC", "EACCES" or "full"; None disturbs nothing.
        event: The event to disturb.
        nth: Which of its occurrences, from 1.
    """

    folder: str
    log: str
    how: str | None = None
    event: tuple[str, str, str] | None = None
    nth: int = 1


def plain_name(path: str) -> str:
    """A path without the marks of a temporary: the file that it will become."""
    names = (found["name"] if (found := TEMPORARY.fullmatch(part)) else part for part in Path(path).parts)
    return str(Path(*names))


def kind_of(path: str) -> str:
    """The kind of a file, by its path in the watched folder: numbers, hashes, scans and regions are all alike."""
    path = re.sub(r"[0-9a-f]{8,}", "*", plain_name(path))
    path = re.sub(r"(?<![A-Za-z])(flair|t1ce|t1|t2)(?![A-Za-z0-9])", "SCAN", path)
    path = re.sub(r"(?<![A-Za-z])(WT|TC|ET)(?![A-Za-z])", "REGION", path)
    return re.sub(r"\d+", "#", path)


def site_of(frame: FrameType | None) -> str:
    """The innermost lines of brats-unet in a stack: two where the first is in files.py, which many others call."""
    lines: list[str] = []
    while frame is not None:
        name = frame.f_code.co_filename
        if PACKAGE in name:
            lines.append(f"{name.rpartition(PACKAGE)[2]}:{frame.f_lineno}")
            if not lines[-1].startswith("files.py:"):
                break
        frame = frame.f_back
    return " < ".join(lines[:1] + lines[-1:] if len(lines) > 1 else lines)


def watch(plan: Plan) -> None:
    """Log and disturb the events of this process from now on, also in its threads but not in its jobs.

    This cannot be undone.
    """
    own, log = os.getpid(), os.open(plan.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    wanted, seen = (Event(*plan.event) if plan.event else None), [0]
    folder = os.path.join(os.path.realpath(plan.folder), "")  # noqa: PTH118  (a hook must be quick)

    def hook(name: str, given: tuple[Any, ...]) -> None:
        if name == "open":
            if not isinstance(given[0], str | bytes) or not given[2] & WRITING:
                return
        elif name not in PATHS:
            return
        paths = [path for path in _paths(name, given) if path.startswith(folder)]
        if not paths or os.getpid() != own:
            return
        event = Event(name, kind_of(paths[-1][len(folder) :]), site_of(sys._getframe(1)))
        if wanted is None:
            os.write(log, (json.dumps([*event, paths[-1]]) + "\n").encode())
        elif event == wanted:
            seen[0] += 1
            if seen[0] == plan.nth:
                os.write(log, (json.dumps([*event, paths[-1]]) + "\n").encode())
                disturb(str(plan.how), paths[-1])

    sys.addaudithook(hook)


def _paths(name: str, given: tuple[Any, ...]) -> list[str]:
    """Whole paths of an event."""
    paths = []
    for place, index in enumerate(PATHS.get(name, (0,))):
        if not isinstance(given[index], str | bytes | os.PathLike):
            continue  # the number of an open file
        path = os.fsdecode(given[index])
        numbers = FOLDER_NUMBERS.get(name, ())
        number = given[numbers[place]] if place < len(numbers) and numbers[place] < len(given) else None
        if isinstance(number, int) and number >= 0:
            path = os.path.join(os.readlink(f"/proc/self/fd/{number}"), path)  # noqa: PTH115, PTH118
        paths.append(os.path.abspath(path))  # noqa: PTH100
    return paths


def disturb(how: str, path: str) -> None:
    """Kill this process and its children, raise the error of the disk, or let the disk be full from now on."""
    if how == KILL:
        os.killpg(0, signal.SIGKILL)
    elif how == FULL:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_BYTES, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    else:
        raise OSError(ERRORS[how], os.strerror(ERRORS[how]), path)


class Job:
    """A job of `crossval` in a fork of this process; a new one would import TensorFlow again.

    Args:
        command: The interpreter, "-m", "brats_unet", and the arguments.
        env: Variables of the process.
    """

    def __init__(self, command: list[str], env: Mapping[str, str]) -> None:
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self.number = os.fork()
        if self.number == 0:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in (signal.SIGTERM, signal.SIGUSR1):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
            os._exit(exit_code(_job, command[3:], env))
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self.number, 0)[1])

    def send_signal(self, number: int) -> None:
        """Send a signal to it."""
        os.kill(self.number, number)


def _job(arguments: list[str], env: Mapping[str, str]) -> int:
    """Run the command of a job in this process; returns the exit code."""
    from hydra.core.global_hydra import GlobalHydra

    from brats_unet.cli.main import main

    GlobalHydra.instance().clear()  # that of the sweep
    os.environ.update(env)
    return main(arguments)


def exit_code(work: Callable[..., int], *arguments: Any) -> int:
    """The exit code that the work of a forked process returns; 99 after a traceback, which is printed."""
    code = 99
    try:
        code = work(*arguments)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001  (said on stderr, as Python does)
        traceback.print_exc()
        sys.stderr.flush()
    return code


def run(arguments: list[str], plan: Plan | None) -> int:
    """Run one command line in this process, on one core, so that it starts no others; returns the exit code."""
    from brats_unet.cli import sweep
    from brats_unet.cli.main import main

    sys.argv = ["brats-unet", *arguments]
    setattr(sweep, "subprocess", SimpleNamespace(Popen=Job))  # noqa: B010  (a module, to mypy)
    if plan is not None:
        watch(plan)
    return main(arguments)


def serve(modules: list[str]) -> None:
    """Run a command for each line of JSON on stdin, in a fork of this process, which has imported what is slow.

    A line is {"arguments", "folder", "output", "core", "plan"}. Answers the process id, waits for a line, and answers
    the exit code.
    """
    from brats_unet.hardware import quiet_tensorflow

    with quiet_tensorflow(needed=False):
        for module in modules:
            importlib.import_module(module)
    for line in sys.stdin:
        given = json.loads(line)
        reading, writing = os.pipe()  # not a file: a limit on the size of files must not hold for what is printed
        if (reader := os.fork()) == 0:
            os.close(writing)
            os._exit(_keep(reading, given["output"]))
        if (child := os.fork()) == 0:
            os._exit(exit_code(_in_child, given, writing))
        os.close(reading), os.close(writing)
        print(child, flush=True)
        sys.stdin.readline()  # until then the number of a command that has ended is not used again
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.waitpid(reader, 0)
        print(code, flush=True)


def _keep(reading: int, output: str) -> int:
    """Write what comes from a pipe into a file."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    while words := os.read(reading, 65536):
        os.write(file, words)
    return 0


def _in_child(given: dict[str, Any], writing: int) -> int:
    """Run the command of a line, and print into a pipe; returns the exit code."""
    os.setsid()
    os.chdir(given["folder"])
    os.sched_setaffinity(0, {given["core"]})
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(writing, 1), os.dup2(writing, 2)
    return run(given["arguments"], Plan(**given["plan"]) if given["plan"] else None)


def main() -> int:
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2:])
        return 0
    if len(sys.argv) < 4 or sys.argv[2] != "--":
        print(__doc__)
        return 0 if "--help" in sys.argv else 2
    return run(sys.argv[3:], Plan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    sys.exit(main())
