"""A network that takes volumes of any size, with the weights of one that wants multiples of its stride.

Padding a whole volume up to the stride costs time (a third of a brain at 1 mm more, for nnU-Net's network) and Dice:
instance norm takes the zeros into its statistics. Here each layer that shrinks by a stride is handed the one row of
zeros, or the few, that it lacks itself, and what grows again is cut to the skip connection that it meets. For multiples
of the stride nothing is added or cut, and the answers are the same to the last bit.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

Tensor = Any
SHRINKING = (layers.Conv2D, layers.Conv3D)
GROWING = (layers.Conv2DTranspose, layers.Conv3DTranspose)
POOLING = (layers.AveragePooling2D, layers.AveragePooling3D)
MEETING = (layers.Concatenate, layers.Add)
# Of the rest, those that answer voxel by voxel, and so have nothing to do with sizes. Operations go by their names.
VOXELWISE = (
    *(layers.InputLayer, layers.GroupNormalization, layers.BatchNormalization, layers.Activation, layers.LeakyReLU),
    *(layers.ReLU, layers.Dropout, layers.SpatialDropout2D, layers.SpatialDropout3D),
)
VOXELWISE_OPERATIONS = ("Any", "Cast", "Matmul", "NotEqual")


class _Filled(layers.Layer):
    """Zeros after the end of each axis, up to a multiple of `strides`."""

    def __init__(self, strides: tuple[int, ...], **given: Any) -> None:
        super().__init__(**given)
        self.strides = strides

    def call(self, x: Tensor) -> Tensor:
        strides = tf.constant(self.strides)
        beyond = tf.shape(x)[1:-1] % strides
        lacking = tf.concat(
            [[0], (strides - beyond) % strides, [0]], axis=0
        )  # never a negative remainder: ONNX differs
        return _with_channels(tf.pad(x, tf.stack([tf.zeros_like(lacking), lacking], axis=1)), x)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], *(None for _ in self.strides), shape[-1])


class _Cut(layers.Layer):
    """The first of two tensors, cut at the end of each axis to the lengths of the second."""

    def call(self, pair: list[Tensor]) -> Tensor:
        x, like = pair
        lengths = tf.concat([tf.shape(x)[:1], tf.shape(like)[1:-1], tf.shape(x)[-1:]], axis=0)
        return _with_channels(tf.slice(x, [0] * len(x.shape), lengths), x)

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        return (*shapes[1][:-1], shapes[0][-1])


def fitted(model: keras.Model, stride: Sequence[int]) -> tuple[keras.Model, tuple[int, int, int]]:
    """The network `of_any_size` and multiples of 1; or, where that cannot be had, `model` and its `stride`."""
    if takes_any_size(model):
        return of_any_size(model), (1, 1, 1)
    x, y, z = stride
    return model, (x, y, z)


def _with_channels(x: Tensor, like: Tensor) -> Tensor:
    """`x`, known to have the features of `like`: else a convolution takes itself for a grouped one, which is slow."""
    x.set_shape((*(None for _ in like.shape[:-1]), like.shape[-1]))
    return x


def takes_any_size(model: keras.Model) -> bool:
    """Whether `of_any_size` can be had of it: every layer is known and grows by a box a voxel, as our networks do."""
    return isinstance(model, keras.Function) and all(map(_is_known, model.operations))


def _is_known(layer: Any) -> bool:
    if not isinstance(layer, layers.Layer):
        return type(layer).__name__ in VOXELWISE_OPERATIONS
    if isinstance(layer, GROWING):
        return tuple(layer.kernel_size) == tuple(layer.strides) and layer.padding == "valid"
    if isinstance(layer, SHRINKING):
        return layer.padding == "same"
    if isinstance(layer, POOLING):
        return tuple(layer.pool_size) == tuple(layer.strides) and layer.padding == "same"
    return isinstance(layer, MEETING + VOXELWISE)


def of_any_size(model: keras.Model) -> keras.Model:
    """The first output of `model`, from images of any size; it shares the weights.

    Args:
        model: One that `takes_any_size`. Skip connections come last where they meet what has grown.
    """

    def call(layer: Any, *given: Any, **options: Any) -> Tensor:
        if isinstance(layer, SHRINKING) and not isinstance(layer, GROWING) and max(layer.strides) > 1:
            given = (_Filled(tuple(layer.strides), name=f"{layer.name}_filled", dtype=layer.dtype_policy)(given[0]),)
        elif isinstance(layer, MEETING):
            *others, last = given[0]
            cut = [
                _Cut(name=f"{layer.name}_cut_{index}", dtype=layer.dtype_policy)([x, last])
                for index, x in enumerate(others)
            ]
            given = ([*cut, last],)
        return layer(*given, **options)

    first = keras.Model(model.inputs, model.outputs[0], name=model.name)
    shared = keras.models.clone_model(first, clone_function=lambda layer: layer, call_function=call)
    (image,), answer = shared.inputs, shared.outputs[0]
    return keras.Model(image, _Cut(name="answer_cut", dtype="float32")([answer, image]), name=model.name)
