"""Boxes of voxels: crop, pad, their exact inverses, and tile positions; integers only."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Box:
    """A half-open interval of voxels along each axis: start[i] <= voxel < stop[i]."""

    start: tuple[int, ...]
    stop: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.start) != len(self.stop) or any(a > b for a, b in zip(self.start, self.stop, strict=True)):
            raise ValueError(f"A box needs start <= stop on every axis, not {self.start} and {self.stop}.")

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))


def bounding_box(mask: np.ndarray) -> Box:
    """Smallest box that holds every True voxel of a bool array of any rank.

    Raises:
        ValueError: No voxel is True.
    """
    starts, stops = [], []
    for axis in range(mask.ndim):
        line = mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis))
        hits = np.flatnonzero(line)
        if hits.size == 0:
            raise ValueError("An empty mask has no bounding box.")
        starts.append(int(hits[0]))
        stops.append(int(hits[-1]) + 1)
    return Box(tuple(starts), tuple(stops))


def crop(array: np.ndarray, box: Box) -> np.ndarray:
    """View of `array` inside `box`; further axes are kept whole."""
    return array[box.slices]


def uncrop(array: np.ndarray, box: Box, shape: tuple[int, ...], fill: float = 0) -> np.ndarray:
    """The inverse of `crop`: an array of `shape` (plus further axes) with `array` in `box` and `fill` elsewhere."""
    rank = len(box.start)
    whole = np.full(shape + array.shape[rank:], fill, array.dtype)
    whole[box.slices] = array
    return whole


def pad_to(shape: tuple[int, ...], multiple: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Voxels to add before and after each axis, centred, so that its length becomes a multiple of `multiple`."""
    missing = [-n % m for n, m in zip(shape, multiple, strict=True)]
    return tuple((m // 2, m - m // 2) for m in missing)


def pad_at_least(shape: tuple[int, ...], least: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Voxels to add before and after each axis, centred, so that its length is at least `least`; 0 if it is already."""
    missing = [max(0, m - n) for n, m in zip(shape, least, strict=True)]
    return tuple((m // 2, m - m // 2) for m in missing)


def unpad(array: np.ndarray, padding: tuple[tuple[int, int], ...]) -> np.ndarray:
    """The inverse of `np.pad(array, padding)`; further axes are kept whole."""
    return array[tuple(slice(before, n - after) for (before, after), n in zip(padding, array.shape, strict=False))]


def tile_starts(length: int, tile: int, overlap: float) -> list[int]:
    """First voxels of tiles that cover one axis, evenly spaced.

    Args:
        length: Voxels to cover, at least `tile`.
        tile: Voxels per tile.
        overlap: Least share of a tile that neighbouring tiles share, 0 <= overlap < 1. Tiles start at least one voxel
            apart, so an overlap above (tile - 1) / tile is reduced to that.

    Returns:
        Increasing starts; the first is 0 and the last is length - tile.

    Raises:
        ValueError: The tile is longer than the axis, or `overlap` is out of range.
    """
    if length < tile:
        raise ValueError(f"A tile of {tile} voxels does not fit into an axis of {length}.")
    if not 0 <= overlap < 1:
        raise ValueError(f"Overlap must be at least 0 and below 1, not {overlap}.")
    stride = max(1, int(tile * (1 - overlap)))
    count = -(-(length - tile) // stride) + 1
    return [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]


def faces(volume: np.ndarray) -> list[np.ndarray]:
    """The six outer faces of a volume (X, Y, Z); the voxels of an edge are in two of them."""
    return [volume[0], volume[-1], volume[:, 0], volume[:, -1], volume[:, :, 0], volume[:, :, -1]]
