"""The U-Net after nnU-Net's plan, for volumes and for axial slices, from one description.

`encoder_decoder.assemble` builds it and names its layers. With the same features it has exactly as many weights as
nnU-Net's `PlainConvUNet`.

Keras is imported only when a network is built: a misspelt option is refused in milliseconds.

Source:
    Isensee et al. 2021, doi:10.1038/s41592-020-01008-z; MIC-DKFZ/dynamic-network-architectures, `PlainConvUNet`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from brats_unet.models.design import Design, Sizes, design, small
from brats_unet.models.network_shape import NetworkShape, with_shape
from brats_unet.parts import contract_options

if TYPE_CHECKING:
    import keras


def _build(described: Design, name: str, **given: Any) -> "keras.Model":
    from brats_unet.models.encoder_decoder import assemble

    return assemble(described, name, **given)


def _shape2d(**options: Any) -> NetworkShape:
    return design(2, **options).network_shape


def _shape3d(**options: Any) -> NetworkShape:
    return design(3, **options).network_shape


@contract_options(*small(convolutions=1))
@with_shape(_shape3d)
def unet3d(
    *,
    channels: int,
    outputs: int,
    dtype: Any = "float32",
    seed: int = 0,
    features: Sequence[int] = (32, 64, 128, 256, 320, 320),
    convolutions: int | Sequence[int] = 2,
    decoder_convolutions: int | Sequence[int] | None = None,
    kernels: Sizes = None,
    strides: Sizes = None,
    deep_supervision: bool | int = True,
    norm: str = "instance",
    groups: int = 8,
    slope: float = 0.01,
    foreground_channel: bool = False,
) -> "keras.Model":
    """A U-Net on patches or whole volumes.

    Args:
        channels: Number of image channels (modalities); passed by the program.
        outputs: Number of regions or classes to predict; passed by the program.
        dtype: Precision of every layer, a name or a `keras.DTypePolicy` ("mixed_bfloat16"); weights and logits stay
            float32. Passed by the program, and never set globally.
        seed: Seed of the initial weights, which depend only on it and on the layers' names; passed by the program.
        features: Number of features of each stage, finest first.
        convolutions: Number per encoder stage, and per decoder stage unless `decoder_convolutions` is given.
        decoder_convolutions: Number per decoder stage, finest first.
        kernels: Kernel size of each stage, one edge in voxels or one per axis; None is 3 everywhere.
        strides: Stride of each stage, relative to the stage before; None is 1 and then 2. A first entry above 1 makes
            a stem: the network works on the coarser grid, and its last head upsamples the logits to the patch.
        deep_supervision: true: logits at every resolution of the decoder, the coarsest of them not trained, as nnU-Net
            does; a number: logits at that many coarser resolutions too, all trained; false: at full resolution only.
        norm: "instance", "group", "batch" or "none".
        groups: Number of groups for norm "group".
        slope: Slope of the leaky ReLU below 0; 0 makes it a ReLU.
        foreground_channel: Add an input channel: 1 where any channel of the image is not 0 (inside the brain of
            skull-stripped scans), else 0.

    Returns:
        A model from float images (B, X, Y, Z, M), with edges that are multiples of the stride, to a list of float32
        logits (B, X, Y, Z, outputs), full resolution first. Keras returns a list of one as a bare tensor.

    Raises:
        SettingsError: An option does not fit the others.
    """
    description = design(
        3,
        features=features,
        convolutions=convolutions,
        decoder_convolutions=decoder_convolutions,
        kernels=kernels,
        strides=strides,
        deep_supervision=deep_supervision,
        norm=norm,
        groups=groups,
        slope=slope,
        foreground_channel=foreground_channel,
    )
    return _build(description, "unet3d", channels=channels, outputs=outputs, dtype=dtype, seed=seed)


@contract_options(*small(convolutions=1))
@with_shape(_shape2d)
def unet2d(
    *,
    channels: int,
    outputs: int,
    dtype: Any = "float32",
    seed: int = 0,
    features: Sequence[int] = (32, 64, 128, 256, 512),
    convolutions: int | Sequence[int] = 2,
    decoder_convolutions: int | Sequence[int] | None = None,
    kernels: Sizes = None,
    strides: Sizes = None,
    deep_supervision: bool | int = True,
    norm: str = "instance",
    groups: int = 8,
    slope: float = 0.01,
    foreground_channel: bool = False,
) -> "keras.Model":
    """A U-Net on axial slices: images (B, X, Y, M) to logits (B, X, Y, outputs); otherwise like `unet3d`."""
    description = design(
        2,
        features=features,
        convolutions=convolutions,
        decoder_convolutions=decoder_convolutions,
        kernels=kernels,
        strides=strides,
        deep_supervision=deep_supervision,
        norm=norm,
        groups=groups,
        slope=slope,
        foreground_channel=foreground_channel,
    )
    return _build(description, "unet2d", channels=channels, outputs=outputs, dtype=dtype, seed=seed)
