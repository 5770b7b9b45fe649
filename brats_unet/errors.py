"""Errors that a user can cause or fix: the command line prints the message, without a traceback, and exits 2."""

from collections.abc import Sequence

STOPPED_AT_ONCE = 130  # as a shell reports Ctrl-C
# What the exit codes of every command mean.
EXIT_CODES = {
    0: "done",
    1: "done, but the command found a problem or some cases failed; the output names them",
    2: "refused: a setting, the data, a file or the machine does not fit; the message says what to do",
    75: "stopped by a signal; the work is saved, and the same command continues (EX_TEMPFAIL: start it again)",
    STOPPED_AT_ONCE: "stopped at once by a signal: a second Ctrl-C, or another command than train",
}
NAMED = 5  # names that a message lists before it counts the rest


def some(names: Sequence[str]) -> str:
    """The first five names, then how many more there are: "a, b, c, d, e and 2 more"; "" for an empty list."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


def first_lines(lines: Sequence[str]) -> list[str]:
    """The first five lines, then one that says how many more there are."""
    more = len(lines) - NAMED
    return [*lines[:NAMED], *([f"… and {more} more."] if more > 0 else [])]


class BratsError(Exception):
    """An error that a user can fix; the message says what was found, what was expected and what to do."""

    exit_code = 2


class DataError(BratsError):
    """Scans, masks or folders that are missing, broken or unexpected."""


class SettingsError(BratsError):
    """A setting that does not exist, does not fit the other settings, or differs from that of the run."""


class CheckpointError(BratsError):
    """A checkpoint or run folder that is missing, broken or made with another recipe."""


class MachineError(BratsError):
    """The machine lacks something: disk space, memory, a device or a package."""


class LostWorkerError(MachineError):
    """Another worker of the same command is gone; the same command continues from the last checkpoint."""

    exit_code = 75  # EX_TEMPFAIL: a scheduler may start the job again


class Interrupted(BratsError):  # noqa: N818  (nobody made an error)
    """A training was asked to stop; what is done is saved, and the same command continues."""

    exit_code = 75


class Stopped(KeyboardInterrupt):
    """A signal asks the command to stop; see `stopping.StopRequest`."""
