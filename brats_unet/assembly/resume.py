"""May this training go on in that folder? The same settings resume a run, others are refused with what differs."""

import shutil
from dataclasses import asdict
from pathlib import Path

from brats_unet.binding import flat
from brats_unet.errors import SettingsError
from brats_unet.run import Run
from brats_unet.settings import Train

# These change where a run lies, what is shown of it or how fast it is, not what it computes.
FREE = {
    "name",
    "runs",
    "overwrite",
    "json",
    "steps",
    "minutes",
    "sampling.accumulate",
    "sampling.keep",
    "plan",
    "data.cache",
    "hardware.device",
    "hardware.jit",
    "validation.every",
}


def run_folder(settings: Train) -> Path:
    """`runs/<name>`, by default of experiment or plan, data, fold and seed, never of the clock; and the tag."""
    data = settings.data
    recipe = Path(settings.plan).stem if settings.plan else settings.experiment
    name = settings.name or f"{recipe}-{data.name}-fold{data.fold}-seed{settings.seed}"
    if settings.tag:
        name = f"{name}-{settings.tag.replace('/', '_')}"
    return Path(settings.runs) / name


def prepare_run_folder(run: Run, settings: Train) -> None:
    """Make sure that `settings` may be trained in the folder of `run`; an earlier run is removed if told to overwrite.

    Raises:
        SettingsError: The folder holds something else, or a run of other settings; the keys that differ are listed.
    """
    # Data and cache may lie in the run folder, as those of `make demo` do, before the run itself begins.
    own = {Path(path).resolve() for path in (settings.data.root, settings.data.cache) if path}
    if not run.folder.exists() or all(path.resolve() in own for path in run.folder.iterdir()):
        return
    if not run.settings_file.exists():
        raise SettingsError(f"{run.folder}: the folder holds something that is no run. Choose another with name=….")
    if settings.overwrite:
        for path in run.folder.iterdir():
            if path.resolve() not in own:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return
    old, new = flat(run.settings()), flat(asdict(settings))
    differ = sorted(key for key in old.keys() | new.keys() if key not in FREE and old.get(key) != new.get(key))
    if differ:
        listed = "\n".join(f"  {key}: {old.get(key)!r} there, {new.get(key)!r} now" for key in differ)
        raise SettingsError(
            f"{run.folder} is a run of other settings:\n{listed}\n"
            f"Give this one a name of its own with name=…, go back to those settings, or start afresh with "
            f"overwrite=true."
        )
