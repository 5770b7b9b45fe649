"""A U-Net's options, completed and checked against one another before anything is built; pure Python."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from brats_unet.errors import SettingsError
from brats_unet.models.network_shape import NetworkShape
from brats_unet.spelling import suggestion

NORMS = ("instance", "group", "batch", "none")
MOST_CONVOLUTIONS, MOST_FEATURES = 100, 100_000  # of a stage: more is a typing error
Sizes = Sequence[int | Sequence[int]] | None
# Options of the U-Nets here that their contract tests cover, each beside those that make the network small.
STYLES: tuple[dict[str, Any], ...] = (
    {},
    {"norm": "batch"},
    {"norm": "group", "groups": 2},
    {"norm": "none"},
    {"deep_supervision": False},
    {"deep_supervision": 1, "foreground_channel": True},
)


def small(**options: Any) -> tuple[dict[str, Any], ...]:
    """The contract options of a U-Net of three narrow stages: `options` in each of `STYLES`."""
    return tuple({"features": [4, 6, 8], **options, **style} for style in STYLES)


@dataclass(frozen=True)
class Design:
    """A complete and checked description of a U-Net: one entry per stage, one size per axis."""

    rank: int
    features: tuple[int, ...]
    convolutions: tuple[int, ...]
    decoder_convolutions: tuple[int, ...]
    kernels: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    deep_supervision: bool | int
    norm: str
    groups: int
    slope: float
    bias: bool
    foreground_channel: bool

    @property
    def stem(self) -> bool:
        """Whether the first stage already downsamples; one more upsampling then leads back to full resolution."""
        return max(self.strides[0]) > 1

    @property
    def network_shape(self) -> NetworkShape:
        some = self.deep_supervision is not True
        heads = 1 + self.deep_supervision if some else len(self.features) - 1 + self.stem
        strides = tuple((s[0], s[1], s[2] if self.rank == 3 else 1) for s in self.strides)
        return NetworkShape(self.rank, strides, heads, lowest_head=some)


def _counts(option: str, value: int | Sequence[int], stages: int, most: int) -> tuple[int, ...]:
    counts = (value,) * stages if isinstance(value, int) else tuple(value)
    if len(counts) != stages or any(not isinstance(count, int) or not 1 <= count <= most for count in counts):
        raise SettingsError(
            f"model.{option} is {value}. Expected a whole number from 1 to {most}, or {stages} of them."
        )
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
    deep_supervision: bool | int,
    norm: str,
    groups: int,
    slope: float,
    bias: bool = True,
    foreground_channel: bool = False,
    counted: str = "convolutions",
) -> Design:
    """Complete and check the options of a U-Net on slices (rank 2) or volumes (rank 3); pure Python.

    Args: those of `unet.unet3d`, and
        bias: Whether convolutions before a normalisation have a bias.
        counted: Name of the network's option that gives `convolutions`, for messages.

    Raises:
        SettingsError: An option does not fit the others; the message names it.
    """
    stages = len(features)
    if stages < 2:
        raise SettingsError(f"model.features is {list(features)}. Expected two stages or more, such as [16,32,64].")
    per_stage = _counts(counted, convolutions, stages, MOST_CONVOLUTIONS)
    if norm not in NORMS:
        raise SettingsError(f"model.norm is {norm}. {suggestion(str(norm), NORMS)}")
    if groups < 1:
        raise SettingsError(f"model.groups is {groups}. Expected 1 or more.")
    if norm == "group" and any(count % groups for count in features):
        raise SettingsError(
            f"model.groups is {groups} and model.features {list(features)}. Every number of features must be a "
            f"multiple of model.groups."
        )
    if not 0 <= slope < 1:
        raise SettingsError(f"model.slope is {slope}. Expected at least 0 (ReLU) and less than 1.")
    described = Design(
        rank=rank,
        features=_counts("features", features, stages, MOST_FEATURES),
        convolutions=per_stage,
        decoder_convolutions=(
            per_stage[:-1]
            if decoder_convolutions is None
            else _counts("decoder_convolutions", decoder_convolutions, stages - 1, MOST_CONVOLUTIONS)
        ),
        kernels=_sizes("kernels", [3] * stages if kernels is None else kernels, stages, rank),
        strides=_sizes("strides", [1] + [2] * (stages - 1) if strides is None else strides, stages, rank),
        deep_supervision=deep_supervision,
        norm=norm,
        groups=groups,
        slope=slope,
        bias=bias,
        foreground_channel=foreground_channel,
    )
    most = stages - 2 + described.stem
    switch = isinstance(deep_supervision, bool)
    if not switch and not (isinstance(deep_supervision, int) and 0 <= deep_supervision <= most):
        raise SettingsError(
            f"model.deep_supervision is {deep_supervision}. Expected true (all levels of the decoder), false, or how "
            f"many of its coarser levels have a head: {most} at most."
        )
    return described
