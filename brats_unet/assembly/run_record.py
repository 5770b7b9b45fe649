"""What a training writes into its run folder besides checkpoints: what it is made of, and how each start ended."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from brats_unet.assembly.init_record import Transfer
from brats_unet.assembly.provenance import training_environment
from brats_unet.data.study import Study
from brats_unet.errors import Interrupted, MachineError
from brats_unet.json_files import write_json
from brats_unet.private_paths import short_text
from brats_unet.report.run_facts import DONE, FAILED, PAUSED, STOPPED
from brats_unet.run import Run
from brats_unet.run_lock import locked
from brats_unet.settings import Train
from brats_unet.training.strategy import Devices
from brats_unet.training.tracker import TrackedRun, Tracker

PLACES = ("root", "validation_root", "splits", "cache")  # paths among the settings of the data


def record_run(
    run: Run, settings: Train, recipe: dict[str, Any], study: Study, devices: Devices, transfer: Transfer | None
) -> None:
    """Write the settings, the recipe, the folds, the environment and the origin of the weights.

    Args:
        run: The run folder.
        settings: Settings of the training.
        recipe: All that prediction needs besides the weights.
        study: The data.
        devices: Where the training runs.
        transfer: What was taken from the network of `init=`; None for nothing.
    """
    write_json(run.settings_file, recorded_settings(settings))
    write_json(run.recipe_file, recipe)
    write_json(run.folds_file, {**study.folds, "train": study.split.train, "validation": study.split.validation})
    parts = {kind: getattr(settings, kind)["name"] for kind in ("model", "loss", "augmentation")}
    write_json(run.environment_file, training_environment(devices.description, devices.precision, parts))
    if transfer is not None:
        write_json(run.init_file, vars(transfer))


def recorded_settings(settings: Train) -> dict[str, Any]:
    """The settings for `settings.json`: paths are whole, so that the run can be opened from any folder."""
    values = asdict(settings)
    for section, keys in ((values["data"], PLACES), (values, ("init",))):
        for key in keys:
            if section[key] is not None:
                section[key] = str(Path(section[key]).expanduser().resolve())
    return values


class RunSession:
    """One start of a training: holds the lock of the run folder, and notes in the journal and elsewhere how it ended.

    A start that is killed notes nothing, nor does one that is refused before it has its run folder.
    """

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.held = ExitStack()
        self.is_locked = False
        self.run: Run | None = None
        self.paused = False
        self.tracker: Tracker | None = None

    def pause(self) -> None:
        """Note that the training pauses as it was told, instead of its end."""
        self.paused = True

    def lock(self, run: Run) -> None:
        """Lock the run folder, unless this start holds it already; it is created if it does not exist.

        Raises:
            SettingsError: Another training works in it.
        """
        if not self.is_locked:
            self.held.enter_context(locked(run.folder))
            self.is_locked = True

    def note_end_in(self, run: Run) -> None:
        """From now on, note the end in this run."""
        self.run = run

    def report_to(self, tracker: Tracker, about: TrackedRun) -> None:
        """Start the tracker, and from now on report the end to it."""
        tracker.start(about)
        self.tracker = tracker

    def report_end(self) -> None:
        """Report a good end now, so that what goes wrong with it is said before the result is printed."""
        self._finish(PAUSED if self.paused else DONE)

    def _finish(self, state: str) -> None:
        tracker, self.tracker = self.tracker, None
        if tracker is not None:
            tracker.finish(state)

    def __enter__(self) -> "RunSession":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.held:
            if self.run is None:
                return
            state, told = PAUSED if self.paused else DONE, {}
            if isinstance(problem, Interrupted | KeyboardInterrupt):
                state = STOPPED
            elif problem is not None:
                state, told = FAILED, {"sentence": short_text(str(problem) or type(problem).__name__)}
            with _told_unless(problem):
                self.run.note("end", state=state, seconds=round(time.monotonic() - self.began, 1), **told)
            with _told_unless(problem):
                self._finish(state)


@contextmanager
def _told_unless(problem: BaseException | None) -> Iterator[None]:
    """A full disk that ended the training is told once, with the file that it cut short."""
    try:
        yield
    except MachineError:
        if problem is None:
            raise
