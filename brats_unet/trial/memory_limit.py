"""How much memory a training step may use, on this machine or as given by the user."""

from dataclasses import dataclass

from brats_unet.errors import MachineError
from brats_unet.files import size_text
from brats_unet.hardware import cpu_has_bfloat16, gpu_count, gpus, memory_available_bytes
from brats_unet.settings import Plan

GPU_SHARE = 0.9  # usable share of a GPU's memory
CPU_MOST_BYTES = 4 * 2**30  # on a CPU, larger steps only take longer: time is the limit there
CPU_SHARE = 0.5  # usable share of the available memory


@dataclass(frozen=True)
class MemoryLimit:
    """How much memory a step may use on one device, and why.

    Attributes:
        bytes: The limit.
        why: Its origin, in words.
        gpu: Whether a GPU computes.
        replicas: Number of devices that share a batch.
        precision: "float32", "bfloat16" or "float16".
    """

    bytes: int
    why: str
    gpu: bool
    replicas: int
    precision: str


def memory_limit(settings: Plan) -> MemoryLimit:
    """The memory to plan for: `memory_gib`, or 90 % of the smallest GPU, or half the free memory up to 4 GiB.

    Raises:
        MachineError: nvidia-smi does not report the memory of the GPU.
    """
    hardware = settings.hardware
    count = 0 if hardware.device == "cpu" or hardware.replicas else gpu_count()
    replicas = hardware.replicas or (1 if hardware.device == "gpu" else max(1, count))
    precision = hardware.precision
    if precision == "auto":
        precision = "bfloat16" if count or cpu_has_bfloat16() else "float32"
    if settings.memory_gib is not None:
        given = round(settings.memory_gib * 2**30)
        return MemoryLimit(given, f"memory_gib={settings.memory_gib:g}", bool(count), replicas, precision)
    if count:
        cards = gpus()
        if not cards:
            raise MachineError("nvidia-smi does not report the memory of the GPU. Give it as memory_gib=….")
        total = min(card.total for card in cards)
        return MemoryLimit(round(GPU_SHARE * total), f"90 % of the GPU's {size_text(total)}", True, replicas, precision)
    free = memory_available_bytes()
    usable = min(CPU_MOST_BYTES, round(CPU_SHARE * free))
    why = f"{size_text(free)} free; more would only make steps longer on a CPU"
    return MemoryLimit(usable, why, False, replicas, precision)
