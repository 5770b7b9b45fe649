"""The U-Net after nnU-Net's plan, for volumes and for axial slices, from one description.

Put together by `assembly`, which names its layers. With equal features it has the weights of nnU-Net's
`PlainConvUNet`, to the last one.

Keras is imported on building only: a misspelt option is refused in milliseconds.

Source:
    Isensee et al. 2021, doi:10.1038/s41592-020-01008-z; MIC-DKFZ/dynamic-network-architectures, `PlainConvUNet`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from brats_unet.models.design import Design, Sizes, design
from brats_unet.models.network_shape import NetworkShape, with_shape

if TYPE_CHECKING:
    import keras


def _build(described: Design, name: str, **given: Any) -> "keras.Model":
    from brats_unet.models.encoder_decoder import assemble

    return assemble(described, name, **given)


def _shape2d(**options: Any) -> NetworkShape:
    return design(2, **options).network_shape


def _shape3d(**options: Any) -> NetworkShape:
    return design(3, **options).network_shape


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
        channels: Modalities of the image; given by the program.
        outputs: Regions or classes to predict; given by the program.
        dtype: Precision of every layer, a name or a `keras.DTypePolicy` ("mixed_bfloat16"); weights and logits stay
            float32. Given by the program, and never set globally.
        seed: Of the first weights, which depend on it and on each layer's name alone; given by the program.
        features: Per stage, the finest first.
        convolutions: Per encoder stage, and per decoder stage unless `decoder_convolutions` says otherwise.
        decoder_convolutions: Per decoder stage, the finest first.
        kernels: Per stage, an edge in voxels or one per axis; 3 everywhere if None.
        strides: Per stage, from the stage before to this one; 1 and then 2 if None. A first entry above 1 makes a stem:
            the network works on the coarser grid and its last head enlarges the logits to the patch.
        deep_supervision: Logits at every resolution of the decoder, the coarsest of them not trained, as nnU-Net does;
            a number: at so many of the coarser ones, all trained; false: at full resolution only.
        norm: "instance", "group", "batch" or "none".
        groups: Groups of features of norm "group".
        slope: Of the leaky ReLU below 0; 0 makes it a ReLU.
        foreground_channel: Show the network one channel more: 1 where any channel of the image is not 0 (inside a
            stripped skull), else 0.

    Returns:
        A model from float images (B, X, Y, Z, M), each edge a multiple of the plan's stride, to a list of float32
        logits (B, X, Y, Z, outputs), full resolution first. Keras hands over a list of one as its bare tensor.

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
    """The same on axial slices: images (B, X, Y, M) to logits (B, X, Y, outputs), as `unet3d` to its."""
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
