"""Masks with a channel for each region or label: four axes, 0 and 1; their channels packed into one integer a voxel."""

import numpy as np

MOST = 8  # channels
FIRST_CODE = 256  # integers of masks with channels begin here, those of other masks end below


def packed(array: np.ndarray) -> np.ndarray:
    """One integer a voxel, int16: 0 where all channels are 0, else 256 plus 2**i for each channel i that is 1.

    Args:
        array: Shape (C, X, Y, Z) or (X, Y, Z, C) with 2 to 8 channels, of 0 and 1.

    Returns:
        Shape (X, Y, Z).

    Raises:
        ValueError: It is not clear which axis holds the channels, or there are other numbers; the message says which.
    """
    axes = [axis for axis in (0, 3) if 2 <= array.shape[axis] <= MOST]
    if len(axes) != 1:
        raise ValueError(
            f"a mask of shape {array.shape}. Expected three axes, or four of which either the first or the last has 2 "
            f"to {MOST} channels, one a region"
        )
    channels = np.moveaxis(array, axes[0], 0)
    found = np.zeros(channels.shape[1:], np.int16)
    for index, channel in enumerate(channels):
        inside = channel != 0
        if (channel[inside] != 1).any():
            wrong = channel[inside & (channel != 1)][0]
            raise ValueError(f"a channel that holds {wrong:g}. Expected channels of 0 and 1, one a region")
        found |= inside.astype(np.int16) << index
    return np.where(found == 0, np.int16(0), found + np.int16(FIRST_CODE)).astype(np.int16)


def codes(integers: frozenset[int]) -> frozenset[int]:
    """The combinations of channels, one bit a channel, among integers of `packed`; empty for other masks."""
    return frozenset(integer - FIRST_CODE for integer in integers if integer >= FIRST_CODE)


def nested(combinations: frozenset[int]) -> tuple[int, ...]:
    """The channels from the outermost to the innermost, if each lies in the one before and they all differ; else ().

    Args:
        combinations: Combinations of channels that occur, one bit a channel.
    """
    every = 0
    for combination in combinations:
        every |= combination
    channels = [index for index in range(MOST) if every >> index & 1]
    order = sorted(
        channels, key=lambda index: sum(combination >> index & 1 for combination in combinations), reverse=True
    )
    chain = {sum(1 << index for index in order[: depth + 1]) for depth in range(len(order))}
    return tuple(order) if combinations == chain else ()
