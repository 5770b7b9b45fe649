"""Choice of devices, precision and XLA compilation, made once before TensorFlow initialises the devices."""

import os
from dataclasses import dataclass, field

import tensorflow as tf

from brats_unet.distributed.workers import Workers
from brats_unet.errors import MachineError, SettingsError
from brats_unet.hardware import cpu_has_bfloat16
from brats_unet.training.tf_experimental import device_details, grow_memory_as_needed, multi_worker_strategy

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True)
class Devices:
    """Devices that a run computes on.

    Attributes:
        strategy: tf.distribute strategy; the default one for a single device.
        replicas: Number of devices that share a batch, over all workers.
        precision: Precision of the layers' arithmetic: "float32", "bfloat16" or "float16" (mixed precision). Weights
            are always float32.
        jit: Whether XLA compiles the forward and backward pass.
        description: Human-readable description.
        asynchronous: Whether devices compute while Python continues, as GPUs do. The loss of a step is then read after
            the next step has been started.
        workers: The processes that train together; alone by default. Each has as many devices as the others.
    """

    strategy: tf.distribute.Strategy
    replicas: int
    precision: str
    jit: bool
    description: str
    asynchronous: bool = False
    workers: Workers = field(default_factory=Workers)

    @property
    def policy(self) -> str:
        """Name of the Keras dtype policy, given to each layer and never set globally."""
        return POLICIES[self.precision]

    @property
    def local_replicas(self) -> int:
        """Number of devices of this process."""
        return self.replicas // self.workers.count

    @property
    def names(self) -> tuple[str, ...]:
        """TensorFlow name of the device of each replica in this process."""
        if self.replicas > 1:
            return tuple(self.strategy.extended.worker_devices)
        return ((tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU"))[0].name,)

    @property
    def on_gpu(self) -> bool:
        """Whether GPUs compute, not CPUs."""
        return any("GPU" in name for name in self.names)


def choose_devices(
    *, device: str, precision: str, jit: str, replicas: int | None, workers: Workers | None = None
) -> Devices:
    """Choose devices, precision and compilation; "auto" adapts to the hardware.

    Args:
        device: "cpu", "gpu" (the first GPU), "mirrored" (all GPUs, or `replicas` logical CPUs), "auto" (all GPUs, else
            the CPU) or "workers": the same on each of several processes.
        precision: "float32", "bfloat16", "float16" or "auto": bfloat16 if the hardware supports it, float16 on older
            GPUs, else float32.
        jit: "on", "off" or "auto": on for GPUs, off for CPUs, where XLA's convolutions are many times slower.
        replicas: Number of logical CPUs to mirror on, to try mirroring without GPUs; None otherwise.
        workers: The processes that train together, for device "workers"; TensorFlow's servers start here.

    Raises:
        SettingsError: `replicas` is given without device "mirrored", or is below 1; or the workers have other devices.
        MachineError: A GPU was requested, but TensorFlow finds none.
    """
    if replicas is not None and device != "mirrored":
        raise SettingsError(
            "hardware.replicas is for hardware=mirrored without GPUs. Leave it out, or add hardware=mirrored."
        )
    if replicas is not None and replicas < 1:
        raise SettingsError(f"hardware.replicas={replicas}: expected 1 or more logical CPUs.")
    if device == "workers" and workers is None:
        raise SettingsError("hardware=workers is for `brats-unet train`. Use hardware=auto here.")
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu" or replicas is not None:
        tf.config.set_visible_devices([], "GPU")
        gpus = []
    if device == "gpu" and not gpus:
        raise MachineError(
            "A GPU was requested, but TensorFlow finds no GPU. Check nvidia-smi and that brats-unet[gpu] is installed, "
            "or use the CPU: hardware=cpu to train, device=cpu to predict."
        )
    if device == "mirrored" and not gpus and replicas is None:
        raise MachineError(
            "hardware=mirrored, but TensorFlow finds no GPU. Use hardware=cpu, or mirror on CPUs: hardware.replicas=2."
        )
    if device == "gpu":
        tf.config.set_visible_devices(gpus[:1], "GPU")
        gpus = gpus[:1]
    for gpu in gpus:
        grow_memory_as_needed(gpu)

    if precision == "auto":
        precision = natural_precision(gpus)
    compiled = jit == "on" or (jit == "auto" and bool(gpus))
    if workers is not None and workers.count > 1:
        local = max(1, len(gpus))
        facts = {"devices": local, "GPUs": len(gpus), "precision": precision, "jit": compiled}
        workers.agree("devices", facts, "Give every worker the same devices, hardware.precision and hardware.jit.")
        own = gpu_name(gpus[0]) if gpus else "CPU"
        description = f"{workers.count} workers × {local} × {own}" if gpus else f"{workers.count} workers × {own}"
        strategy = multi_worker_strategy(workers.addresses, workers.index, on_gpus=bool(gpus))
        return Devices(strategy, workers.count * local, precision, compiled, description, bool(gpus), workers)
    if replicas is not None:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * replicas)
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(replicas)])
        count, description = replicas, f"{replicas} logical CPUs"
    elif len(gpus) > 1 or (gpus and device == "mirrored"):
        strategy = tf.distribute.MirroredStrategy()
        count, description = len(gpus), f"{len(gpus)} × {gpu_name(gpus[0])}"
    else:
        strategy = tf.distribute.get_strategy()
        count, description = 1, gpu_name(gpus[0]) if gpus else f"CPU, {os.cpu_count()} cores"
    return Devices(strategy, count, precision, compiled, description, asynchronous=bool(gpus))


def natural_precision(gpus: list) -> str:
    """Fastest precision that the GPUs support, or the CPU if the list is empty."""
    if gpus:
        capability = device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bfloat16" if capability >= (8, 0) else "float16"
    return "bfloat16" if cpu_has_bfloat16() else "float32"


def gpu_name(gpu: tf.config.PhysicalDevice) -> str:
    """Name of the GPU as reported by its driver; "GPU" if unknown."""
    return str(device_details(gpu).get("device_name", "GPU"))
