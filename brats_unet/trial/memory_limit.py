"""How much memory a training step may take on this machine, or on the one that the user names."""

from dataclasses import dataclass

from brats_unet.errors import MachineError, SettingsError
from brats_unet.files import size_text
from brats_unet.hardware import cpu_has_bfloat16, gpu_count, gpus, memory_available_bytes
from brats_unet.settings import Plan

GPU_SHARE = 0.9  # of a GPU's memory
CPU_MOST_BYTES = 4 * 2**30  # on a CPU more only makes steps longer: time is what is short there
CPU_SHARE = 0.5  # of what is free


@dataclass(frozen=True)
class MemoryLimit:
    """What a step may take of one device, and where that comes from in words."""

    bytes: int
    why: str
    gpu: bool
    replicas: int
    precision: str


def memory_limit(settings: Plan) -> MemoryLimit:
    """The memory to plan for.

    Raises:
        MachineError: The GPU does not say how much it has.
    """
    hardware = settings.hardware
    count = 0 if hardware.device == "cpu" or hardware.replicas else gpu_count()
    replicas = hardware.replicas or (1 if hardware.device == "gpu" else max(1, count))
    precision = hardware.precision
    if precision == "auto":
        precision = "bfloat16" if count or cpu_has_bfloat16() else "float32"
    if settings.memory_gib is not None:
        if not settings.memory_gib > 0:
            raise SettingsError(f"memory_gib={settings.memory_gib:g}: expected more than 0.")
        given = round(settings.memory_gib * 2**30)
        return MemoryLimit(given, f"memory_gib={settings.memory_gib:g}", bool(count), replicas, precision)
    if count:
        cards = gpus()
        if not cards:
            raise MachineError("nvidia-smi does not say how much memory the GPU has. Give it as memory_gib=….")
        total = min(card.total for card in cards)
        return MemoryLimit(
            round(GPU_SHARE * total), f"nine tenths of a GPU's {size_text(total)}", True, replicas, precision
        )
    free = memory_available_bytes()
    may = min(CPU_MOST_BYTES, round(CPU_SHARE * free))
    why = f"{size_text(free)} free; on a CPU more would only make steps longer"
    return MemoryLimit(may, why, False, replicas, precision)
