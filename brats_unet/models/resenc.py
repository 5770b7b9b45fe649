"""nnU-Net's residual encoder: a U-Net whose encoder is a deep ResNet and whose decoder is shallow.

`encoder_decoder.assemble` builds it and names its layers; those of a residual block are `encoder_1_block_0_conv_0`, …,
`encoder_1_block_0_skip_pool`, `encoder_1_block_0_skip_conv`, `encoder_1_block_0_add`. It has exactly as many weights as
the original.

Source:
    Isensee et al. 2024, arXiv:2404.09556; MIC-DKFZ/dynamic-network-architectures, `ResidualEncoderUNet`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from brats_unet.errors import SettingsError
from brats_unet.models.design import Design, Sizes, design, small
from brats_unet.models.network_shape import NetworkShape, with_shape
from brats_unet.parts import contract_options

if TYPE_CHECKING:
    import keras


def _design(*, rank: int, blocks: int | Sequence[int], **options: Any) -> Design:
    if rank not in (2, 3):
        raise SettingsError(f"model.rank is {rank}. Expected 3 for volumes, or 2 for axial slices.")
    return design(rank, convolutions=blocks, counted="blocks", **options)


def _network_shape(**options: Any) -> NetworkShape:
    return _design(**options).network_shape


@contract_options(
    *small(blocks=[1, 2, 1]),
    {"features": [4, 6, 8], "blocks": [1, 2, 1], "rank": 2},
    {"features": [4, 6, 8], "blocks": [1, 2, 1], "strides": [2, 2, [2, 2, 1]], "decoder_convolutions": [2, 1]},
)
@with_shape(_network_shape)
def resenc_unet(
    *,
    channels: int,
    outputs: int,
    dtype: Any = "float32",
    seed: int = 0,
    rank: int = 3,
    features: Sequence[int] = (32, 64, 128, 256, 320, 320),
    blocks: int | Sequence[int] = (1, 3, 4, 6, 6, 6),
    decoder_convolutions: int | Sequence[int] = 1,
    kernels: Sizes = None,
    strides: Sizes = None,
    deep_supervision: bool | int = True,
    norm: str = "instance",
    groups: int = 8,
    slope: float = 0.01,
    foreground_channel: bool = False,
) -> "keras.Model":
    """A residual-encoder U-Net on patches or whole volumes, or on axial slices.

    Args:
        rank: 3 for volumes, 2 for slices.
        blocks: Residual blocks of two convolutions, per encoder stage.

    For the other arguments, the return value and the errors see `unet.unet3d`.
    """
    from brats_unet.models.blocks import residual_stage
    from brats_unet.models.encoder_decoder import assemble

    described = _design(
        rank=rank,
        features=features,
        blocks=blocks,
        decoder_convolutions=decoder_convolutions,
        kernels=kernels,
        strides=strides,
        deep_supervision=deep_supervision,
        norm=norm,
        groups=groups,
        slope=slope,
        foreground_channel=foreground_channel,
    )
    given = {"channels": channels, "outputs": outputs, "dtype": dtype, "seed": seed}
    return assemble(described, "resenc_unet", encode=residual_stage, lead_in=True, **given)
