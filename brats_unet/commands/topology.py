"""A network's shape as the memory formula and the planner know it, from a user's settings of the model."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from brats_unet import models
from brats_unet.errors import SettingsError
from brats_unet.models.plan import Plan
from brats_unet.training.memory import Topology

RESIDUAL = 3  # feature maps of a residual block: two convolutions and their sum


def complete_options(model: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a network with the defaults of its builder.

    Raises:
        SettingsError: There is no such network.
    """
    builder = models.known()[model["name"]]
    parameters = inspect.signature(builder).parameters.items()
    defaults = {k: p.default for k, p in parameters if k not in models.GIVEN and p.default is not p.empty}
    return defaults | {key: value for key, value in model.items() if key != "name"}


def topology_of(model: Mapping[str, Any], plan: Plan) -> Topology | None:
    """Of a network that names its features and convolutions; None for one that does not, as of another package."""
    options = complete_options(model)
    features = options.get("features")
    per_stage = options.get("convolutions", options.get("blocks"))
    if features is None or per_stage is None or len(features) != len(plan.strides):
        return None
    stages = len(features)
    factor = RESIDUAL if "blocks" in options else 1
    encoder = tuple(factor * count for count in _each(per_stage, stages))
    decoder = options.get("decoder_convolutions")
    return Topology(plan.strides, tuple(features), encoder, _each(2 if decoder is None else decoder, stages - 1))


def planned_model(
    model: Mapping[str, Any], strides: Sequence[Sequence[int]], features: Sequence[int]
) -> dict[str, Any]:
    """The settings of a network with other strides and features, and with as many blocks as there are stages.

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
