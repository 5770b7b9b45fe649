"""The run folder of a training: resumed by the same settings, refused to other settings with a list of differences."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from brats_unet.binding import flat
from brats_unet.errors import SettingsError
from brats_unet.files import entries, remove, remove_leftovers
from brats_unet.run import Run
from brats_unet.run_lock import LOCK
from brats_unet.schemes.differences import differences
from brats_unet.schemes.scheme_file import scheme_in
from brats_unet.settings import Train
from brats_unet.training.rules import NEWEST, VERSIONS

# Settings that may change on resume: they affect the place, output, length or speed of a run, not what a step computes.
FREE = {
    "name",
    "runs",
    "overwrite",
    "json",
    "steps",
    "minutes",
    "until",
    "sweep",  # a trial of a sweep is a training like any other; so for the next four
    "trials",
    "sweep_seed",
    "rungs",
    "over",
    "sampling.accumulate",
    "sampling.keep",
    "plan",
    "tracking",
    "tracking_project",
    "tracking_pictures",
    "data.root",  # the cases must be the same, see data.recorded_cases; so for the next four
    "data.validation_root",
    "data.splits",
    "data.leave_out",
    "data.cache",
    "hardware.device",
    "hardware.jit",
    "hardware.replicas",
    "checkpoint.every_steps",
    "checkpoint.every_minutes",
    "checkpoint.keep",
    "checkpoint.stop_seconds",
    "hardware.deadline_seconds",
    "validation.every",
    "validation.patches_every",
    "validation.patch_batches",
}
# Values of settings that a run of an earlier version lacks: what it did.
EARLIER = {
    "rules": 1,
    "sampling.overhang": False,
    "sampling.rate_for_batch": None,
    "hardware.synchronized_norm": False,
    "init_freeze_steps": 0,
    "data.files": None,
    "data.grid": None,
    "data.spacing_mm": None,
    "augmentation.in_plane": False,
    "postprocessing": None,
}


def rules_version(run: Run, settings: Train) -> int:
    """The version of the training rules: as set, else that of the run that is resumed, else the newest.

    Raises:
        SettingsError: The run was trained by rules that this version of brats-unet does not know.
    """
    if settings.rules is not None:
        return settings.rules
    if not run.was_started or settings.overwrite:
        return NEWEST
    version = (EARLIER | run.settings())["rules"]
    if version not in VERSIONS:
        raise SettingsError(
            f"{run.folder} was trained by the rules {version}; this brats-unet knows {', '.join(map(str, VERSIONS))}. "
            f"Update brats-unet, or start a new run from its weights with init={run.folder} and another name=…."
        )
    return version


def prepare_run_folder(run: Run, settings: Train) -> None:
    """Check that a training with `settings` may use the folder of `run`; with overwrite=true, delete an earlier run.

    The folders of the data and the cache stay. Of links in the folder, only the links are deleted. `settings.json` is
    deleted last, so that the folder is still that of a run if the deletion is interrupted.

    Raises:
        SettingsError: The folder holds other files, or a run with other settings; the message lists the differences.
    """
    # The data and cache folders may lie in the run folder and exist before the run, as with `make demo`.
    own = {Path(path).resolve() for path in (settings.data.root, settings.data.cache) if path}
    for folder in (run.folder, run.figures_folder):
        remove_leftovers(folder)
    lock = run.folder / LOCK
    if all(path.resolve() in own or path == lock for path in entries(run.folder)):
        return
    if not run.was_started:
        raise SettingsError(f"{run.folder}: the folder holds other files and no run. Choose another name with name=….")
    if settings.overwrite:
        _delete(run.folder, {*own, run.settings_file.absolute(), lock.absolute()})
        remove(run.settings_file)
        return
    before, now = run.settings(), asdict(settings)
    old, new = _comparable(before), _comparable(now)
    differ = sorted(key for key in old.keys() | new.keys() if key not in FREE and old.get(key) != new.get(key))
    if "init" in differ and _same_network(before.get("init"), now["init"]):
        differ.remove("init")
    if differ:
        listed = "\n".join(f"  {key}: {_difference(key, before, now)}" for key in differ)
        raise SettingsError(
            f"{run.folder} is a run with other settings:\n{listed}\n"
            f"Choose another name with name=…, use the settings of that run, or start again with overwrite=true."
        )


def _same_network(before: str | None, now: str | None) -> bool:
    """Whether `init` names one network: one place, or the same name if the place is gone, as on another machine."""
    if before is None or now is None:
        return before == now
    old, new = Path(before).resolve(), Path(now).resolve()
    return old == new or (old.name == new.name and not old.exists())


def _comparable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings by dotted key, with those that an earlier version lacked; what means the same is equal.

    Of the scheme only what it means counts, not its words and colours. Equal weights of all regions are no weights.
    """
    scheme = scheme_in(settings)
    values = EARLIER | flat({key: value for key, value in settings.items() if key != "scheme"})
    weights = {name: values.pop(f"sampling.regions.{name}", 1) for name in scheme.predicted}
    values["sampling.regions"] = None if set(weights.values()) == {1} else weights
    return values | {"scheme": scheme.meaning}


def _difference(key: str, run: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs in one setting, in words; of two schemes their names, or what differs if these are the same."""
    if key != "scheme":
        return f"{_comparable(run).get(key)!r} in the run, {_comparable(now).get(key)!r} now"
    before, after = scheme_in(run), scheme_in(now)
    if before.name != after.name:
        return f"{before.name} in the run, {after.name} now"
    return f"{after.name} has changed: {differences(before, after, 'in the run', 'now')}"


def _delete(folder: Path, kept: Collection[Path]) -> None:
    """Delete what a folder holds, except the paths in `kept`, links to them, and the folders above them."""
    for path in folder.iterdir():
        if path.absolute() in kept or path.resolve() in kept:
            continue
        if not path.is_symlink() and any(one.is_relative_to(path.resolve()) for one in kept):
            _delete(path, kept)
        else:
            remove(path)
