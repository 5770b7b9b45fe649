"""GPUs, memory and processor features of this machine, found in milliseconds; how TensorFlow and Keras are imported."""

import importlib
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

from brats_unet.errors import MachineError

DRIVER_FOLDER = Path("/proc/driver/nvidia/gpus")
DEVICE_FOLDER = Path("/dev")
# Memory files of a container's control group, versions 2 and 1: the limit, the usage, and the statistics with the entry
# that counts reclaimable file cache.
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
# Values of oneDNN's variable ONEDNN_MAX_CPU_ISA (older name: DNNL_MAX_CPU_ISA) that exclude bfloat16 arithmetic. oneDNN
# reads them in upper or lower case and ignores a value that it does not know.
# Source: uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html
ISAS_WITHOUT_BFLOAT16 = (
    "SSE41",
    "AVX",
    "AVX2",
    "AVX2_VNNI",
    "AVX2_VNNI_2",
    "AVX512_CORE",
    "AVX512_CORE_VNNI",
)
# Keras' settings, by the name of their getter in keras.config; ~/.keras/keras.json or a notebook may have set others.
KERAS = {"image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}
BACKEND = "tensorflow"


def cpu_flags() -> frozenset[str]:
    """Instruction sets of the processor, as listed by Linux; empty on other systems."""
    try:
        text = CPU_FACTS.read_text(encoding="ascii", errors="ignore")
    except OSError:
        return frozenset()
    flags = re.search(r"^flags\s*:\s*(.*)$", text, re.MULTILINE)
    return frozenset(flags[1].split()) if flags else frozenset()


def cpu_has_bfloat16() -> bool:
    """Whether oneDNN multiplies bfloat16 natively here (AVX-512 BF16 or AMX); False if the system does not tell.

    The processor must offer it, and ONEDNN_MAX_CPU_ISA must not forbid it: with ONEDNN_MAX_CPU_ISA=AVX2 a machine with
    bfloat16 computes as one without.
    """
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "ALL"
    if limit.upper() in ISAS_WITHOUT_BFLOAT16:
        return False
    return bool({"avx512_bf16", "amx_bf16"} & cpu_flags())


@dataclass(frozen=True)
class Gpu:
    """Product name, total memory and free memory of a GPU, in bytes."""

    name: str
    total: int
    free: int


def memory_available_bytes() -> int:
    """Memory that this process can still allocate without swapping, within the limits of its container."""
    free = int(psutil.virtual_memory().available)
    for limit, used, (facts, let_go) in GROUP_LIMITS:
        try:
            room = int(limit.read_text()) - int(used.read_text())
            files = dict(line.split() for line in facts.read_text().splitlines()) if facts.exists() else {}
            free = min(free, max(0, room + int(files.get(let_go, 0))))
        except (OSError, ValueError):
            continue  # no such control group, or no limit ("max")
    return free


def gpus() -> list[Gpu]:
    """The GPUs that a program started now may use, as listed by nvidia-smi; [] if it lists none."""
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
    """Number of NVIDIA GPUs that a program started now may use: those present minus those CUDA_VISIBLE_DEVICES hides.

    Asks the driver, not TensorFlow, because TensorFlow without CUDA libraries finds none.
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
    if driven:  # a container may have access to fewer devices than the host has
        accessible = sum(bool(re.fullmatch(r"nvidia\d+", entry.name)) for entry in DEVICE_FOLDER.iterdir())
        return min(driven, accessible)
    if not (program := shutil.which("nvidia-smi")):
        return 0
    try:  # /proc does not list the GPUs under WSL, for example
        listing = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    return sum(line.startswith("GPU ") for line in listing.splitlines())


def set_tensorflow_environment() -> None:
    """Set the environment variables that TensorFlow reads on import, unless the user has set them."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # By default TensorFlow uses oneDNN only on processors with AVX-512 VNNI or better. With AVX2 alone, a training step
    # of experiment=quick took 0.5 s with oneDNN and 3.3 s without (2 cores of an AMD EPYC, Zen 3).
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if gpu_count() == 0:
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # else TensorFlow prints a long warning


@contextmanager
def quiet_tensorflow(*, needed: bool = True) -> Iterator[None]:
    """Import TensorFlow or Keras inside this block: start-up messages are hidden, and Keras computes with TensorFlow.

    TensorFlow's C++ code writes to the file descriptor of stderr before it reads any log level. Python exceptions still
    propagate. If the block imports Keras, the variable KERAS_BACKEND is overridden with a note, and the file keras.json
    without one: it holds the defaults of other programs.

    Args:
        needed: Whether the caller computes with Keras in any case; False if the block may import modules without it.

    Raises:
        MachineError: Keras was imported earlier with another backend or other settings, or it rejects keras.json.
    """
    imported_before = "keras" in sys.modules
    if imported_before and needed:
        _refuse_other_keras()
    asked = os.environ.get("KERAS_BACKEND") or BACKEND
    set_tensorflow_environment()
    if not imported_before:
        os.environ["KERAS_BACKEND"] = BACKEND
    sys.stderr.flush()
    stderr = os.dup(2)
    devnull = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(devnull, 2)
        yield
    except (ValueError, AssertionError) as problem:  # Keras gives a reason; the copy of it in TensorFlow gives none
        reason = "" if "keras" in sys.modules else str(problem) or _what_keras_rejects()
        if re.match(r"Invalid `\w+` configuration", reason):
            raise MachineError(
                f"Keras rejects its file keras.json, in $KERAS_HOME or ~/.keras: {reason} Correct or delete the file."
            ) from problem
        raise
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(devnull)
    if "keras" in sys.modules and not imported_before:
        for name, value in KERAS.items():
            getattr(sys.modules["keras"].config, f"set_{name}")(value)
        if asked != BACKEND:
            print(f"KERAS_BACKEND={asked} is ignored: brats-unet computes with TensorFlow.", file=sys.stderr)


def _what_keras_rejects() -> str:
    """The message with which Keras refuses to be imported; "" if it does not."""
    try:
        importlib.import_module("keras")
    except ValueError as problem:
        return str(problem)
    return ""


def _refuse_other_keras() -> None:
    """Raise MachineError if Keras, imported earlier by a notebook, has another backend or other settings."""
    config = sys.modules["keras"].config
    if config.backend() != BACKEND:
        raise MachineError(
            f"Keras was imported with the backend {config.backend()}, and brats-unet computes with TensorFlow. Restart "
            f"Python, and set the environment variable KERAS_BACKEND=tensorflow before the first import of keras."
        )
    for name, value in KERAS.items():
        found = getattr(config, name)()
        if found != value:
            raise MachineError(
                f"Keras is set to {name}={found}. Expected {value}: call keras.config.set_{name}({value!r}) first."
            )
