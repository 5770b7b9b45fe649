"""Test-time mirroring: a volume is predicted in each of its mirrorings, each answer is mirrored back."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from brats_unet.errors import SettingsError

AXES = ("x", "y", "z")  # of the prepared grid: towards Left, Posterior, Superior


def axes_of(setting: Any, *, key: str = "inference.mirror") -> tuple[int, ...]:
    """Axes to mirror along, as indices, from "none", "all", "x" or a list such as [x, y].

    Raises:
        SettingsError: Something else.
    """
    if setting == "none":
        return ()
    if setting == "all":
        return (0, 1, 2)
    names = [setting] if isinstance(setting, str) else setting
    if (
        not isinstance(names, list)
        or not names
        or len(set(map(str, names))) < len(names)
        or not set(names) <= set(AXES)
    ):
        raise SettingsError(f"{key}={setting} is none of the choices: none, all, or a list of axes such as [x,y].")
    return tuple(sorted(AXES.index(name) for name in names))


def flips(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """Every set of axes to reverse, 2 ** len(axes) of them, the untouched volume first."""
    return [chosen for count in range(len(axes) + 1) for chosen in combinations(axes, count)]


def mirrored(
    predict: Callable[[np.ndarray], np.ndarray], image: np.ndarray, axes: Sequence[int]
) -> Iterator[np.ndarray]:
    """What `predict` makes of each mirroring of `image` (X, Y, Z, M), mirrored back.

    The mean over `axes` is equivariant whatever `predict` is: the mean of a mirrored volume is the mirrored mean.
    """
    for chosen in flips(axes):
        yield np.flip(predict(np.flip(image, chosen)), chosen)
