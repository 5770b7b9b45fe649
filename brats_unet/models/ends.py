"""The two ends of a network: the layers that read the image, and those that give the logits.

They are found in the network's graph, so they may have any name. A network without a graph (a subclass of keras.Model)
has none.
"""

from collections.abc import Iterator
from typing import Any

import keras

FOREGROUND_LAYER = "image_foreground"  # adds the channel of `blocks.with_foreground` to the image


def input_layers(model: keras.Model) -> frozenset[str]:
    """Names of the layers with weights whose only input is the image, perhaps through layers without weights."""
    sources, weighted = _sources(model), _weighted(model)

    def reads_image(name: str) -> bool:
        above = sources[name]
        return bool(above) and all(not sources[one] or (one not in weighted and reads_image(one)) for one in above)

    return frozenset(name for name in sources if name in weighted and reads_image(name))


def head_layers(model: keras.Model) -> frozenset[str]:
    """Names of the last layers with weights before each output; deep supervision has several."""
    sources, weighted = _sources(model), _weighted(model)
    waiting = list(_names(model.get_config()["output_layers"])) if sources else []
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [] if name in weighted else sources[name]
    return frozenset(seen & weighted)


def _sources(model: keras.Model) -> dict[str, set[str]]:
    """For each layer, the layers that it takes tensors from."""
    if not isinstance(model, keras.Function):
        return {}
    return {layer["name"]: set(_tensors(layer["inbound_nodes"])) for layer in model.get_config()["layers"]}


def _weighted(model: keras.Model) -> set[str]:
    return {layer.name for layer in model.layers if layer.weights}


def _tensors(nested: Any) -> Iterator[str]:
    """Names of the layers whose tensors occur in a part of a configuration."""
    if isinstance(nested, dict) and nested.get("class_name") == "__keras_tensor__":
        yield nested["config"]["keras_history"][0]
    elif isinstance(nested, dict):
        for value in nested.values():
            yield from _tensors(value)
    elif isinstance(nested, list | tuple):
        for value in nested:
            yield from _tensors(value)


def _names(nested: Any) -> Iterator[str]:
    """Names in a nested structure of [name, node, tensor]."""
    if isinstance(nested, dict):
        nested = list(nested.values())
    if nested and isinstance(nested[0], str):
        yield nested[0]
        return
    for one in nested:
        yield from _names(one)
