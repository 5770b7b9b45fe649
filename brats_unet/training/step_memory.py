"""Memory of a training step of a U-Net, estimated from its shapes with a formula fitted to measurements.

    bytes = program + 24 · parameters + batch · (feature maps · 7.4 or 9.3 + voxels read · 200)

Fitted to the memory of the whole process, measured with `commands.trial` on 2 EPYC cores with TensorFlow 2.21 and
oneDNN (`tests/training/test_step_memory.py` compares the formula with these measurements). Memory grows by

- 7.4 bytes per number in the feature maps in bfloat16, 9.3 in float32 (normalisation computes in float32 in both);
- 200 bytes per voxel read (image and labels in the steps of augmentation), for four modalities;
- 24 bytes (six float32) per weight: the weight, its gradient, its momentum, and copies in other layouts.

GPUs were not measured; there, a trial step gives the reliable number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

PROGRAM_BYTES = 780 * 2**20  # Python and TensorFlow; when a GPU computes, they are in the memory of the machine
BYTES_PER_FEATURE = {"float32": 9.3, "bfloat16": 7.4, "float16": 7.4}
BYTES_PER_VOXEL = 200
BYTES_PER_WEIGHT = 24


@dataclass(frozen=True)
class Topology:
    """Shape of a U-Net: one entry per stage, the finest stage first.

    Attributes:
        strides: Stride from the previous stage along x, y, z.
        features: Number of channels.
        convolutions: Number of convolutions in the encoder stage.
        decoder_convolutions: Number of convolutions in the decoder stage; one entry fewer than `convolutions`.
        sums: Number of residual sums in the encoder stage; empty for a network without residual blocks.
    """

    strides: tuple[tuple[int, int, int], ...]
    features: tuple[int, ...]
    convolutions: tuple[int, ...]
    decoder_convolutions: tuple[int, ...]
    sums: tuple[int, ...] = ()


def feature_numbers(topology: Topology, patch: Sequence[int]) -> int:
    """Count of numbers in all feature maps of one patch: convolutions, upsampling, and concatenation at the skips."""
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
    """Approximate number of weights in the 3×3×3 convolutions and the 2×2×2 upsampling (3×3 and 2×2 for slices)."""
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
    """Estimated memory of a training step, in bytes.

    Args:
        topology: Shape of the network.
        patch: Patch size along x, y, z, in voxels.
        batch: Patches that one device computes at once.
        channels: Number of channels of the image.
        precision: "float32", "bfloat16" or "float16".
        margin: Extra voxels read on each side of the patch along x, y, z.
        program: Whether to add the memory of Python and TensorFlow; True if the CPU computes.
    """
    read = prod(p + 2 * m for p, m in zip(patch, margin, strict=True))
    sample = feature_numbers(topology, patch) * BYTES_PER_FEATURE[precision] + read * BYTES_PER_VOXEL * channels / 4
    return round((PROGRAM_BYTES if program else 0) + BYTES_PER_WEIGHT * weights(topology, channels) + batch * sample)
