"""NVIDIA's U-Net of BraTS 2021: seven wide levels, with the foreground as an extra channel.

It differs from `unet3d` in its sizes, in convolutions without bias, in two coarser heads that are both trained, and in
a fifth channel that is 1 where any modality is not 0. NVIDIA stores that channel with the data; here the network
computes it from the image, so data, augmentation and prediction do not need to know it.

Source:
    Futrega et al. 2021, arXiv:2110.03352; NVIDIA/DeepLearningExamples, PyTorch/Segmentation/nnUNet, BraTS21.ipynb;
    the network is MONAI's `DynUNet`; both have the same number of weights.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from brats_unet.models.design import Design, design, small
from brats_unet.models.network_shape import NetworkShape, with_shape
from brats_unet.parts import contract_options

if TYPE_CHECKING:
    import keras


def _design(**options: Any) -> Design:
    return design(
        3, convolutions=2, decoder_convolutions=None, kernels=None, strides=None, slope=0.01, bias=False, **options
    )


def _network_shape(**options: Any) -> NetworkShape:
    return _design(**options).network_shape


@contract_options(*small(deep_supervision=1))
@with_shape(_network_shape)
def nvidia_unet(
    *,
    channels: int,
    outputs: int,
    dtype: Any = "float32",
    seed: int = 0,
    features: Sequence[int] = (64, 96, 128, 192, 256, 384, 512),
    deep_supervision: bool | int = 2,
    norm: str = "instance",
    groups: int = 8,
    foreground_channel: bool = True,
) -> "keras.Model":
    """NVIDIA's U-Net of 2021 on patches or whole volumes. Arguments and return value: see `unet.unet3d`."""
    from brats_unet.models.encoder_decoder import assemble

    described = _design(
        features=features,
        deep_supervision=deep_supervision,
        norm=norm,
        groups=groups,
        foreground_channel=foreground_channel,
    )
    return assemble(described, "nvidia_unet", channels=channels, outputs=outputs, dtype=dtype, seed=seed)
