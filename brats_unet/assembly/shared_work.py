"""Before several workers train together: one of them prepares the volumes, and all must have the same of everything."""

import secrets
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from brats_unet.binding import flat
from brats_unet.data.prepare.content_hash import file_hash
from brats_unet.data.study import Study
from brats_unet.distributed.workers import Workers
from brats_unet.files import atomic_path, remove_file
from brats_unet.run import Run
from brats_unet.settings import Train

PLACES = ("data.root", "data.cache")  # settings that may differ: where a machine has its copy of the scans


def agree_on_settings(workers: Workers, settings: Train) -> None:
    """Raise SettingsError unless all workers have the same settings, apart from where their data are."""
    facts = {key: value for key, value in flat(asdict(settings)).items() if key not in PLACES}
    workers.agree("settings", facts, "Start every worker with the same command.")


def open_together(workers: Workers, cache: Path, open_one: Callable[[], Study]) -> Study:
    """Open the study on every worker; of those that share a cache folder, one prepares the volumes for the others.

    Args:
        workers: The processes that train together.
        cache: Folder of the prepared volumes, shared by all workers or by those of one machine.
        open_one: Opens the study.

    Raises:
        SettingsError: A worker has other cases, or others of them for training; the message names the first.
    """
    if workers.count == 1:
        return open_one()
    token = cache / f"shared-{secrets.token_hex(8)}"
    if workers.is_chief:
        with atomic_path(token):
            pass
    token = cache / workers.of_chief("cache", token.name)
    seen = workers.gather("caches", [socket.gethostname(), token.exists()])
    if workers.is_chief:
        remove_file(token)
    places = ["shared" if shared else host for host, shared in seen]
    first = places.index(places[workers.index]) == workers.index
    study = open_one() if first else None
    workers.gather("prepared volumes", None, patient=True)
    study = study or open_one()
    held_out = set(study.split.validation)
    facts = {
        f"case {case.id}": f"{case.folder.name}, {'held out' if case.id in held_out else 'for training'}"
        for case in study.prepared.values()
    }
    workers.agree("data", facts, "Give every worker the same scans and masks, with the same names.")
    return study


def agree_on_run(workers: Workers, run: Run, step: int) -> None:
    """Raise SettingsError unless all workers see the same run folder, with the same checkpoint.

    Args:
        workers: The processes that train together.
        run: The run folder, with what the chief has written before the first step.
        step: Steps done before this start.
    """
    if workers.count == 1:
        return
    workers.gather("run folder", None)
    last = run.checkpoint_file("last")
    facts = {
        f"in {run.folder} a settings.json": file_hash(run.settings_file) if run.settings_file.exists() else None,
        f"in {run.folder} a {last.name}": file_hash(last) if last.exists() else None,
        "to go on from step": step,
    }
    workers.agree("checkpoint", facts, "Put the run folder (runs=…) on a disk that all workers share.")
