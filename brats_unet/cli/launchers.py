"""Hydra's launchers, which run the jobs of `-m` side by side or on a cluster: their packages, and where jobs write.

Without one, Hydra's own launcher runs the jobs one after another.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from brats_unet.cli.arguments import Override
from brats_unet.errors import MachineError

ONE_AFTER_ANOTHER = "basic"
PACKAGES = {
    "joblib": "hydra-joblib-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
}
ON_THIS_MACHINE = (ONE_AFTER_ANOTHER, "joblib")


def launcher_of(overrides: Sequence[Override]) -> str:
    """Name of the launcher that the overrides choose, "basic" without one.

    Raises:
        MachineError: Its package is not installed.
    """
    chosen = [override.value or "" for override in overrides if override.key == "hydra/launcher"]
    launcher = chosen[-1] if chosen else ONE_AFTER_ANOTHER
    if launcher in PACKAGES:
        try:
            distribution(PACKAGES[launcher])
        except PackageNotFoundError:
            raise MachineError(
                f"hydra/launcher={launcher} needs {PACKAGES[launcher]}, not installed here: pip install "
                f"{PACKAGES[launcher]}."
            ) from None
    return launcher


@contextmanager
def sweep_folder(launcher: str) -> Iterator[Path]:
    """A temporary folder for the outcomes of the jobs.

    On other machines, jobs reach only a shared disk: there it lies in the current folder, else in the system's.
    """
    where = None if launcher in ON_THIS_MACHINE else Path.cwd()
    with tempfile.TemporaryDirectory(prefix="brats-unet-sweep-", dir=where) as folder:
        yield Path(folder)


def log_folder(launcher: str, outcomes: Path, now: datetime) -> Path:
    """Folder for what the launcher itself writes: logs of its jobs, where they do not print on this terminal."""
    return outcomes if launcher in ON_THIS_MACHINE else Path(f"multirun/{now:%Y-%m-%d/%H-%M-%S}").absolute()
