"""A U-Net put together from its design: what all networks here have in common; they differ in an encoder's stage.

Encoder stages that shrink by a strided convolution, decoder stages of (convolution, normalisation, leaky ReLU) that
grow by a transposed one, skip connections, and heads of logits at the finest resolutions of the decoder.

Layers are named by resolution, 0 the finest: `encoder_0_conv_0`, `encoder_0_norm_0`, `encoder_0_act_0`, `decoder_0_up`,
`decoder_0_skip`, `decoder_0_conv_0`, …, `head_0`, `head_0_logits`. Checkpoints are keyed by these names.
"""

from collections.abc import Callable
from typing import Any

import keras

from brats_unet.models import blocks
from brats_unet.models.design import Design

Tensor = Any  # of whatever backend Keras runs on
Stage = Callable[..., Tensor]  # as `blocks.stage`


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
        described: What it is like; complete and checked.
        name: Of the model.
        channels: Of the image.
        outputs: Logits a voxel.
        dtype: Precision of the layers but the last.
        seed: Of the first weights.
        encode: An encoder's stage; the decoder's are `blocks.stage`.
        lead_in: One convolution, normalisation and activation at full resolution before the first stage.

    Returns:
        From images to a list of logits, as many as `described.plan.heads`, full resolution first.
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
        x = blocks.with_foreground(x, name="image_foreground", dtype=dtype)
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
