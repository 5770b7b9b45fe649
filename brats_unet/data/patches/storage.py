"""Where the prepared cases are kept during training: on disk, in memory, or on the training devices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.errors import SettingsError
from brats_unet.files import size_text

MEMORY_SHARE = 0.5  # share of the free memory that cases may take; prediction and other programs need the rest
DEVICE_SHARE = 0.9  # share of the device memory left by training that cases may take; the allocator wastes some
AS_FLOAT16 = 10 / 9  # on a device, labels take 2 bytes instead of 1, beside four modalities of 2 bytes


@dataclass(frozen=True)
class Storage:
    """Where the cases are kept.

    Attributes:
        where: "disk", "memory" or "device".
        sentence: The choice and its reason, for the log.
    """

    where: str
    sentence: str


def choose_storage(
    keep: str, size_bytes: int, *, memory_bytes: int, device_bytes: int | None, training_bytes: int
) -> Storage:
    """Choose where to keep the training cases.

    Args:
        keep: "disk", "memory", "device" or "auto". "auto" is the device if the cases fit there beside the training,
            else memory if they take at most half of what is free, else disk.
        size_bytes: Size of the images and labels of all training cases.
        memory_bytes: Free memory of the machine.
        device_bytes: Free memory of the GPU that has least; None when training on the CPU.
        training_bytes: Estimated memory that training itself takes on a device.

    Raises:
        SettingsError: `keep` is "memory" or "device" and the cases do not fit.
    """
    cases = f"{size_text(size_bytes)} of cases"
    # On a CPU, device tensors are ordinary memory.
    needed = size_bytes if device_bytes is None else round(size_bytes * AS_FLOAT16)
    free = memory_bytes if device_bytes is None else device_bytes
    left = max(0, round((free - training_bytes) * DEVICE_SHARE))
    limit = {"memory": round(memory_bytes * MEMORY_SHARE), "device": left}
    reason = {
        "memory": f"{size_text(memory_bytes)} free, of which they may take half",
        "device": f"{size_text(free)} free there, of which training takes about {size_text(training_bytes)}",
    }
    if keep in limit and (size_bytes if keep == "memory" else needed) > limit[keep]:
        raise SettingsError(
            f"sampling.keep={keep}: {cases} do not fit into {size_text(limit[keep])} ({reason[keep]}). "
            f"Use sampling.keep=disk, which maps them into memory as they are needed."
        )
    if keep == "auto":
        if device_bytes is not None and needed <= left:
            keep = "device"
        else:
            keep = "memory" if size_bytes <= limit["memory"] else "disk"
            if keep == "disk":
                return Storage(keep, f"Reading {cases} from disk: too many for memory ({reason['memory']}).")
    sentences = {
        "disk": f"Reading {cases} from disk.",
        "memory": f"Keeping {cases} in memory ({reason['memory']}).",
        "device": f"Keeping {cases} on the device ({reason['device']}).",
    }
    return Storage(keep, sentences[keep])


def in_memory(
    cases: Sequence[PreparedCase], progress: Callable[[int, int], None] = lambda done, total: None
) -> list[PreparedCase]:
    """Read image and labels of each case into memory.

    Args:
        cases: Prepared cases.
        progress: Called with the number of cases read and the total number.
    """
    kept = []
    for done, case in enumerate(cases, 1):
        whole = replace(case, mapped=False)
        # Access both arrays now, so that they are read here and not at the first step.
        assert whole.image is not None and (whole.labels is None or whole.labels.size)
        kept.append(whole)
        progress(done, len(cases))
    return kept
