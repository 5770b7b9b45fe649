"""Test-time mirroring: predict each mirroring of a volume and mirror the result back."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from brats_unet.errors import SettingsError

AXES = ("x", "y", "z")  # axes of the prepared grid, towards Left, Posterior, Superior


def axes_of(setting: Any, *, key: str = "inference.mirror") -> tuple[int, ...]:
    """Sorted indices of the axes to mirror.

    Args:
        setting: "none", "all", one axis such as "x", or a list of different axes such as ["x", "y"].
        key: Name of the setting, for the error message.

    Raises:
        SettingsError: Any other setting.
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
        or any(name not in AXES for name in names)
    ):
        raise SettingsError(f"{key}={setting} is none of the choices: none, all, or a list of axes such as [x,y].")
    return tuple(sorted(AXES.index(name) for name in names))


def flips(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """All 2 ** len(axes) sets of axes to flip; the first is empty (the original volume)."""
    return [chosen for count in range(len(axes) + 1) for chosen in combinations(axes, count)]


def mirrored(
    predict: Callable[[np.ndarray], np.ndarray], image: np.ndarray, axes: Sequence[int]
) -> Iterator[np.ndarray]:
    """Yield `predict` of each mirroring of `image` (X, Y, Z, M), mirrored back.

    For any `predict`, the mean over all mirrorings is equivariant: the mean for a mirrored volume is the mirrored mean.
    """
    for chosen in flips(axes):
        yield np.flip(predict(np.flip(image, chosen)), chosen)
