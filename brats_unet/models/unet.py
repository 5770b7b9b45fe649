"""The U-Net after nnU-Net's plan, for volumes and for axial slices, from one description.

Encoder stages of (convolution, normalisation, leaky ReLU) that shrink by a strided convolution, decoder stages that
grow by a transposed one, skip connections, and a head of logits at every resolution of the decoder (deep supervision).
With equal features it has the weights of nnU-Net's `PlainConvUNet`, to the last one.

Layers are named by resolution, 0 the finest: `encoder_0_conv_0`, `encoder_0_norm_0`, `encoder_0_act_0`, `decoder_0_up`,
`decoder_0_skip`, `decoder_0_conv_0`, …, `head_0`, `head_0_logits`. Checkpoints are keyed by these names.

Keras is imported on building only: a misspelt option is refused in milliseconds.

Source:
    Isensee et al. 2021, doi:10.1038/s41592-020-01008-z; MIC-DKFZ/dynamic-network-architectures, `PlainConvUNet`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from brats_unet.errors import SettingsError
from brats_unet.models.plan import Plan, planned_by
from brats_unet.parts import suggestion

if TYPE_CHECKING:
    import keras

NORMS = ("instance", "group", "batch", "none")
Sizes = Sequence[int | Sequence[int]] | None


@dataclass(frozen=True)
class Design:
    """A U-Net's description, checked and complete: one entry per stage, one size per axis."""

    rank: int
    features: tuple[int, ...]
    convolutions: tuple[int, ...]
    decoder_convolutions: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    deep_supervision: bool
    norm: str
    groups: int
    slope: float

    @property
    def stem(self) -> bool:
        """Whether the first stage already shrinks the patch; one more enlargement then leads back to its resolution."""
        return max(self.strides[0]) > 1

    @property
    def plan(self) -> Plan:
        heads = len(self.features) - 1 + self.stem if self.deep_supervision else 1
        return Plan(self.rank, tuple((s[0], s[1], s[2] if self.rank == 3 else 1) for s in self.strides), heads)


def _counts(option: str, value: int | Sequence[int], stages: int) -> tuple[int, ...]:
    counts = (value,) * stages if isinstance(value, int) else tuple(value)
    if len(counts) != stages or any(not isinstance(count, int) or count < 1 for count in counts):
        raise SettingsError(f"model.{option} is {value}. Expected a whole number above 0, or {stages} of them.")
    return counts


def _sizes(option: str, value: Sequence[int | Sequence[int]], stages: int, rank: int) -> tuple[tuple[int, ...], ...]:
    sizes = tuple((size,) * rank if isinstance(size, int) else tuple(size) for size in value)
    whole = all(len(size) == rank and all(isinstance(edge, int) and edge > 0 for edge in size) for size in sizes)
    if len(sizes) != stages or not whole:
        raise SettingsError(
            f"model.{option} is {value}. Expected {stages} entries, one per stage of model.features, "
            f"each a whole number above 0 or a list of {rank}."
        )
    return sizes


def design(
    rank: int,
    *,
    features: Sequence[int],
    convolutions: int | Sequence[int],
    decoder_convolutions: int | Sequence[int] | None,
    kernels: Sizes,
    strides: Sizes,
    deep_supervision: bool,
    norm: str,
    groups: int,
    slope: float,
) -> Design:
    """Complete and check the options of `unet2d` (rank 2) and `unet3d` (rank 3); pure Python.

    Raises:
        SettingsError: An option does not fit the others; the message names it.
    """
    stages = len(features)
    if stages < 2:
        raise SettingsError(f"model.features is {list(features)}. Expected two stages or more, such as [16,32,64].")
    per_stage = _counts("convolutions", convolutions, stages)
    if norm not in NORMS:
        raise SettingsError(f"model.norm is {norm}. {suggestion(str(norm), NORMS)}")
    if norm == "group" and any(count % groups for count in features):
        raise SettingsError(
            f"model.groups is {groups} and model.features {list(features)}. Every number of features must be a "
            f"multiple of model.groups."
        )
    if not 0 <= slope < 1:
        raise SettingsError(f"model.slope is {slope}. Expected at least 0 (ReLU) and less than 1.")
    return Design(
        rank=rank,
        features=_counts("features", features, stages),
        convolutions=per_stage,
        decoder_convolutions=(
            per_stage[:-1]
            if decoder_convolutions is None
            else _counts("decoder_convolutions", decoder_convolutions, stages - 1)
        ),
        kernels=_sizes("kernels", [3] * stages if kernels is None else kernels, stages, rank),
        strides=_sizes("strides", [1] + [2] * (stages - 1) if strides is None else strides, stages, rank),
        deep_supervision=deep_supervision,
        norm=norm,
        groups=groups,
        slope=slope,
    )


def _build(design: Design, name: str, *, channels: int, outputs: int, dtype: Any, seed: int) -> "keras.Model":
    import keras

    from brats_unet.models import blocks

    made = {"dtype": dtype, "seed": seed}
    style = {"norm": design.norm, "groups": design.groups, "slope": design.slope, **made}
    flat = (1,) * design.rank
    image = x = keras.Input((None,) * design.rank + (channels,), name="image")
    skips = []
    for level, features in enumerate(design.features):
        x = blocks.stage(
            x,
            features,
            convolutions=design.convolutions[level],
            kernel=design.kernels[level],
            stride=design.strides[level],
            name=f"encoder_{level}",
            **style,
        )
        skips.append(x)
    logits = []
    for level in reversed(range(len(design.features) - 1)):
        x = blocks.enlargement(
            x, design.features[level], factor=design.strides[level + 1], name=f"decoder_{level}_up", **made
        )
        x = blocks.joined(x, skips[level], name=f"decoder_{level}_skip", dtype=dtype)
        x = blocks.stage(
            x,
            design.features[level],
            convolutions=design.decoder_convolutions[level],
            kernel=design.kernels[level],
            stride=flat,
            name=f"decoder_{level}",
            **style,
        )
        if design.deep_supervision or (level == 0 and not design.stem):
            logits.append(blocks.head(x, outputs, enlarge=flat, name=f"head_{level}", **made))
    if design.stem:
        logits.append(blocks.head(x, outputs, enlarge=design.strides[0], name="head_full", **made))
    return keras.Model(image, logits[::-1], name=name)


def _plan2d(**options: Any) -> Plan:
    return design(2, **options).plan


def _plan3d(**options: Any) -> Plan:
    return design(3, **options).plan


@planned_by(_plan3d)
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
    deep_supervision: bool = True,
    norm: str = "instance",
    groups: int = 8,
    slope: float = 0.01,
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
        deep_supervision: Logits at every resolution of the decoder, or at full resolution only.
        norm: "instance", "group", "batch" or "none".
        groups: Groups of features of norm "group".
        slope: Of the leaky ReLU below 0; 0 makes it a ReLU.

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
    )
    return _build(description, "unet3d", channels=channels, outputs=outputs, dtype=dtype, seed=seed)


@planned_by(_plan2d)
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
    deep_supervision: bool = True,
    norm: str = "instance",
    groups: int = 8,
    slope: float = 0.01,
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
    )
    return _build(description, "unet2d", channels=channels, outputs=outputs, dtype=dtype, seed=seed)
