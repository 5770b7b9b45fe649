"""The terms of scripts/duel.py: what both sides share, how their processes run, and the cases of the settings."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.data.study import Study, open_study
from brats_unet.errors import MachineError, SettingsError
from brats_unet.json_files import read_json, write_json
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Train

PEER = Path(__file__).resolve().parent / "peers" / "duel_nnunet.py"
LIBRARIES = ("OMP", "MKL", "OPENBLAS", "NUMEXPR")
TAIL = 15  # lines of a log that are shown if a process fails


@dataclass(frozen=True)
class Terms:
    """What both sides share.

    Attributes:
        output: Folder of the duel.
        minutes: Time limit of each training.
        threads: Cores, and threads of each process.
        device: "cpu" or "gpu".
        configuration: nnU-Net's configuration, "2d" or "3d_fullres".
        steps_nnunet: Fixed number of steps of nnU-Net; None times its steps.
        peers: Python of the environment that has nnU-Net.
    """

    output: Path
    minutes: float
    threads: int
    device: str
    configuration: str
    steps_nnunet: int | None
    peers: Path

    def environment(self) -> dict[str, str]:
        """Environment of the processes: the threads of their libraries, and nnU-Net's folders and loaders."""
        threads, nnunet = str(self.threads), self.output / "nnunet"
        return {
            **os.environ,
            **{f"{library}_NUM_THREADS": threads for library in LIBRARIES},
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            "nnUNet_raw": str(nnunet / "raw"),
            "nnUNet_preprocessed": str(nnunet / "preprocessed"),
            "nnUNet_results": str(nnunet / "results"),
            "nnUNet_n_proc_DA": str(min(12, self.threads)),  # its default is 12, at most one a core
            "nnUNet_def_n_proc": threads,
        }

    def once(self, name: str, work: Callable[[Path], Mapping[str, Any]]) -> dict[str, Any]:
        """Facts of a piece of work, which is done if an earlier call has not finished it.

        Args:
            name: Name of the file that keeps the facts, and of the log.
            work: Does it, given the path of the log; returns facts.
        """
        file = self.output / "facts" / f"{name}.json"
        if file.exists():
            return read_json(file, what=str(file), advice="Delete it.")
        print(f"{time.strftime('%H:%M:%S')} {name}", flush=True)
        log = self.output / "logs" / f"{name}.txt"
        log.parent.mkdir(parents=True, exist_ok=True)
        begun = time.perf_counter()
        facts = {**work(log), "process_seconds": round(time.perf_counter() - begun, 1)}
        write_json(file, facts)
        return facts

    def run(self, command: Sequence[str], log: Path, **environment: str) -> None:
        """Run a process to its end, with its output in a log; it is stopped with this one.

        Raises:
            MachineError: It failed; the message holds the end of the log.
        """
        with log.open("ab") as stream:
            process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=self.environment() | environment,
                start_new_session=True,  # Ctrl-C reaches it once, from here
            )
            try:
                code = process.wait()
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)  # and the loaders of nnU-Net
                    process.wait()
        if code:
            end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:])
            raise MachineError(f"{log.stem} failed with exit code {code}. The end of {log}:\n{end}")


def brats_unet(*arguments: str) -> list[str]:
    """The command `brats-unet` with arguments."""
    return [sys.executable, "-m", "brats_unet", *arguments]


def train_settings(settings: Sequence[str]) -> Train:
    """Settings of `brats-unet train` with these words on its command line.

    Raises:
        SettingsError: A setting is unknown, or does not fit.
    """
    request = arguments.split(["train", *settings])
    return bind(Train, hydra.settings_of(request, checks.checked(request)))


def refuse_change(file: Path, asked: Mapping[str, Any]) -> None:
    """Record what is asked, or compare it with what an earlier call asked.

    Raises:
        SettingsError: They differ.
    """
    if not file.exists():
        write_json(file, asked)
        return
    before = read_json(file, what=str(file), advice="Give another folder.")
    changed = [f"{key} {before.get(key)!r} -> {asked[key]!r}" for key in asked if before.get(key) != asked[key]]
    if changed:
        raise SettingsError(
            f"{file.parent} was begun with other terms: {'; '.join(changed)}. Expected the same, because what is "
            f"finished is kept. Give them again, or another folder."
        )


def studies_of(settings: Sequence[str], folds: Sequence[int]) -> dict[int, Study]:
    """The cases and their division, by fold; volumes are prepared in the first one."""
    found = {}
    for fold in folds:
        wanted = train_settings([*settings, f"data.fold={fold}"])
        data, scheme = vars(wanted.data), scheme_of(wanted.scheme)
        found[fold] = open_study(**data, scheme=scheme, log=lambda text: None, progress=lambda what, done, n: None)
    return found
