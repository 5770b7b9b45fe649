"""A trained network whose weights a training starts from: what `train init=` may name, and what is known about it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from brats_unet.errors import CheckpointError
from brats_unet.inference.exported import CLASS_PROBABILITIES, description_of, open_exported
from brats_unet.inference.keras_network import keras_file, trained_model
from brats_unet.json_files import read_json
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in

EXPECTED = (
    "Expected a run folder, a .keras file with its recipe.json beside it, or a folder of `brats-unet export "
    "format=keras`"
)


@dataclass(frozen=True)
class Pretrained:
    """A trained network.

    Attributes:
        path: Where it was read from.
        network: Keras model in float32; of a run with an average of its weights (EMA), it holds the average.
        options: Name and options of the network, as in the setting `model`; {} if unknown.
        modalities: Channels of its image, in order.
        outputs: Meaning of its logits, "regions" or "labels".
        scheme: What it segments.
        stride: Total stride along x, y, z.
        preparation: How its scans were prepared.
        all_heads: Whether it has all heads it was trained with; an exported network has only the first.
    """

    path: Path
    network: keras.Model
    options: dict[str, Any]
    modalities: list[str]
    outputs: str
    scheme: Scheme
    stride: list[int]
    preparation: dict[str, Any]
    all_heads: bool = True


def open_pretrained(path: Path) -> Pretrained:
    """Read a trained network from a run folder, a `.keras` file or a folder of `export format=keras`.

    No code of the network is run: a `.keras` file holds stock layers only, see `inference.keras_archive`.

    Raises:
        CheckpointError: `path` does not exist, cannot be read, is not safe to open, or has a format whose weights
            cannot be read back.
    """
    description = description_of(path)
    if description is None:
        return _trained(path)
    exported = open_exported(path, description)
    if exported.format != "keras":
        raise CheckpointError(
            f"init={path}: an exported network of format {exported.format}, whose weights have lost the names of their "
            f"layers. {EXPECTED}. Export the run once more with format=keras, or give its run folder."
        )
    network = keras_file(exported.file)
    options = read_json(description, what=str(path)).get("model", {})  # exports of earlier versions have none
    return Pretrained(
        path=path,
        network=network,
        options=dict(options),
        modalities=list(exported.recipe["preparation"]["modalities"]),
        outputs="labels" if CLASS_PROBABILITIES in {layer.name for layer in network.layers} else "regions",
        scheme=scheme_in(exported.recipe),
        stride=list(exported.recipe["stride"]),
        preparation=dict(exported.recipe["preparation"]),
        all_heads=False,
    )


def _trained(path: Path) -> Pretrained:
    if path.is_file() and path.suffix != ".keras":
        raise CheckpointError(f"init={path}: not a file that weights can be read from. {EXPECTED}.")
    network, recipe = trained_model(path, which="last", policies={})
    return Pretrained(
        path=path,
        network=network,
        options=dict(recipe["model"]),
        modalities=list(recipe["preparation"]["modalities"]),
        outputs=recipe["outputs"],
        scheme=scheme_in(recipe),
        stride=list(recipe["stride"]),
        preparation=dict(recipe["preparation"]),
    )
