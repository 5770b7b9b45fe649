"""Errors that a user can cause or fix: the command line prints the message, without a traceback, and exits 2."""

from collections.abc import Sequence

NAMED = 5  # names that a message lists before it counts the rest


def some(names: Sequence[str]) -> str:
    """The first five names, then how many more there are: "a, b, c, d, e and 2 more"; "" for an empty list."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


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


class Interrupted(BratsError):  # noqa: N818  (nobody made an error)
    """The user stopped the command; completed work is saved."""

    exit_code = 130


class Terminated(KeyboardInterrupt):
    """SIGTERM was received: stop as on Ctrl-C. Ctrl-C reaches every process of the terminal, SIGTERM only this one."""
