"""Every call of TensorFlow that it marks as experimental, and so may change between minor versions.

The range of TensorFlow versions in pyproject.toml is wide because there is one place to mend; a test holds the rest of
the package to it.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def grow_memory_as_needed(gpu: tf.config.PhysicalDevice) -> None:
    """Let TensorFlow take a GPU's memory step by step instead of all at once; before the GPU is first used."""
    tf.config.experimental.set_memory_growth(gpu, True)


def device_details(gpu: tf.config.PhysicalDevice) -> dict[str, Any]:
    """The driver's facts about a GPU, such as "device_name" and "compute_capability"; any of them may be missing."""
    return tf.config.experimental.get_device_details(gpu)


def peak_memory_bytes(gpu: tf.config.LogicalDevice) -> int:
    """The most memory that a GPU has held so far."""
    return int(tf.config.experimental.get_memory_info(gpu.name)["peak"])


def local_results(strategy: tf.distribute.Strategy, value: Any) -> tuple[Any, ...]:
    """The values of a distributed value, one per replica of this process; a plain value is its only one."""
    return strategy.experimental_local_results(value)


def distributed(strategy: tf.distribute.Strategy, value_of_replica: Callable[[int], Any]) -> Any:
    """A distributed value from one plain value per replica.

    Args:
        strategy: Strategy with two replicas or more.
        value_of_replica: Called with the index of each replica, from 0.
    """
    return strategy.experimental_distribute_values_from_function(
        lambda context: value_of_replica(context.replica_id_in_sync_group)
    )
