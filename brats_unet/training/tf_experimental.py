"""All calls of experimental TensorFlow functions, which may change between minor versions of TensorFlow.

They are kept in this module so that a change needs a fix in one place only, and pyproject.toml can allow a wide range
of TensorFlow versions. A test checks that no other module calls them.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def grow_memory_as_needed(gpu: tf.config.PhysicalDevice) -> None:
    """Let TensorFlow allocate GPU memory as needed instead of all at once. Call this before the GPU is first used."""
    tf.config.experimental.set_memory_growth(gpu, True)


def device_details(gpu: tf.config.PhysicalDevice) -> dict[str, Any]:
    """Properties of a GPU from its driver, such as "device_name" and "compute_capability"; any may be missing."""
    return tf.config.experimental.get_device_details(gpu)


def peak_memory_bytes(gpu: tf.config.LogicalDevice) -> int:
    """Peak memory that TensorFlow has used on a GPU so far, in bytes."""
    return int(tf.config.experimental.get_memory_info(gpu.name)["peak"])


def local_results(strategy: tf.distribute.Strategy, value: Any) -> tuple[Any, ...]:
    """Values of a distributed value, one per replica of this process; a plain value gives a tuple of itself."""
    return strategy.experimental_local_results(value)


def distributed(strategy: tf.distribute.Strategy, value_of_replica: Callable[[int], Any]) -> Any:
    """Build a distributed value from one plain value per replica.

    Args:
        strategy: Strategy with at least two replicas.
        value_of_replica: Function that gives the value for the index of a replica, from 0.
    """
    return strategy.experimental_distribute_values_from_function(
        lambda context: value_of_replica(context.replica_id_in_sync_group)
    )
