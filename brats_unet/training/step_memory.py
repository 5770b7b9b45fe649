"""How much memory a training step of a U-Net takes, from its shapes alone: a formula fitted to measured steps.

    bytes = program + 24 · parameters + batch · (feature maps · 7.4 or 9.3 + voxels read · 200)

Measured with `commands.trial` on 2 EPYC cores, TensorFlow 2.21 with oneDNN, in MiB held by the whole process
(`tests/training/test_memory.py` holds the formula against them): what a step holds grows by 7.4 bytes for each number
in its feature maps in bfloat16 and 9.3 in float32 (normalisation computes in float32 in both), by 200 bytes for each
voxel read (image and labels in the steps of augmentation), and by 24 bytes, six float32, for each weight (itself, its
gradient and momentum, and copies in other layouts). GPUs were not measured: a probe has the last word there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

PROGRAM_BYTES = 780 * 2**20  # Python and TensorFlow themselves; on a GPU they lie in the machine's memory instead
BYTES_PER_FEATURE = {"float32": 9.3, "bfloat16": 7.4, "float16": 7.4}
BYTES_PER_VOXEL = 200
BYTES_PER_WEIGHT = 24


@dataclass(frozen=True)
class Topology:
    """A U-Net's shape: one entry a stage, the finest first.

    Attributes:
        strides: From the stage before, along x, y, z.
        features: Channels.
        convolutions: Of an encoder's stage.
        decoder_convolutions: Of the decoder's, one fewer.
        sums: Of residual blocks in an encoder's stage.
    """

    strides: tuple[tuple[int, int, int], ...]
    features: tuple[int, ...]
    convolutions: tuple[int, ...]
    decoder_convolutions: tuple[int, ...]
    sums: tuple[int, ...] = ()


def feature_numbers(topology: Topology, patch: Sequence[int]) -> int:
    """Numbers in all feature maps for one patch: convolutions, enlargements, and what is joined at the skips."""
    edges = list(patch)
    total = 0
    for level, (stride, features) in enumerate(zip(topology.strides, topology.features, strict=True)):
        edges = [-(-edge // step) for edge, step in zip(edges, stride, strict=True)]
        maps = topology.convolutions[level] + (topology.sums[level] if topology.sums else 0)
        if level < len(topology.decoder_convolutions):
            maps += topology.decoder_convolutions[level] + 3
        total += prod(edges) * features * maps
    return total


def weights(topology: Topology, channels: int) -> int:
    """Weights of its 3×3×3 convolutions and 2×2×2 enlargements, about."""
    total, before = 0, channels
    flat = all(stride[2] == 1 for stride in topology.strides)
    kernel, block = (9, 4) if flat else (27, 8)
    for level, features in enumerate(topology.features):
        total += kernel * features * (before + features * (topology.convolutions[level] - 1))
        if level:
            above = topology.features[level - 1]
            convolutions = topology.decoder_convolutions[level - 1]
            total += block * features * above + kernel * above * above * (convolutions + 1)
        before = features
    return total


def step_bytes(
    topology: Topology,
    patch: Sequence[int],
    batch: int,
    *,
    channels: int,
    precision: str,
    margin: Sequence[int] = (0, 0, 0),
    program: bool = True,
) -> int:
    """Memory that a training step holds.

    Args:
        topology: Of the network.
        patch: Voxels along x, y, z.
        batch: Patches that one device computes at once.
        channels: Of the image.
        precision: "float32", "bfloat16" or "float16".
        margin: By which a patch is read wider on each side.
        program: Whether Python and TensorFlow count, as they do where the CPU computes.
    """
    read = prod(p + 2 * m for p, m in zip(patch, margin, strict=True))
    sample = feature_numbers(topology, patch) * BYTES_PER_FEATURE[precision] + read * BYTES_PER_VOXEL * channels / 4
    return round((PROGRAM_BYTES if program else 0) + BYTES_PER_WEIGHT * weights(topology, channels) + batch * sample)
