"""Networks by name. They know nothing of BraTS: they are given channels, outputs and precision.

A network is a function with the keyword arguments `channels`, `outputs`, `dtype` and `seed`, which the program passes,
and options of its own. Its decorator `network_shape.with_shape` says what it does to the shape of a patch. Another
package adds a network with an entry point of the group `brats_unet.models`.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from brats_unet.errors import SettingsError
from brats_unet.models.network_shape import NetworkShape
from brats_unet.models.nvidia import nvidia_unet
from brats_unet.models.resenc import resenc_unet
from brats_unet.models.unet import unet2d, unet3d
from brats_unet.parts import check_options, chosen
from brats_unet.plugins import Builders, shown

MODELS: dict[str, Callable[..., Any]] = {
    "unet2d": unet2d,
    "unet3d": unet3d,
    "resenc_unet": resenc_unet,
    "nvidia_unet": nvidia_unet,
}
GIVEN = ("channels", "outputs", "dtype", "seed")  # passed to a network by the program, not by the user


def known() -> Mapping[str, Callable[..., Any]]:
    """Our networks and those of installed packages."""
    return Builders(MODELS, "model", "keras.Model", _is_network)


def _is_network(made: Any) -> bool:
    import keras

    return isinstance(made, keras.Model)


def describe(name: str, options: Mapping[str, Any]) -> NetworkShape:
    """Rank, strides and heads of a network, without building it or importing Keras.

    Raises:
        SettingsError: There is no such network or option, options do not fit together, or the network does not say
            what it does to the shape of a patch.
    """
    builder = chosen("model", known(), name)
    options = check_options("model", name, builder, options, GIVEN)
    origin = getattr(builder, "origin", "")
    network = f"model={name}{f' ({origin})' if origin else ''}"
    network_shape = getattr(builder, "network_shape", None)
    if network_shape is None:
        raise SettingsError(
            f"{network} does not say its rank and strides. Expected a builder with an attribute `network_shape`: mark "
            f"it with brats_unet.models.network_shape.with_shape."
        )
    found = network_shape(**with_defaults(builder, options))
    if not isinstance(found, NetworkShape):
        raise SettingsError(
            f"{network}: its function for the shape returns {shown(found)}. "
            f"Expected a brats_unet.models.network_shape.NetworkShape."
        )
    return found


def with_defaults(builder: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a network: those given, and the defaults of its builder for the others."""
    parameters = inspect.signature(builder).parameters.items()
    defaults = {key: p.default for key, p in parameters if p.default is not p.empty and key not in GIVEN}
    return {**defaults, **options}
