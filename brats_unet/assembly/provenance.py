"""Provenance of a run: versions, machine, commit and command."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import brats_unet
from brats_unet.plugins import packages_of
from brats_unet.private_paths import short_command
from brats_unet.run import Run

PACKAGES = ("tensorflow", "keras", "numpy", "scipy", "nibabel", "hydra-core", "safetensors")


def training_environment(devices: str, precision: str, parts: Mapping[str, str]) -> dict[str, Any]:
    """All that is needed to repeat a training elsewhere, in plain types.

    Args:
        devices: The devices in words, such as "CPU, 2 cores".
        precision: "float32", "bfloat16" or "float16".
        parts: Name of the part in use, by kind; those of installed packages are recorded under "plugins".
    """
    return {
        "brats_unet": brats_unet.__version__,
        "commit": commit(),
        "command": short_command(sys.argv[1:]),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "devices": devices,
        "precision": precision,
        **({"plugins": packages} if (packages := packages_of(parts)) else {}),
    }


def facts_of_run(run: Run, path: Path, checkpoint: str) -> dict[str, Any]:
    """Provenance of an exported network, in plain types; None where unknown, as for a `.keras` file without its run.

    Args:
        run: The run folder, or the folder of the file.
        path: The run folder or `.keras` file that was exported.
        checkpoint: "last" or "best".
    """
    environment = run.environment()
    steps = run.journal("step")
    return {
        "run": run.name if run.was_started else None,
        "file": path.name if path.is_file() else None,
        "checkpoint": checkpoint if path.is_dir() else None,
        "steps": steps[-1]["step"] if steps and checkpoint == "last" else None,
        "trained_by_commit": environment.get("commit"),
        "exported_by_commit": commit(),
        "brats_unet": environment.get("brats_unet"),
        "packages": environment.get("packages"),
    }


def commit() -> str | None:
    """Commit of the running checkout, followed by "+" if there are uncommitted changes; None outside a checkout."""
    folder = Path(brats_unet.__file__).parents[1]
    if not (folder / ".git").exists():
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def processor() -> str:
    """Name of the processor, as the system reports it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()
