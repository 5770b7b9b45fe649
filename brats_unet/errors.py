"""What goes wrong for a user, as opposed to a programmer: the command line prints the message and exits 2."""

from collections.abc import Sequence

NAMED = 5  # things that a message names before it counts


def some(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are: "a, b, c, d, e and 2 more"; "" for none."""
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


class BratsError(Exception):
    """A user's mistake or a user's machine; the message says what was found, what was expected and what to do."""

    exit_code = 2


class DataError(BratsError):
    """Scans, masks or folders that are missing, broken or not what was announced."""


class SettingsError(BratsError):
    """A setting that does not exist, does not fit its neighbours, or differs from those of the run."""


class CheckpointError(BratsError):
    """A checkpoint or run folder that is missing, broken or of another recipe."""


class MachineError(BratsError):
    """The machine cannot do it: disk full, no such device, not enough memory."""


class Interrupted(BratsError):  # noqa: N818  (no error of anybody's)
    """The user stopped it, and what was done is saved."""

    exit_code = 130


class Terminated(KeyboardInterrupt):
    """SIGTERM has come: stop as at Ctrl-C, which reaches every process of a terminal, while this has reached one."""
