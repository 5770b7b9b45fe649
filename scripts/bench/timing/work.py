"""Floating-point operations and bytes of a training step, counted in the graph of its network; nothing is run."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

# The strided side of a convolution and of its two gradients: its output, or the input of that index. Each of its voxels
# costs one product per weight of the kernel, whether forward, by the input or by the kernel.
COARSE_INPUT = {"Conv": None, "ConvBackpropInput": 2, "ConvBackpropFilter": 2}
KERNEL_INPUT = {"Conv": 1, "ConvBackpropInput": 1, "ConvBackpropFilter": None}
# Operations that move no data: they rename, reshape or read variables in place.
FREE = frozenset(
    {"Const", "ExpandDims", "Identity", "IdentityN", "NoOp", "Placeholder", "ReadVariableOp", "Reshape", "Shape"}
    | {"Squeeze", "StopGradient", "PreventGradient"}
)


@dataclass(frozen=True)
class Work:
    """Work of the forward and backward pass of a network; loss, augmentation and optimizer are not counted.

    Attributes:
        flops: Operations of all convolutions and their gradients; a multiplication and an addition are two.
        least_bytes: Bytes that the convolutions read and write, each operand once. A step that fuses everything else
            into them moves so much at least.
        unfused_bytes: Bytes that all operations read and write if each is a kernel of its own.
    """

    flops: int
    least_bytes: int
    unfused_bytes: int


def step_work(model: Any, shape: Sequence[int]) -> Work:
    """Work of one step.

    Args:
        model: Keras network with the precision of the training.
        shape: Shape of the batch of images, without None.
    """
    import tensorflow as tf

    @tf.function
    def gradients(images: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = tf.nest.flatten(model(images, training=True))
            value = tf.add_n([tf.reduce_sum(tf.cast(one, tf.float32)) for one in logits])
        return value, tape.gradient(value, [weight.value for weight in model.trainable_variables])

    return work_of(_needed(gradients.get_concrete_function(tf.TensorSpec(shape, tf.float32)).outputs))


def _needed(results: Iterable[Any]) -> list[Any]:
    """Operations that the results depend on; TensorFlow drops the others, such as the gradient by the image."""
    needed, waiting = {}, [tensor.op for tensor in results]
    while waiting:
        operation = waiting.pop()
        if operation.name not in needed:
            needed[operation.name] = operation
            waiting += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return list(needed.values())


def work_of(operations: Iterable[Any]) -> Work:
    """Work of the operations of a TensorFlow graph.

    Raises:
        ValueError: The shape of a number that an operation reads or writes is unknown.
    """
    flops = least = unfused = 0
    for operation in operations:
        if operation.type in FREE:
            continue
        moved = sum(_bytes(tensor, operation) for tensor in (*operation.inputs, *operation.outputs))
        unfused += moved
        kind = operation.type.replace("2D", "").replace("3D", "").removesuffix("V2")
        if kind not in COARSE_INPUT:
            continue
        coarse, kernel = COARSE_INPUT[kind], KERNEL_INPUT[kind]
        voxels = (operation.outputs[0] if coarse is None else operation.inputs[coarse]).shape[:-1].num_elements()
        weights = (operation.outputs[0] if kernel is None else operation.inputs[kernel]).shape.num_elements()
        flops += 2 * voxels * weights
        least += moved
    return Work(flops, least, unfused)


def _bytes(tensor: Any, operation: Any) -> int:
    if not tensor.dtype.is_floating:
        return 0
    count = tensor.shape.num_elements()
    if count is None:
        raise ValueError(f"{operation.type} {operation.name}: shape {tensor.shape}. Expected all sizes to be known.")
    return count * tensor.dtype.size
