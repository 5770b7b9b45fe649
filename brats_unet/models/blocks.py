"""The pieces of a U-Net for slices and volumes: stock Keras layers, each named on purpose, nothing else.

Stock layers alone let a saved model load anywhere; names alone key the weights, so a layer without one would break
resuming. Every function takes the name of what it makes and the precision its layers compute in.

Two choices were measured (TensorFlow 2.21, 2 cores with AVX-512):
- The transposed convolution stays one: the equivalent pointwise convolution and depth-to-space saves 0-18 ms a layer of
  a step of 2.5 s, and has no stock layer for unknown sizes.
- Instance normalisation costs 0.4 s of 1.2 s in a step of a small network, nearly all of it at full resolution:
  small networks should have few convolutions there.
"""

import zlib
from typing import Any

import keras
from keras import layers

Tensor = Any  # of whatever backend Keras runs on
Size = tuple[int, ...]  # one number per axis


def _weights(name: str, seed: int) -> dict[str, Any]:
    # A seed of the layer's own, so that its first weights do not depend on what was built before it.
    own = zlib.crc32(f"{seed}/{name}".encode())
    return {"kernel_initializer": keras.initializers.HeNormal(seed=own), "name": name}


def convolution(x: Tensor, features: int, *, kernel: Size, stride: Size, name: str, dtype: Any, seed: int) -> Tensor:
    """Convolution with bias; the edges of the result are those of `x` divided by `stride`, rounded up."""
    layer = {2: layers.Conv2D, 3: layers.Conv3D}[len(kernel)]
    return layer(features, kernel, strides=stride, padding="same", dtype=dtype, **_weights(name, seed))(x)


def enlargement(x: Tensor, features: int, *, factor: Size, name: str, dtype: Any, seed: int) -> Tensor:
    """Transposed convolution with bias whose kernel is its stride: a voxel becomes a box of `factor` voxels."""
    layer = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[len(factor)]
    return layer(features, factor, strides=factor, padding="valid", dtype=dtype, **_weights(name, seed))(x)


def joined(x: Tensor, skip: Tensor, *, name: str, dtype: Any) -> Tensor:
    """The features of both, on one grid; those of `x` first."""
    return layers.Concatenate(name=name, dtype=dtype)([x, skip])


def normalisation(x: Tensor, *, kind: str, groups: int, name: str, dtype: Any) -> Tensor:
    """Features to mean 0, variance 1, per sample and feature ("instance"), per sample and "group", or per "batch"."""
    if kind == "none":
        return x
    if kind == "batch":
        return layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name, dtype=dtype)(x)
    # Keras has no instance normalisation: it is group normalisation with one feature a group.
    groups = {"instance": -1, "group": groups}[kind]
    return layers.GroupNormalization(groups=groups, epsilon=1e-5, name=name, dtype=dtype)(x)


def stage(
    x: Tensor,
    features: int,
    *,
    convolutions: int,
    kernel: Size,
    stride: Size,
    norm: str,
    groups: int,
    slope: float,
    name: str,
    dtype: Any,
    seed: int,
) -> Tensor:
    """`convolutions` times convolution, normalisation, leaky ReLU; the first convolution strides by `stride`."""
    for index in range(convolutions):
        step = stride if index == 0 else (1,) * len(stride)
        x = convolution(x, features, kernel=kernel, stride=step, name=f"{name}_conv_{index}", dtype=dtype, seed=seed)
        x = normalisation(x, kind=norm, groups=groups, name=f"{name}_norm_{index}", dtype=dtype)
        x = layers.LeakyReLU(negative_slope=slope, name=f"{name}_act_{index}", dtype=dtype)(x)
    return x


def head(x: Tensor, outputs: int, *, enlarge: Size, name: str, dtype: Any, seed: int) -> Tensor:
    """Linear logits on the grid of `x` times `enlarge`; float32 whatever the features are computed in."""
    if max(enlarge) > 1:
        x = enlargement(x, outputs, factor=enlarge, name=name, dtype=dtype, seed=seed)
    else:
        x = convolution(x, outputs, kernel=enlarge, stride=enlarge, name=name, dtype=dtype, seed=seed)
    return layers.Activation("linear", name=f"{name}_logits", dtype="float32")(x)
