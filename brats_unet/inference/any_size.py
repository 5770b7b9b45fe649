"""Let a network take whole volumes of any size, with the weights of one that needs multiples of its stride.

Padding a whole volume to the stride costs time (1.5 times as long for a brain at 1 mm and a stride of 32) and Dice,
because instance norm includes the zeros in its statistics. Here each strided convolution pads its own input by the few
rows of zeros that are missing, and each upsampled tensor is cropped to the skip connection that it is joined with. For
multiples of the stride nothing is padded or cropped.

Instance norm is replaced by `_Normalised`: Keras' definition, with means that stay accurate over millions of voxels.
All other layers are the model's own and give the same values to the last bit.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from brats_unet.inference.network import SizeLimit

Tensor = Any
CHANNELS_LAST = "channels_last"
CONVOLUTIONS = (layers.Conv2D, layers.Conv3D)
TRANSPOSED_CONVOLUTIONS = (layers.Conv2DTranspose, layers.Conv3DTranspose)
POOLING = (layers.AveragePooling2D, layers.AveragePooling3D)
JOINS = (layers.Concatenate, layers.Add)
# Layers that work at any size: they compute each voxel alone, or use statistics of all voxels. Operations are listed by
# class name.
VOXELWISE = (
    *(layers.InputLayer, layers.GroupNormalization, layers.BatchNormalization, layers.Activation, layers.LeakyReLU),
    *(layers.ReLU, layers.Add, layers.Dropout, layers.SpatialDropout2D, layers.SpatialDropout3D),
)
VOXELWISE_OPERATIONS = ("Any", "Cast", "Matmul", "NotEqual")


class _Filled(layers.Layer):
    """Pad the end of each spatial axis with zeros to a multiple of `strides`."""

    def __init__(self, strides: tuple[int, ...], **given: Any) -> None:
        super().__init__(**given)
        self.strides = strides

    def call(self, x: Tensor) -> Tensor:
        strides = tf.constant(self.strides)
        beyond = tf.shape(x)[1:-1] % strides
        # `%` only on numbers of 0 or more: ONNX defines the remainder of negative numbers differently.
        lacking = tf.concat([[0], (strides - beyond) % strides, [0]], axis=0)
        return _with_channels(tf.pad(x, tf.stack([tf.zeros_like(lacking), lacking], axis=1)), x)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (shape[0], *(None for _ in self.strides), shape[-1])


class _Even(layers.Layer):
    """Crop tensors at the end of each spatial axis to the shortest of them."""

    def call(self, tensors: list[Tensor]) -> list[Tensor]:
        shortest = tf.reduce_min(tf.stack([tf.shape(x)[1:-1] for x in tensors]), axis=0)
        return [_with_channels(tf.slice(x, [0] * len(x.shape), _lengths(x, shortest)), x) for x in tensors]

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> list[tuple[int | None, ...]]:
        return [(shape[0], *(None for _ in shape[1:-1]), shape[-1]) for shape in shapes]


class _Normalised(layers.Layer):
    """Instance normalisation with means taken along one axis after another.

    On CPUs, TensorFlow adds up all voxels in one float32: for 3 million voxels, features are 1e-3 off. Sums of a few
    hundred values keep the error within 1e-6 on every runtime and take three quarters of the time.
    """

    def __init__(self, norm: layers.GroupNormalization, **given: Any) -> None:
        super().__init__(dtype=norm.dtype_policy, **given)
        self.norm = norm

    def call(self, x: Tensor) -> Tensor:
        values = tf.cast(x, tf.float32)
        mean = _mean(values)
        scale = tf.math.rsqrt(_mean(tf.math.squared_difference(values, mean)) + self.norm.epsilon)
        if self.norm.scale:
            scale *= self.norm.gamma
        offset = -mean * scale
        if self.norm.center:
            offset += self.norm.beta
        return tf.cast(values * scale + offset, x.dtype)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return shape


def _mean(x: Tensor) -> Tensor:
    """Mean of each sample and feature; spatial axes keep length 1."""
    for axis in reversed(range(1, len(x.shape) - 1)):
        x = tf.reduce_mean(x, axis, keepdims=True)
    return x


def _is_instance_norm(layer: Any) -> bool:
    last = isinstance(layer, layers.GroupNormalization) and layer.axis in (-1, layer.input_spec.ndim - 1)
    return last and layer.groups == layer.input_spec.axes[layer.axis]


def _lengths(x: Tensor, inner: Tensor) -> Tensor:
    return tf.concat([tf.shape(x)[:1], inner, tf.shape(x)[-1:]], axis=0)


def _with_channels(x: Tensor, like: Tensor) -> Tensor:
    """Give `x` the static number of features of `like`; without it, convolution uses the slow grouped kernel."""
    x.set_shape((*(None for _ in like.shape[:-1]), like.shape[-1]))
    return x


def patches_of(model: keras.Model, dtype: tf.DType, name: str | None = None) -> tf.TensorSpec:
    """Signature of a model's input: patches (B, X, Y, Z, M) or slices (B, X, Y, M), any number and any size."""
    *spaces, channels = model.inputs[0].shape
    return tf.TensorSpec((*(None for _ in spaces), channels), dtype, name)


def for_any_size(
    model: keras.Model, stride: Sequence[int]
) -> tuple[keras.Model, tuple[int, int, int], SizeLimit | None]:
    """A model for volumes of any size, where one can be made.

    Args:
        model: Network of logits.
        stride: Its total stride along x, y, z.

    Returns:
        `of_any_size(model)`, (1, 1, 1) and None; or `model`, `stride` and the reason why no such model can be made.
    """
    limit = size_limit(model)
    if limit is None:
        return of_any_size(model), (1, 1, 1), None
    x, y, z = stride
    return model, (x, y, z), limit


def size_limit(model: keras.Model) -> SizeLimit | None:
    """Why `of_any_size` cannot be made of a model, and what to do about it; None where it can."""
    if not isinstance(model, keras.Function):
        return SizeLimit(
            f"the model {model.name} is a {type(model).__name__}, not a functional Keras model",
            "build the network with keras.Model(inputs, outputs)",
        )
    if len(model.inputs) != 1:
        return SizeLimit(
            f"the model {model.name} has {len(model.inputs)} inputs, not one",
            "build the network with one input that holds all channels",
        )
    for layer in model.operations:
        if remedy := _remedy(layer):
            layer_name = f"{type(layer).__name__} ({layer.name})"
            return SizeLimit(f"the layer {layer_name} is not known to take volumes of any size", remedy)
    return None


def _remedy(layer: Any) -> str:
    """What to do so that a layer is known; "" for a known layer."""
    name = type(layer).__name__
    if not isinstance(layer, layers.Layer):
        return "" if name in VOXELWISE_OPERATIONS else _add_to("VOXELWISE_OPERATIONS")
    if getattr(layer, "data_format", CHANNELS_LAST) != CHANNELS_LAST:
        return f"build {name} with data_format={CHANNELS_LAST}"
    if isinstance(layer, TRANSPOSED_CONVOLUTIONS):
        known = tuple(layer.kernel_size) == tuple(layer.strides) and layer.padding == "valid"
        return "" if known else f"train a network whose {name} has kernel_size equal to strides and padding=valid"
    if isinstance(layer, CONVOLUTIONS):
        return "" if layer.padding == "same" else f"train a network whose {name} has padding=same"
    if isinstance(layer, POOLING):
        known = tuple(layer.pool_size) == tuple(layer.strides) and layer.padding == "same"
        return "" if known else f"train a network whose {name} has pool_size equal to strides and padding=same"
    if isinstance(layer, layers.Concatenate):
        return "" if layer.axis == -1 else f"build {name} with axis=-1"
    return "" if isinstance(layer, VOXELWISE) else _add_to("VOXELWISE")


def _add_to(table: str) -> str:
    return (
        f"make the layer known: if it computes each voxel from that voxel alone, or from statistics of all voxels, add "
        f"it to {table} in brats_unet/inference/any_size.py; if not, train a network without it"
    )


def of_any_size(model: keras.Model) -> keras.Model:
    """The first output of a `model` without a `size_limit`, for images of any size; it shares the weights."""

    def call(layer: Any, *given: Any, **options: Any) -> Tensor:
        first, *others = given
        if (
            isinstance(layer, CONVOLUTIONS)
            and not isinstance(layer, TRANSPOSED_CONVOLUTIONS)
            and max(layer.strides) > 1
        ):
            first = _Filled(tuple(layer.strides), dtype=layer.dtype_policy)(first)
        elif isinstance(layer, JOINS):
            first = _Even(dtype=layer.dtype_policy)(first)
        elif _is_instance_norm(layer):
            return _Normalised(layer)(first)
        return layer(first, *others, **options)

    answering = keras.Model(model.inputs, model.outputs[0], name=model.name)
    shared = keras.models.clone_model(answering, clone_function=lambda layer: layer, call_function=call)
    (image,), answer = shared.inputs, shared.outputs[0]
    return keras.Model(image, _Even(dtype="float32")([answer, image])[0], name=model.name)
