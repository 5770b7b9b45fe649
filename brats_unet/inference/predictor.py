"""Predict region probabilities of a prepared volume, in one pass or from overlapping tiles."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from brats_unet.errors import MachineError, SettingsError
from brats_unet.geometry import Box, crop, pad_at_least, pad_to, tile_starts, unpad
from brats_unet.inference.tta import axes_of

# Patches (B, X, Y, Z, M) to region probabilities (B, X, Y, Z, R), float32; a network, or a lambda in a test. It raises
# MemoryFull if the patches do not fit the memory of the device.
Forward = Callable[[np.ndarray], np.ndarray]
# (image (X, Y, Z, M), boxes of its tiles, weight of each voxel of a tile (x, y, z), tiles per batch) to the sum over
# all tiles of weight times region probabilities, each at the place of its tile, float32 (X, Y, Z, R).
SumOfTiles = Callable[[np.ndarray, Sequence[Box], np.ndarray, int], np.ndarray]
MODES = ("whole", "tiles")
SLICES_AT_ONCE = 16  # batch size of a 2-D network, to limit memory


class MemoryFull(MachineError):  # noqa: N818  (not a programming error, so no "Error" in the name)
    """Patches of this shape do not fit the memory of the device; smaller ones may fit."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__(
            f"Not enough memory for a batch of {shape[0]} patches of {'×'.join(map(str, shape[1:-1]))} voxels. Use "
            f"mode=tiles with smaller or fewer tiles (inference.tile, inference.tile_batch of the run), or device=cpu."
        )


def in_slices(forward: Forward, patches: np.ndarray) -> np.ndarray:
    """Region probabilities (B, X, Y, Z, R), float32, of patches (B, X, Y, Z, M), by a network of axial slices.

    Args:
        forward: Slices (B, X, Y, M) to region probabilities (B, X, Y, R).
        patches: Shape (B, X, Y, Z, M).
    """
    batch, x, y, z, channels = patches.shape
    slices = np.moveaxis(patches, 3, 1).reshape(batch * z, x, y, channels)
    parts = [forward(slices[i : i + SLICES_AT_ONCE]) for i in range(0, len(slices), SLICES_AT_ONCE)]
    return np.moveaxis(np.concatenate(parts).reshape(batch, z, x, y, -1), 1, 3)


def refuse_invalid_inference(
    *,
    mode: str,
    stride: Sequence[int],
    tile: Sequence[int],
    overlap: float,
    tile_batch: int = 1,
    mirror: Any = "none",
) -> None:
    """Refuse settings that no volume can be predicted with, before any volume is read.

    Args:
        mode: "whole" (one pass over the volume) or "tiles" (Gaussian-weighted overlapping tiles).
        stride: Total stride of the network along x, y, z; tile lengths must be multiples of it.
        tile: Voxels of a tile along x, y, z.
        overlap: Smallest share of a tile's length that neighbouring tiles have in common.
        tile_batch: Tiles that go through the network together.
        mirror: "none", "all" or a list of axes; see `tta.axes_of`.

    Raises:
        SettingsError: An unknown mode, a tile that is not three multiples of the stride, an overlap outside [0, 1),
            fewer than one tile per batch, or an unknown axis to mirror.
    """
    if mode not in MODES:
        raise SettingsError(f"inference.mode={mode} is none of the choices: {', '.join(MODES)}.")
    if len(tile) != 3 or any(t < 1 or t % s for t, s in zip(tile, stride, strict=True)):
        raise SettingsError(
            f"inference.tile={list(tile)}: expected three lengths that are multiples of {list(stride)}, "
            f"the total stride of the network."
        )
    if tile_batch < 1:
        raise SettingsError(f"inference.tile_batch={tile_batch}: expected 1 tile or more per batch.")
    axes_of(mirror)
    if not 0 <= overlap < 1:
        raise SettingsError(f"inference.overlap={overlap}: expected a share of the tile length, from 0 to below 1.")


def whole(forward: Forward, image: np.ndarray, stride: Sequence[int]) -> np.ndarray:
    """Region probabilities of a prepared volume in one pass, float32, shape (X, Y, Z, R), from 0 to 1.

    Args:
        forward: Patches to region probabilities.
        image: Prepared scans, shape (X, Y, Z, M).
        stride: Lengths along x, y, z whose multiples the network takes. The volume is padded with zeros to the next
            multiple and no further, because more zeros would change what instance norm sees.
    """
    padding = pad_to(image.shape[:3], tuple(stride))
    padded = np.pad(image, (*padding, (0, 0)))
    return unpad(forward(padded[None])[0], padding)


def tiled(
    forward: Forward,
    image: np.ndarray,
    stride: Sequence[int],
    tile: Sequence[int],
    overlap: float,
    tile_batch: int = 1,
    sum_of_tiles: SumOfTiles | None = None,
) -> np.ndarray:
    """Region probabilities of a prepared volume as the weighted mean over overlapping tiles.

    Besides the result, memory holds one batch of tiles and the sum of the weights.

    Args:
        forward: Patches to region probabilities.
        image: Prepared scans, shape (X, Y, Z, M).
        stride: Lengths along x, y, z whose multiples the network takes.
        tile: Voxels of a tile along x, y, z; shorter axes of the volume are padded with zeros.
        overlap: Smallest share of a tile's length that neighbouring tiles have in common, in [0, 1).
        tile_batch: Tiles that go through the network together.
        sum_of_tiles: The same network, adding up the tiles in the memory it computes in; None adds them up on the host.

    Returns:
        float32, shape (X, Y, Z, R), from 0 to 1.

    Raises:
        SettingsError: See `refuse_invalid_inference`.
    """
    refuse_invalid_inference(mode="tiles", stride=stride, tile=tile, overlap=overlap, tile_batch=tile_batch)
    padding = pad_at_least(image.shape[:3], tuple(tile))
    padded = np.pad(image, (*padding, (0, 0)))
    weight = gaussian_weights(tile)
    shape = padded.shape[:3]
    starts = product(*(tile_starts(n, t, overlap) for n, t in zip(shape, tile, strict=True)))
    boxes = [Box(start, tuple(a + t for a, t in zip(start, tile, strict=True))) for start in starts]
    add_up = sum_of_tiles or partial(_sum_of_tiles, forward)
    weighted = add_up(padded, boxes, weight, tile_batch)
    total = np.zeros(shape, np.float32)
    for box in boxes:
        crop(total, box)[...] += weight
    weighted /= total[..., None]
    return unpad(weighted, padding)


def _sum_of_tiles(
    forward: Forward, image: np.ndarray, boxes: Sequence[Box], weight: np.ndarray, at_once: int
) -> np.ndarray:
    """Add up weighted tiles on the host; a `SumOfTiles` once `forward` is given."""
    weighted: np.ndarray | None = None
    for first in range(0, len(boxes), at_once):
        together = boxes[first : first + at_once]
        for box, probabilities in zip(together, forward(np.stack([crop(image, b) for b in together])), strict=True):
            if weighted is None:
                weighted = np.zeros((*image.shape[:3], probabilities.shape[-1]), np.float32)
            crop(weighted, box)[...] += weight[..., None] * probabilities
    assert weighted is not None
    return weighted


def gaussian_weights(tile: Sequence[int]) -> np.ndarray:
    """Weight of each voxel of a tile: a Gaussian with sigma = length / 8, largest value 1, never 0; float32 (x, y, z).

    Source:
        nnU-Net's compute_gaussian (sigma_scale 1/8, zeros replaced by the smallest other weight).
    """
    weight = np.ones((), np.float32)
    for length in tile:
        distance = (np.arange(length) - (length - 1) / 2) / (length / 8)
        weight = weight[..., None] * np.exp(-0.5 * distance**2).astype(np.float32)
    weight = weight / weight.max()
    return np.maximum(weight, 1e-6).astype(np.float32)
