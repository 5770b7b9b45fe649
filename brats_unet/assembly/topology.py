"""The topology of a network, for the memory formula and the planner, from the settings of the model."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from brats_unet import models
from brats_unet.errors import SettingsError
from brats_unet.models.network_shape import NetworkShape
from brats_unet.parts import check_options, options_of
from brats_unet.training.step_memory import Topology


def complete_options(model: Mapping[str, Any]) -> dict[str, Any]:
    """All options of a network: those in the settings, and the builder's defaults for the others.

    Raises:
        SettingsError: The network has no such option, or it does not fit.
    """
    builder = models.known()[model["name"]]
    parameters = inspect.signature(builder).parameters.items()
    defaults = {k: p.default for k, p in parameters if k not in models.GIVEN and p.default is not p.empty}
    return defaults | check_options("model", model["name"], builder, options_of(model), models.GIVEN)


def topology_of(model: Mapping[str, Any], network_shape: NetworkShape) -> Topology | None:
    """The topology of a network; None if it has no `features` option with one entry per stage, as in a plug-in."""
    options = complete_options(model)
    features = options.get("features")
    if not isinstance(features, Sequence) or len(features) != len(network_shape.strides):
        return None
    stages = len(features)
    blocks = _each(options.get("blocks", 0), stages)  # residual blocks of two convolutions and a sum
    decoder = options.get("decoder_convolutions")
    return Topology(
        network_shape.strides,
        tuple(features),
        tuple(2 * count for count in blocks) if any(blocks) else _each(options.get("convolutions", 2), stages),
        _each(2 if decoder is None else decoder, stages - 1),
        blocks if any(blocks) else (),
    )


def planned_model(
    model: Mapping[str, Any], strides: Sequence[Sequence[int]], features: Sequence[int]
) -> dict[str, Any]:
    """The settings of a network with new strides and features; block counts are extended or cut to the new stages.

    Raises:
        SettingsError: The network has no such options.
    """
    options = complete_options(model)
    for key in ("features", "strides"):
        if key not in options:
            raise SettingsError(
                f"model={model['name']} has no option {key}, so it cannot be planned. Use model=unet3d."
            )
    stages = len(features)
    changed = {key: value for key, value in model.items() if key not in ("kernels", "name")}
    for key, length in (("blocks", stages), ("convolutions", stages), ("decoder_convolutions", stages - 1)):
        value = options.get(key)
        if isinstance(value, Sequence) and len(value) != length:
            changed[key] = [*value, *[value[-1]] * length][:length]
    return {
        "name": model["name"],
        **changed,
        "features": list(features),
        "strides": [list(stride)[: len(strides[0])] for stride in strides],
    }


def _each(value: int | Sequence[int], stages: int) -> tuple[int, ...]:
    return (value,) * stages if isinstance(value, int) else tuple(value)
