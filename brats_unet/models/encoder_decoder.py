"""Build a U-Net from its design. The networks here share all of this and differ in the stage of the encoder.

Encoder stages downsample by a strided convolution; decoder stages of (convolution, normalisation, leaky ReLU) upsample
by a transposed one; there are skip connections, and heads of logits at the finest resolutions of the decoder.

Layers are named by resolution, 0 the finest: `encoder_0_conv_0`, `encoder_0_norm_0`, `encoder_0_act_0`, `decoder_0_up`,
`decoder_0_skip`, `decoder_0_conv_0`, …, `head_0`, `head_0_logits`. Checkpoints are keyed by these names.
"""

from collections.abc import Callable
from typing import Any

import keras

from brats_unet.models import blocks
from brats_unet.models.design import Design
from brats_unet.models.ends import FOREGROUND_LAYER

Tensor = Any  # of whatever backend Keras runs on
Stage = Callable[..., Tensor]  # with the arguments of `blocks.stage`


def assemble(
    described: Design,
    name: str,
    *,
    channels: int,
    outputs: int,
    dtype: Any,
    seed: int,
    encode: Stage = blocks.stage,
    lead_in: bool = False,
) -> keras.Model:
    """Build the network.

    Args:
        described: The design, complete and checked.
        name: Name of the model.
        channels: Number of image channels.
        outputs: Number of logits per voxel.
        dtype: Precision of all layers but the last.
        seed: Seed of the initial weights.
        encode: Function that builds an encoder stage; decoder stages are always `blocks.stage`.
        lead_in: Add one convolution, normalisation and activation at full resolution before the first stage.

    Returns:
        A model from images to a list of `described.network_shape.heads` logits, full resolution first.
    """
    made = {"dtype": dtype, "seed": seed}
    style = {
        "norm": described.norm,
        "groups": described.groups,
        "slope": described.slope,
        "bias": described.bias,
        **made,
    }
    flat = (1,) * described.rank
    image = x = keras.Input((None,) * described.rank + (channels,), name="image")
    if described.foreground_channel:
        x = blocks.with_foreground(x, name=FOREGROUND_LAYER, dtype=dtype)
    if lead_in:
        first, kernel = described.features[0], described.kernels[0]
        x = blocks.stage(x, first, convolutions=1, kernel=kernel, stride=flat, name="lead_in", **style)
    skips = []
    for level, features in enumerate(described.features):
        x = encode(
            x,
            features,
            convolutions=described.convolutions[level],
            kernel=described.kernels[level],
            stride=described.strides[level],
            name=f"encoder_{level}",
            **style,
        )
        skips.append(x)
    logits = []
    for level in reversed(range(len(described.features) - 1)):
        x = blocks.enlargement(
            x, described.features[level], factor=described.strides[level + 1], name=f"decoder_{level}_up", **made
        )
        x = blocks.joined(x, skips[level], name=f"decoder_{level}_skip", dtype=dtype)
        x = blocks.stage(
            x,
            described.features[level],
            convolutions=described.decoder_convolutions[level],
            kernel=described.kernels[level],
            stride=flat,
            name=f"decoder_{level}",
            **style,
        )
        if level < described.network_shape.heads - described.stem:
            logits.append(blocks.head(x, outputs, enlarge=flat, name=f"head_{level}", **made))
    if described.stem:
        logits.append(blocks.head(x, outputs, enlarge=described.strides[0], name="head_full", **made))
    return keras.Model(image, logits[::-1], name=name)
