"""Where the prepared cases stay while a network learns from them: on disk, in memory, or on the computing devices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.errors import SettingsError
from brats_unet.files import size_text

MEMORY_SHARE = 0.5  # of what is free may be filled with cases: other programs, and predicting, need some too
DEVICE_SHARE = 0.9  # of what training leaves of a device's memory; the allocator loses some between blocks
AS_FLOAT16 = 10 / 9  # on a device the labels are float16 behind four modalities


@dataclass(frozen=True)
class Storage:
    """Where the cases stay ("disk", "memory" or "device"), and the sentence that says so and why."""

    where: str
    sentence: str


def choose_storage(
    keep: str, size_bytes: int, *, memory_bytes: int, device_bytes: int | None, training_bytes: int
) -> Storage:
    """Choose.

    Args:
        keep: "disk", "memory", "device", or "auto": the device if the cases fit beside the training, else memory if
            they fill no more than half of what is free, else disk.
        size_bytes: Image and labels of all cases to train on.
        memory_bytes: Free in the machine.
        device_bytes: Free on the GPU that has least; None where the CPU computes.
        training_bytes: What training itself will take on a device, roughly.

    Raises:
        SettingsError: A choice that does not fit into the room there is.
    """
    cases = f"{size_text(size_bytes)} of cases"
    # On a CPU a tensor is memory like any other.
    needed = size_bytes if device_bytes is None else round(size_bytes * AS_FLOAT16)
    free = memory_bytes if device_bytes is None else device_bytes
    spare = max(0, round((free - training_bytes) * DEVICE_SHARE))
    room = {"memory": round(memory_bytes * MEMORY_SHARE), "device": spare}
    said = {
        "memory": f"{size_text(memory_bytes)} free, of which they may take half",
        "device": f"{size_text(free)} free there, of which training takes about {size_text(training_bytes)}",
    }
    if keep in room and (size_bytes if keep == "memory" else needed) > room[keep]:
        raise SettingsError(
            f"sampling.keep={keep}: {cases} do not fit into {size_text(room[keep])} ({said[keep]}). "
            f"Use sampling.keep=disk, which maps them into memory as they are needed."
        )
    if keep == "auto":
        if device_bytes is not None and needed <= spare:
            keep = "device"
        else:
            keep = "memory" if size_bytes <= room["memory"] else "disk"
            if keep == "disk":
                return Storage(keep, f"Reading {cases} from disk: too many for memory ({said['memory']}).")
    sentences = {
        "disk": f"Reading {cases} from disk.",
        "memory": f"Keeping {cases} in memory ({said['memory']}).",
        "device": f"Keeping {cases} on the device ({said['device']}).",
    }
    return Storage(keep, sentences[keep])


def in_memory(
    cases: Sequence[PreparedCase], progress: Callable[[int, int], None] = lambda done, total: None
) -> list[PreparedCase]:
    """The cases with image and labels read whole."""
    kept = []
    for done, case in enumerate(cases, 1):
        whole = replace(case, mapped=False)
        assert whole.image is not None and (
            whole.labels is None or whole.labels.size
        )  # read now, not at the first step
        kept.append(whole)
        progress(done, len(cases))
    return kept
