"""How many GPUs and how much memory this machine offers, told in milliseconds and without TensorFlow."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

DRIVER_FOLDER = Path("/proc/driver/nvidia/gpus")
DEVICE_FOLDER = Path("/dev")
# Of the control group of a container, in its second and first version: what it allows, what it has taken, and where
# it tells how much of that are files that the system would let go (the second word of the last pair).
GROUP_LIMITS = (
    (
        Path("/sys/fs/cgroup/memory.max"),
        Path("/sys/fs/cgroup/memory.current"),
        (Path("/sys/fs/cgroup/memory.stat"), "inactive_file"),
    ),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
        (Path("/sys/fs/cgroup/memory/memory.stat"), "total_inactive_file"),
    ),
)
CPU_FACTS = Path("/proc/cpuinfo")


def cpu_flags() -> frozenset[str]:
    """What the processor says it can do; empty if the system does not tell."""
    try:
        text = CPU_FACTS.read_text(encoding="ascii", errors="ignore")
    except OSError:
        return frozenset()
    flags = re.search(r"^flags\s*:\s*(.*)$", text, re.MULTILINE)
    return frozenset(flags[1].split()) if flags else frozenset()


def cpu_has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 natively (AVX-512 BF16 or AMX); False if the system does not tell."""
    return bool({"avx512_bf16", "amx_bf16"} & cpu_flags())


@dataclass(frozen=True)
class Gpu:
    """What its maker calls it, and its memory in bytes."""

    name: str
    total: int
    free: int


def memory_available_bytes() -> int:
    """Memory that a program may still take without swapping, within the limits of its container."""
    free = int(psutil.virtual_memory().available)
    for limit, used, (facts, let_go) in GROUP_LIMITS:
        try:
            room = int(limit.read_text()) - int(used.read_text())
            files = dict(line.split() for line in facts.read_text().splitlines()) if facts.exists() else {}
            free = min(free, max(0, room + int(files.get(let_go, 0))))
        except (OSError, ValueError):
            continue  # no such group, or "max"
    return free


def gpus() -> list[Gpu]:
    """Each GPU that a program started now may use, as the driver's nvidia-smi tells; [] if it does not."""
    usable = gpu_count()
    if not usable or not (program := shutil.which("nvidia-smi")):
        return []
    query = [program, "--query-gpu=memory.total,memory.free,name", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    found = re.findall(r"^\s*(\d+),\s*(\d+),\s*(.*?)\s*$", listing, re.MULTILINE)
    cards = [Gpu(name, int(total) * 2**20, int(free) * 2**20) for total, free, name in found]
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip().isdigit()]
    if shown:
        cards = [cards[int(name)] for name in shown if int(name) < len(cards)]
    return cards[:usable]


def gpu_count() -> int:
    """NVIDIA GPUs that a program started now may use: those present, less those CUDA_VISIBLE_DEVICES hides.

    It asks the driver, not TensorFlow: a TensorFlow without its CUDA libraries finds none of them.
    """
    present = _gpus_present()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None or present == 0:
        return present
    shown = 0
    for name in (name.strip() for name in visible.split(",")):
        if not name or name.startswith("-") or (name.isdigit() and int(name) >= present):
            break  # CUDA ignores what follows the first invalid entry
        shown += 1
    return min(shown, present)


def _gpus_present() -> int:
    try:
        driven = len(list(DRIVER_FOLDER.iterdir()))
    except OSError:
        driven = 0
    if driven:  # a container may be given fewer devices than the host has
        given = sum(bool(re.fullmatch(r"nvidia\d+", entry.name)) for entry in DEVICE_FOLDER.iterdir())
        return min(driven, given)
    if not (program := shutil.which("nvidia-smi")):
        return 0
    try:  # where /proc does not tell, as under WSL
        listing = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listing.splitlines())


def set_tensorflow_environment() -> None:
    """What TensorFlow reads from the environment as it is imported, where nobody has set it otherwise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Left alone it uses oneDNN on processors with AVX-512 VNNI or better only. With AVX2 alone a training step of
    # experiment=quick took 0.5 s with it and 3.3 s without (2 cores of an AMD EPYC, Zen 3).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if gpu_count() == 0:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # else it reports at length that there is none


@contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow within: what its C++ parts say of themselves on start-up stays out of a person's sight.

    They write to the file descriptor of stderr before any log level is read; Python's own errors are not lost.
    """
    set_tensorflow_environment()
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
