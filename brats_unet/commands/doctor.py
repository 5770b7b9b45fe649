"""`brats-unet doctor`: what this machine offers to a training, the speed of each part, and the bottleneck."""

import json
import os
import platform
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

import brats_unet
from brats_unet import models
from brats_unet.assembly.number_checks import check_numbers, check_parts
from brats_unet.assembly.provenance import commit, processor
from brats_unet.commands.display import open_display
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.files import existing_parent, explain_write_errors
from brats_unet.hardware import cpu_flags, cpu_has_bfloat16, gpu_count, gpus, memory_available_bytes
from brats_unet.parts import options_of
from brats_unet.report.machine_tables import rate_text, show_machine, show_rates
from brats_unet.settings import Doctor, Train
from brats_unet.trial.noise_cases import case_shape
from brats_unet.trial.trial import Trial, trial_in_subprocess

DISK_TRIAL_BYTES = 64 * 2**20
STEPS = 5  # steps to time
ENOUGH = 1.5  # the loader is fast enough if it reads this many times the patches that the step uses
MUCH = 0.2  # augmentation is reported if it takes more than this share of a step
VECTOR_UNITS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
CUDA_PACKAGES = ("nvidia-cudnn-cu12", "nvidia-cuda-runtime-cu12")


def main(settings: Doctor) -> int:
    """Inspect, measure and print; always exit code 0, because a slow machine is not an error.

    Raises:
        SettingsError: A training would refuse these settings.
    """
    models.describe(settings.model["name"], options_of(settings.model)).refuse_patch(settings.sampling.patch)
    preparation = Preparation.of(settings.data.modalities, settings.data.preparation, settings.data.files)
    check_numbers(settings, settings.hardware.replicas or 1)
    check_parts(settings)
    with open_display(json=settings.json) as display:
        facts = machine_facts(Path(settings.data.cache))
        if not settings.json:
            show_machine(facts, display.console)
        rates = None
        if settings.measure:
            display.log("\nMeasuring the loader, the augmentation and the step …")
            rates = measured_rates(settings, preparation)
        if settings.json:
            print(json.dumps({"machine": facts, "rates": rates}, indent=2))
        elif rates is not None:
            show_rates(
                rates,
                experiment=settings.experiment,
                model=settings.model["name"],
                augmentation=settings.augmentation["name"],
                patch=settings.sampling.patch,
                batch=settings.sampling.batch,
                console=display.console,
            )
    return 0


def machine_facts(cache: Path) -> dict[str, Any]:
    """Versions, devices, memory and disk speed, in plain types; does not import TensorFlow."""
    flags = cpu_flags()
    folder = existing_parent(cache)
    write_rate, read_rate = disk_rates(folder)
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "brats_unet": brats_unet.__version__,
        "commit": commit(),
        "python": platform.python_version(),
        "tensorflow": _version("tensorflow"),
        "keras": _version("keras"),
        "cuda_libraries": all(_version(name) for name in CUDA_PACKAGES),
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "usable_cores": usable,
        "threads_set": {
            name: os.environ[name] for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS") if name in os.environ
        },
        "vector_units": [unit for unit in VECTOR_UNITS if unit in flags],
        "onednn": platform.machine() in ("x86_64", "AMD64") and os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1") != "0",
        "cpu_precision": "bfloat16" if cpu_has_bfloat16() else "float32",
        "gpus": [{"name": card.name, "total_bytes": card.total, "free_bytes": card.free} for card in gpus()],
        "gpu_count": gpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "memory_free_bytes": memory_available_bytes(),
        "cache_folder": str(folder),
        "cache_free_bytes": psutil.disk_usage(str(folder)).free,
        "cache_write_bytes_per_second": write_rate,
        "cache_read_bytes_per_second": read_rate,
    }


def disk_rates(folder: Path) -> tuple[float, float]:
    """(write, read) speed of a folder in bytes per second, bypassing the page cache as far as the system allows."""
    block = os.urandom(2**20)
    with explain_write_errors(folder), tempfile.NamedTemporaryFile(prefix=".brats-unet-doctor-", dir=folder) as file:
        start = time.perf_counter()
        for _ in range(DISK_TRIAL_BYTES // len(block)):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        write_seconds = time.perf_counter() - start
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        start = time.perf_counter()
        with open(file.name, "rb", buffering=0) as again:
            while again.read(len(block)):
                pass
        read_seconds = time.perf_counter() - start
    return DISK_TRIAL_BYTES / write_seconds, DISK_TRIAL_BYTES / read_seconds


def measured_rates(settings: Doctor, preparation: Preparation) -> dict[str, Any]:
    """Patches per second of loader, augmentation and step, and a sentence that names the bottleneck."""
    values = {name: value for name, value in vars(settings).items() if name in Train.__dataclass_fields__}
    trial = trial_in_subprocess(
        Train(**values), largest=case_shape(preparation), steps=STEPS, measure_seconds=settings.seconds
    )
    if not trial.fits:
        patch = "×".join(map(str, settings.sampling.patch))
        return {
            "fits": False,
            "verdict": f"A step of {settings.sampling.batch} patches of {patch} does not fit into memory. "
            f"`brats-unet plan` finds a size that fits.",
        }
    batch = settings.sampling.batch
    return {
        "fits": True,
        "devices": trial.devices,
        "precision": trial.precision,
        "loader_patches_per_second": trial.loader_rate,
        # null in JSON if there is no augmentation
        "augmentation_patches_per_second": (
            None if settings.augmentation["name"] == "none" else batch / trial.augmentation_seconds
        ),
        "step_patches_per_second": batch / trial.seconds,
        "step_seconds": trial.seconds,
        "first_step_seconds": trial.first_seconds,
        "peak_bytes": trial.peak_bytes,
        "parameters": trial.parameters,
        "verdict": verdict(trial, settings),
    }


def verdict(trial: Trial, settings: Train) -> str:
    """One or two sentences: the bottleneck of a training, and what to do about it."""
    needed = settings.sampling.batch / trial.seconds
    share = trial.augmentation_seconds / trial.seconds
    if trial.loader_rate < ENOUGH * needed:
        return (
            f"The loader is the bottleneck: it reads {rate_text(trial.loader_rate)} patches/s, but the step could use "
            f"{rate_text(needed)}. Keep the cases in memory (sampling.keep=memory), or put data.cache on a faster disk."
        )
    on_gpu = "CPU" not in trial.devices
    if settings.augmentation["name"] != "none" and share > MUCH:
        return (
            f"Augmentation takes {share:.0%} of a step: augmentation=mirror takes almost no time; "
            f"on small datasets the full augmentation may be worth it."
        )
    times = trial.loader_rate / needed
    spare = (
        f"The network takes most of the time, as it should: the loader could deliver {times:.0f} times as many patches."
    )
    if trial.precision == "float32" and (on_gpu or cpu_has_bfloat16()):
        return f"{spare} hardware.precision=bfloat16 would be faster here."
    if on_gpu:
        return f"{spare} More GPUs (hardware=mirrored) or a smaller network would be faster."
    return f"{spare} A GPU, a smaller patch or fewer features would be faster; time grows with patch size and features."


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
