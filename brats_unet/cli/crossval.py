"""`brats-unet crossval`: a training for each fold, out-of-fold scores of every case, and an ensemble of all folds."""

import sys
from collections.abc import Sequence
from pathlib import Path

from brats_unet.cli import checks, sweep, sweep_table
from brats_unet.cli.arguments import Override, Request
from brats_unet.data.folds import fold_count
from brats_unet.errors import STOPPED_AT_ONCE, Interrupted, SettingsError, Stopped
from brats_unet.files import remove_file
from brats_unet.json_files import write_json
from brats_unet.report.scores import refuse_foreign_folder
from brats_unet.run import ENSEMBLE, FOLDS_TABLE
from brats_unet.run_lock import locked
from brats_unet.settings import Crossval

OWN = ("folds", "figures", "report", "name", "tag", "data.folds")  # settings that the trainings do not take as typed
TAKEN = ("data.fold", "data.validation_root")  # settings that a cross-validation has no place for


def crossval(request: Request, overrides: Sequence[Override], settings: Crossval) -> int:
    """Train every fold that is not done yet, score all cases, and write the ensemble.

    Args:
        request: The command line.
        overrides: Its overrides.
        settings: The settings that they make.

    Returns:
        0, or 1 if a fold failed; the others are trained all the same, and there is no ensemble.

    Raises:
        SettingsError: Settings that do not fit a cross-validation, or a folder with other content or in use.
        MachineError: A file cannot be written; the same command continues.
        Stopped: A signal came; the same command continues.
    """
    _refuse(request, overrides, settings)
    folder = folder_of(settings)
    refuse_foreign_folder(folder)
    with locked(folder):
        remove_file(folder / ENSEMBLE)  # until all folds are done
        done = _trained(request, folder, settings.folds)
        sweep_table.table_of(done, folder / FOLDS_TABLE, best=False)
        if done.stopped:
            raise Stopped
        if done.code:
            failed = [name for one in done.outcomes if one.code and (name := one.differs.get("data.fold"))]
            sweep.say(
                f"No ensemble: fold {', '.join(failed) or '?'} failed. Mend what its sentence says, and run the same "
                f"command again; folds that are done stay."
            )
            return 1
        members = [f"fold_{fold}" for fold in range(settings.folds)]
        write_json(folder / ENSEMBLE, {"members": members})
        extra = ["--json"] if settings.json else []
        code = _ran("evaluate", f"run={folder}", f"figures={str(settings.figures).lower()}", *extra)
        if code == 0 and settings.report:
            code = _ran("report", f"run={folder}")
        if code == 0:
            sweep.say(f"Next: brats-unet predict {folder} input=… output=…")
        return code


def _refuse(request: Request, overrides: Sequence[Override], settings: Crossval) -> None:
    typed = {override.key: override.text for override in overrides}
    if request.multirun:
        raise SettingsError("crossval runs one recipe over all folds. Leave out -m, and give one value to each key.")
    if settings.sweep is not None:
        raise SettingsError("crossval trains one recipe. Run `brats-unet train sweep=…` first, then crossval the best.")
    for key in TAKEN:
        if key in typed and typed[key] != f"{key}=null":
            raise SettingsError(f"{typed[key]}: crossval holds out every fold in turn. Leave it out, or use train.")
    if "data.folds" in typed and settings.data.folds != settings.folds:
        raise SettingsError(f"{typed['data.folds']}: the number of folds is set by folds={settings.data.folds}.")
    if settings.data.splits is not None and (found := fold_count(Path(settings.data.splits))) != settings.folds:
        raise SettingsError(f"data.splits={settings.data.splits} divides into {found} folds, folds={settings.folds}.")
    if settings.hardware.device == "workers":
        raise SettingsError(
            "hardware=workers trains one network with several processes. Run `brats-unet train` for each fold with "
            "data.fold=…, or crossval with hydra/launcher=submitit_slurm: a job for each fold."
        )


def folder_of(settings: Crossval) -> Path:
    """The folder of a cross-validation: `runs/<name>[-<tag>]`, with a folder in it for each fold."""
    from brats_unet.assembly.run_names import named_folder

    return named_folder(settings, f"cv{settings.folds}")


def _trained(request: Request, folder: Path, folds: int) -> sweep_table.Sweep:
    """Train the folds, each into a folder of its own."""
    kept = [word for word in request.arguments if word.lstrip("+").partition("=")[0] not in OWN]
    every = ",".join(map(str, range(folds)))
    training = Request(
        "train", {**request.flags, "--multirun": ""}, [*kept, f"data.folds={folds}", f"data.fold={every}"]
    )
    return sweep.run_all(
        training, checks.checked(training), named=lambda differs: f"{folder.name}/fold_{differs['data.fold']}"
    )


def _ran(*command: str) -> int:
    """Run a command of ours in a process of its own; raises Stopped if it was stopped."""
    code = sweep.child([sys.executable, "-m", "brats_unet", *command], {})
    if code in (Interrupted.exit_code, STOPPED_AT_ONCE):
        raise Stopped
    return code
