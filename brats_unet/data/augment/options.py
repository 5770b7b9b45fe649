"""The options of each transform, checked before any data is read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

from brats_unet.binding import bind
from brats_unet.errors import SettingsError

T = TypeVar("T")


class Limits(NamedTuple):
    """Limits for both numbers of a range [smallest, largest]."""

    low: float
    high: float


@dataclass(frozen=True)
class Rotation:
    """Rotation by an independent angle about each axis."""

    probability: float
    degrees: Annotated[list[float], Limits(-180, 180)]


@dataclass(frozen=True)
class Scaling:
    """Scaling; a factor above 1 shrinks the content. With probability `per_axis` each axis has its own factor."""

    probability: float
    per_axis: float
    factors: Annotated[list[float], Limits(0.1, 10)]
    balanced: bool


@dataclass(frozen=True)
class Elastic:
    """Elastic deformation: a Gaussian field with sigma = `smoothness` × patch edge, at most `magnitude` × sigma."""

    probability: float
    smoothness: Annotated[list[float], Limits(0, 1)]
    magnitude: Annotated[list[float], Limits(0, 1)]


@dataclass(frozen=True)
class Mirror:
    """Mirroring: each of `axes` is reversed with `probability`, independently."""

    axes: list[int]
    probability: float


@dataclass(frozen=True)
class Noise:
    """Gaussian noise with the same sigma for all modalities."""

    probability: float
    sigma: Annotated[list[float], Limits(0, math.inf)]


@dataclass(frozen=True)
class Blur:
    """Gaussian blur with its own sigma (voxels) for each axis of each modality that is chosen."""

    probability: float
    per_channel: float
    sigma: Annotated[list[float], Limits(0.01, 10)]


@dataclass(frozen=True)
class Factors:
    """A factor for each modality, as often below 1 as above."""

    probability: float
    factors: Annotated[list[float], Limits(0, math.inf)]


@dataclass(frozen=True)
class Shift:
    """Add a normal number of standard deviation `sigma` to each modality that is chosen."""

    probability: float
    per_channel: float
    sigma: float


@dataclass(frozen=True)
class LowResolution:
    """Resample each modality that is chosen to `zoom` × its voxels along each axis, and back."""

    probability: float
    per_channel: float
    zoom: Annotated[list[float], Limits(0.01, 1)]


@dataclass(frozen=True)
class Gamma:
    """Gamma correction with an exponent for each modality, as often below 1 as above."""

    probability: float
    exponents: Annotated[list[float], Limits(0.01, 100)]


def section(kind: type[T], name: str, values: Mapping[str, Any]) -> T:
    """The options of one transform from the user's `augmentation.<name>`.

    Raises:
        SettingsError: A key is unknown, missing or has the wrong type, a probability is not from 0 to 1, or a range is
            reversed or outside its limits.
    """
    where = f"augmentation.{name}"
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where}={values} does not fit. Expected a section of settings.")
    found = bind(kind, values, f"{where}.")
    for option, hint in get_type_hints(kind, include_extras=True).items():
        value = getattr(found, option)
        key = f"{where}.{option}"
        if option in ("probability", "per_channel", "per_axis"):
            refuse_improbable(key, value)
        elif limits := getattr(hint, "__metadata__", None):
            _refuse_invalid_range(key, value, limits[0])
        elif option == "axes":
            refuse_invalid_axes(key, value)
        elif option == "sigma" and not 0 <= value < math.inf:
            raise SettingsError(f"{key}={value:g}: a standard deviation is 0 or more.")
    return found


def refuse_improbable(key: str, value: float) -> None:
    """Raise SettingsError unless `value` is a probability."""
    if not 0 <= value <= 1:
        raise SettingsError(f"{key}={value:g}: a probability lies from 0 to 1.")


def refuse_invalid_axes(key: str, axes: Sequence[int]) -> None:
    """Raise SettingsError unless `axes` are different numbers from 0, 1, 2."""
    if len(set(axes)) != len(axes) or not set(axes) <= {0, 1, 2}:
        raise SettingsError(f"{key}={list(axes)}: choose different axes from 0, 1, 2.")


def _refuse_invalid_range(key: str, ends: Sequence[float], limits: Limits) -> None:
    low, high = limits
    shown = "[" + ", ".join(f"{end:g}" for end in ends) + "]"
    if len(ends) != 2:
        raise SettingsError(f"{key}={shown}: expected two numbers, [least, greatest].")
    if not ends[0] <= ends[1]:
        raise SettingsError(f"{key}={shown} is reversed. Expected [least, greatest].")
    if not (low <= ends[0] and ends[1] <= high and math.isfinite(ends[1])):
        upper = f"up to {high:g}" if math.isfinite(high) else "or more"
        raise SettingsError(f"{key}={shown}: expected numbers from {low:g} {upper}.")
