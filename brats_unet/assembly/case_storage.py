"""Where patches are cut from: disk, memory or GPU, as `sampling.keep` says or as the cases fit."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from brats_unet.assembly.topology import topology_of
from brats_unet.data.patches.pipeline import on_devices
from brats_unet.data.patches.sampling import Sampler
from brats_unet.data.patches.storage import choose_storage, in_memory
from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.distributed.cluster import on_one_machine
from brats_unet.hardware import gpus, memory_available_bytes
from brats_unet.models.network_shape import NetworkShape
from brats_unet.settings import Train
from brats_unet.training.step_memory import step_bytes
from brats_unet.training.strategy import Devices

HELD_OUT_SEED = 2**32  # added to the seed of the run, so that no run draws its training patches by the sum
UNKNOWN_SHARE = 0.5  # share of a device's memory reserved for a network of unknown size


def store_cases(
    settings: Train,
    cases: Sequence[PreparedCase],
    devices: Devices,
    network_shape: NetworkShape,
    *,
    margin: Sequence[int],
    log: Callable[[str], None],
    progress: Callable[[str, int, int], None],
) -> list[PreparedCase]:
    """Load the cases into memory or onto every device, or leave them on disk; the choice is logged.

    `margin` is what augmentation reads on each side of a patch along x, y, z, in voxels; it counts in the memory of a
    step, which stays free.

    Raises:
        SettingsError: The cases do not fit into the place that `sampling.keep` names.
    """
    cards = gpus() if devices.on_gpu else []
    free = min((card.free for card in cards), default=0) if devices.on_gpu else None
    topology = topology_of(settings.model, network_shape)
    if topology is None:
        training = round(UNKNOWN_SHARE * (free or 0))
    else:
        share = max(1, settings.sampling.batch // devices.replicas // settings.sampling.accumulate)
        channels, patch = len(settings.data.modalities), settings.sampling.patch
        training = step_bytes(
            topology,
            patch,
            share,
            channels=channels,
            precision=devices.precision,
            margin=margin,
            program=not devices.on_gpu,
        )
    size = sum(case.bytes for case in cases)
    chosen = choose_storage(
        settings.sampling.keep,
        size,
        memory_bytes=memory_available_bytes() // on_one_machine(devices.workers.addresses, devices.workers.index),
        device_bytes=free,
        training_bytes=training,
    )
    log(chosen.sentence)
    if chosen.where == "disk":
        return list(cases)

    def report_loading(done: int, total: int) -> None:
        progress("Loading cases", done, total)

    if chosen.where == "memory":
        return in_memory(cases, report_loading)
    return on_devices(cases, devices.names, report_loading)


def training_sampler(settings: Train, cases: Sequence[PreparedCase], margin: tuple[int, int, int]) -> Sampler:
    """The sampler of training patches that the settings describe."""
    sampling = settings.sampling
    x, y, z = sampling.patch
    slices = None if sampling.slices is None else (sampling.slices[0], sampling.slices[1])
    return Sampler(
        cases,
        (x, y, z),
        sampling.batch,
        sampling.foreground,
        slices,
        settings.seed,
        margin=margin,
        weights=sampling.regions or {},
        overhang=sampling.overhang,
    )


def held_out_sampler(settings: Train, cases: Sequence[PreparedCase]) -> Sampler:
    """The sampler of held-out patches: as in training, without a margin, and with random draws of its own."""
    return replace(training_sampler(settings, cases, (0, 0, 0)), seed=settings.seed + HELD_OUT_SEED)
