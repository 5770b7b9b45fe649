"""The pieces of a U-Net for slices and volumes: standard Keras layers only, each with a name that we choose.

A model of standard layers can be loaded anywhere. Checkpoints are keyed by layer names, so a layer without a fixed name
would break resuming. Every function takes the name of the layer and the precision that it computes in.

Two choices were measured (TensorFlow 2.21, 2 cores with AVX-512):
- We keep the transposed convolution: the equivalent pointwise convolution and depth-to-space saves 0-18 ms per layer in
  a step of 2.5 s, and no standard layer does it for unknown sizes.
- Instance normalisation takes 0.4 s of a step of 1.2 s in a small network, nearly all of it at full resolution: small
  networks should have few convolutions there.
"""

import zlib
from typing import Any

import keras
from keras import layers

Tensor = Any  # of whatever backend Keras runs on
Size = tuple[int, ...]  # one number per axis
LAST_OF_BLOCK = "_1"  # suffix of the second convolution of a residual block and of its normalisation


def _weights(name: str, seed: int) -> dict[str, Any]:
    # Each layer has its own seed, so that its initial weights do not depend on what was built before it.
    own = zlib.crc32(f"{seed}/{name}".encode())
    return {"kernel_initializer": keras.initializers.HeNormal(seed=own), "name": name}


def convolution(
    x: Tensor, features: int, *, kernel: Size, stride: Size, name: str, dtype: Any, seed: int, bias: bool = True
) -> Tensor:
    """Convolution with padding; the edges of the result are those of `x` divided by `stride`, rounded up."""
    layer = {2: layers.Conv2D, 3: layers.Conv3D}[len(kernel)]
    own = _weights(name, seed)
    return layer(features, kernel, strides=stride, padding="same", use_bias=bias, dtype=dtype, **own)(x)


def enlargement(x: Tensor, features: int, *, factor: Size, name: str, dtype: Any, seed: int) -> Tensor:
    """Transposed convolution with bias, kernel size = stride: each voxel becomes a box of `factor` voxels."""
    layer = {2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}[len(factor)]
    return layer(features, factor, strides=factor, padding="valid", dtype=dtype, **_weights(name, seed))(x)


def joined(x: Tensor, skip: Tensor, *, name: str, dtype: Any) -> Tensor:
    """Concatenate the features of both, which share a grid; those of `x` come first."""
    return layers.Concatenate(name=name, dtype=dtype)([x, skip])


def normalisation(x: Tensor, *, kind: str, groups: int, scale: str = "ones", name: str, dtype: Any) -> Tensor:
    """Normalise to mean 0, variance 1, per sample and feature ("instance"), sample and group ("group"), or "batch".

    The scale that is learnt starts at `scale`: "ones" or "zeros".
    """
    if kind == "none":
        return x
    made = {"epsilon": 1e-5, "gamma_initializer": scale, "name": name, "dtype": dtype}
    if kind == "batch":
        return layers.BatchNormalization(momentum=0.9, **made)(x)
    # Keras has no instance normalisation: it is group normalisation with one feature per group.
    return layers.GroupNormalization(groups={"instance": -1, "group": groups}[kind], **made)(x)


def with_foreground(image: Tensor, *, name: str, dtype: Any) -> Tensor:
    """Add a channel to the image: 1 where any of its channels is not 0, else 0."""
    foreground = keras.ops.cast(keras.ops.any(keras.ops.not_equal(image, 0), axis=-1, keepdims=True), image.dtype)
    return layers.Concatenate(name=name, dtype=dtype)([image, foreground])


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
    bias: bool,
    name: str,
    dtype: Any,
    seed: int,
) -> Tensor:
    """Convolution, normalisation and leaky ReLU, `convolutions` times; the first convolution has the stride."""
    own = {"norm": norm, "groups": groups, "bias": bias, "dtype": dtype, "seed": seed}
    for index in range(convolutions):
        step = stride if index == 0 else (1,) * len(stride)
        x = _normalised(x, features, kernel=kernel, stride=step, prefix=name, suffix=f"_{index}", **own)
        x = layers.LeakyReLU(negative_slope=slope, name=f"{name}_act_{index}", dtype=dtype)(x)
    return x


def residual_stage(
    x: Tensor,
    features: int,
    *,
    convolutions: int,
    kernel: Size,
    stride: Size,
    norm: str,
    groups: int,
    slope: float,
    bias: bool,
    name: str,
    dtype: Any,
    seed: int,
) -> Tensor:
    """`convolutions` residual blocks of two convolutions each; the very first convolution has the stride.

    A block adds its input to its result. Where the shapes differ, the input is averaged over the stride, and a
    pointwise convolution without bias and a normalisation change its number of features (ResNet-D; nnU-Net's
    `BasicBlockD`). The scale of the last normalisation starts at 0, so at first a block passes on its input (nnU-Net's
    `init_last_bn_before_add_to_0`).
    """
    flat = (1,) * len(stride)
    own = {"norm": norm, "groups": groups, "dtype": dtype, "seed": seed}
    for index in range(convolutions):
        block, step = f"{name}_block_{index}", stride if index == 0 else flat
        given = x
        if max(step) > 1:
            pooling = {2: layers.AveragePooling2D, 3: layers.AveragePooling3D}[len(step)]
            # TensorFlow cannot average volumes in float16 on the CPU; in bfloat16 it is 5 times as fast as in float32.
            half = keras.dtype_policies.get(dtype).compute_dtype == "float16"
            given = pooling(step, padding="same", name=f"{block}_skip_pool", dtype="float32" if half else dtype)(given)
        if given.shape[-1] != features:
            given = _normalised(given, features, kernel=flat, stride=flat, prefix=f"{block}_skip", bias=False, **own)
        x = _normalised(x, features, kernel=kernel, stride=step, prefix=block, suffix="_0", bias=bias, **own)
        x = layers.LeakyReLU(negative_slope=slope, name=f"{block}_act_0", dtype=dtype)(x)
        x = _normalised(
            x, features, kernel=kernel, stride=flat, prefix=block, suffix=LAST_OF_BLOCK, bias=bias, scale="zeros", **own
        )
        x = layers.Add(name=f"{block}_add", dtype=dtype)([x, given])
        x = layers.LeakyReLU(negative_slope=slope, name=f"{block}_act_1", dtype=dtype)(x)
    return x


def start_blocks_at_one(network: keras.Model) -> None:
    """Set the scale of the last normalisation of each residual block to 1, where training by the rules 1 starts."""
    for layer in network.layers:
        if "_block_" in layer.name and layer.name.endswith(f"_norm{LAST_OF_BLOCK}"):
            layer.gamma.assign(keras.ops.ones_like(layer.gamma))


def _normalised(
    x: Tensor,
    features: int,
    *,
    kernel: Size,
    stride: Size,
    norm: str,
    groups: int,
    bias: bool,
    prefix: str,
    suffix: str = "",
    scale: str = "ones",
    dtype: Any,
    seed: int,
) -> Tensor:
    name = f"{prefix}_conv{suffix}"
    x = convolution(x, features, kernel=kernel, stride=stride, bias=bias, name=name, dtype=dtype, seed=seed)
    return normalisation(x, kind=norm, groups=groups, scale=scale, name=f"{prefix}_norm{suffix}", dtype=dtype)


def head(x: Tensor, outputs: int, *, enlarge: Size, name: str, dtype: Any, seed: int) -> Tensor:
    """Logits on the grid of `x` upsampled by `enlarge`; float32 whatever precision the features have."""
    if max(enlarge) > 1:
        x = enlargement(x, outputs, factor=enlarge, name=name, dtype=dtype, seed=seed)
    else:
        x = convolution(x, outputs, kernel=enlarge, stride=enlarge, name=name, dtype=dtype, seed=seed)
    return layers.Activation("linear", name=f"{name}_logits", dtype="float32")(x)
