"""All calls of experimental TensorFlow functions, which may change between minor versions of TensorFlow.

They are kept in this module so that a change needs a fix in one place only, and pyproject.toml can allow a wide range
of TensorFlow versions. A test checks that no other module calls them.
"""

import signal
from collections.abc import Callable, Sequence
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
        value_of_replica: Function that gives the value for the index of a replica of this process, from 0.
    """
    local = len(strategy.extended.worker_devices)
    return strategy.experimental_distribute_values_from_function(
        lambda context: value_of_replica(context.replica_id_in_sync_group % local)
    )


def multi_worker_strategy(addresses: Sequence[str], index: int, *, on_gpus: bool) -> tf.distribute.Strategy:
    """Strategy of one of several processes; starts its server and waits for those of the others.

    Args:
        addresses: host:port of each process, in order.
        index: Index of this process.
        on_gpus: True to sum gradients with NCCL, False with a ring over TCP.
    """
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(addresses)}), task_type="worker", task_id=index, rpc_layer="grpc"
    )
    kinds = tf.distribute.experimental.CommunicationImplementation
    options = tf.distribute.experimental.CommunicationOptions(implementation=kinds.NCCL if on_gpus else kinds.RING)
    strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver, options)
    # TensorFlow has taken SIGTERM, to tell the other processes; give it back to the handler that was there before.
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    return strategy
