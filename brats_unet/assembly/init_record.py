"""The record of what a training took from the network of `init=`: `init.json`, and sentences for the terminal."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from brats_unet.errors import some


@dataclass(frozen=True)
class Transfer:
    """What a training starts from, in plain types as in `init.json`.

    Attributes:
        source: The network, by the last component of its path if that is private.
        taken: Weights taken whole, by their paths.
        channels: For each kernel that was taken by channel: its channels in order, and which are new.
        new: Weights that start anew, and why.
        left_out: Weights of the source that were not taken, and why.
        notes: Sentences about settings that differ although the weights fit.
    """

    source: str
    taken: list[str]
    channels: dict[str, dict[str, Any]]
    new: dict[str, str]
    left_out: dict[str, str]
    notes: list[str]

    def new_parts(self, model: keras.Model) -> dict[str, np.ndarray | None]:
        """Trainable weights that are new, by path: None if all of a weight is, else a mask that broadcasts to it."""
        trainable = {variable.path for variable in model.trainable_variables}
        parts: dict[str, np.ndarray | None] = dict.fromkeys(path for path in self.new if path in trainable)
        for path, kernel in self.channels.items():
            if kernel["new"]:
                parts[path] = np.isin(kernel["channels"], kernel["new"])[:, None]
        return parts

    def sentences(self, freeze_steps: int) -> list[str]:
        """What was taken and what was not, for the terminal: numbers and names of layers.

        Args:
            freeze_steps: Number of steps in which only the new parts are updated.
        """
        layers = layers_of([*self.taken, *self.channels, *self.new])
        fresh = layers_of(self.new)
        count = f"{len(layers) - len(fresh)} of {len(layers)}"
        said = [f"Weights of {self.source}: {count} layers were taken; init.json lists them."]
        for path, kernel in self.channels.items():
            kept = [name for name in kernel["channels"] if name not in kernel["new"]]
            facts = [f"took {', '.join(kept)}"] if kept else []
            facts += [f"{', '.join(kernel['new'])} start {kernel['start']}"] if kernel["new"] else []
            facts += [f"left out {', '.join(kernel['left_out'])}"] if kernel["left_out"] else []
            said.append(f"{layer_of(path)}, by channel: {'; '.join(facts)}.")
        for reason in dict.fromkeys(self.new.values()):
            said.append(f"New: {some(layers_of(p for p, why in self.new.items() if why == reason))}, because {reason}.")
        for reason in dict.fromkeys(self.left_out.values()):
            left = layers_of(path for path, why in self.left_out.items() if why == reason)
            said.append(f"Left out: {some(left)}, because {reason}.")
        if freeze_steps:
            said.append(f"Only what is new is updated until step {freeze_steps}.")
        return said + self.notes


def layer_of(path: str) -> str:
    """Name of the layer that a weight belongs to, from the weight's path."""
    return path.split("/", 1)[0]


def layers_of(paths: Iterable[str]) -> list[str]:
    """Names of the layers of some weights, each once, in the order of the weights."""
    return list(dict.fromkeys(layer_of(path) for path in paths))
