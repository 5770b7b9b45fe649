"""Which devices compute, in which precision, and whether XLA compiles: decided once, before TensorFlow starts work."""

import os
from dataclasses import dataclass

import tensorflow as tf

from brats_unet.errors import MachineError, SettingsError
from brats_unet.hardware import cpu_has_bfloat16
from brats_unet.training.tf_experimental import device_details, grow_memory_as_needed

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


@dataclass(frozen=True)
class Devices:
    """What a run computes on.

    Attributes:
        strategy: Of tf.distribute; the default one for a single device.
        replicas: Devices that share a batch.
        precision: "float32", "bfloat16" or "float16" of the layers' arithmetic; weights are float32 always.
        jit: Whether XLA compiles the forward and backward pass.
        description: For people.
        ahead: Whether the devices work on while Python goes on, as GPUs do: a step's loss is then looked at when the
            next one has been handed over.
    """

    strategy: tf.distribute.Strategy
    replicas: int
    precision: str
    jit: bool
    description: str
    ahead: bool = False

    @property
    def policy(self) -> str:
        """Name of the Keras dtype policy, given to each layer and never set globally."""
        return POLICIES[self.precision]

    @property
    def names(self) -> tuple[str, ...]:
        """Of each replica's device, as TensorFlow names it."""
        if self.replicas > 1:
            return tuple(self.strategy.extended.worker_devices)
        return ((tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU"))[0].name,)


def choose_devices(*, device: str, precision: str, jit: str, replicas: int | None) -> Devices:
    """Make the choice; "auto" takes what there is.

    Args:
        device: "cpu", "gpu" (the first), "mirrored" (all GPUs, or `replicas` logical CPUs), or "auto" (all GPUs, else
            the CPU).
        precision: "auto": bfloat16 where the hardware computes in it, float16 on older GPUs, float32 elsewhere.
        jit: "auto": on for GPUs, off for CPUs, where XLA's convolutions are many times slower.
        replicas: Logical CPUs to mirror on, to try it without GPUs; None otherwise.

    Raises:
        SettingsError: Replicas without mirroring.
        MachineError: A GPU was asked for and there is none.
    """
    if replicas is not None and device != "mirrored":
        raise SettingsError(
            "hardware.replicas is for hardware=mirrored without GPUs. Leave it out, or add hardware=mirrored."
        )
    if replicas is not None and replicas < 1:
        raise SettingsError(f"hardware.replicas={replicas}: expected 1 or more logical CPUs.")
    gpus = tf.config.list_physical_devices("GPU")
    if device == "cpu" or replicas is not None:
        tf.config.set_visible_devices([], "GPU")
        gpus = []
    if device == "gpu" and not gpus:
        raise MachineError(
            "A GPU was asked for, but TensorFlow finds no GPU. Check nvidia-smi and that brats-unet[gpu] is installed, "
            "or ask for the CPU: hardware=cpu to train, device=cpu to predict."
        )
    if device == "mirrored" and not gpus and replicas is None:
        raise MachineError(
            "hardware=mirrored, but TensorFlow finds no GPU. Use hardware=cpu, or hardware.replicas=2 to try it."
        )
    if device == "gpu":
        tf.config.set_visible_devices(gpus[:1], "GPU")
        gpus = gpus[:1]
    for gpu in gpus:
        grow_memory_as_needed(gpu)

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
    if precision == "auto":
        precision = natural_precision(gpus)
    compiled = jit == "on" or (jit == "auto" and bool(gpus))
    return Devices(strategy, count, precision, compiled, description, ahead=bool(gpus))


def natural_precision(gpus: list) -> str:
    """The fastest precision that these GPUs, or this CPU if there are none, compute in."""
    if gpus:
        capability = device_details(gpus[0]).get("compute_capability", (0, 0))
        return "bfloat16" if capability >= (8, 0) else "float16"
    return "bfloat16" if cpu_has_bfloat16() else "float32"


def gpu_name(gpu: tf.config.PhysicalDevice) -> str:
    """What its maker calls it."""
    return str(device_details(gpu).get("device_name", "GPU"))
