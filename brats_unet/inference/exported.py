"""`prediction.json`: all that turns scans into masks beside an exported network, for our own predict and for strangers.

What predict reads back are numbers and names; `how` says in sentences what they mean, so that it can be done elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.anatomy import CLASSES, Region
from brats_unet.data.labels.convention import CONVENTIONS, WORDS
from brats_unet.errors import CheckpointError, MachineError, SettingsError
from brats_unet.files import read_json
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.recipe_text import recipe_sentences
from brats_unet.parts import suggestion

DESCRIPTION = "prediction.json"
VERSION = 1
IMAGE, PROBABILITIES = "image", "region_probabilities"  # names of the network's input and output
FILES = {"keras": "model.keras", "savedmodel": "saved_model", "onnx": "model.onnx", "openvino": "model.xml"}
TO_MAKE = {
    "keras": ("tensorflow",),
    "savedmodel": ("tensorflow",),
    "onnx": ("tensorflow", "tf2onnx", "onnxruntime"),
    "openvino": ("tensorflow", "tf2onnx", "openvino"),
}
TO_RUN = {"onnx": "onnxruntime", "openvino": "openvino", "keras": "tensorflow", "savedmodel": "tensorflow"}
WITH_TENSORFLOW = ("keras", "savedmodel")
CARD = "MODEL_CARD.md"
NETWORK_FILES = (".keras", ".onnx", ".xml")  # by which a network may be named, not only by its folder
OURS = (DESCRIPTION, *FILES.values(), "model.bin", CARD)  # all that an exported network's folder may hold


@dataclass(frozen=True)
class Exported:
    """An exported network as it lies on disk.

    Attributes:
        description: Its `prediction.json`.
        file: The network: a file, or the folder of a SavedModel.
        format: Name of `FILES`.
        rank: 3 where it takes (B, X, Y, Z, M), 2 where it takes axial slices (B, X, Y, M).
        recipe: As of a run; see `network.recipe`. Its outputs are region probabilities.
    """

    description: Path
    file: Path
    format: str
    rank: int
    recipe: dict[str, Any]


def description_of(path: Path) -> Path | None:
    """Where the description of an exported network lies: of its folder, or of a file in it; None for a run."""
    beside = path.parent / DESCRIPTION
    if path.name == DESCRIPTION or (path / "saved_model.pb").is_file():
        return beside
    if path.is_dir():
        return found if (found := path / DESCRIPTION).is_file() else None
    if path.suffix in (".onnx", ".xml"):
        return beside
    return (
        beside if path.suffix == ".keras" and beside.is_file() and not path.with_name("recipe.json").exists() else None
    )


def open_exported(path: Path, description: Path) -> Exported:
    """What lies there, without the network itself.

    Raises:
        CheckpointError: Something is missing, not readable, or of a later version.
    """
    if not path.exists():
        raise CheckpointError(f"{path}: no such file. Expected an exported network, as `brats-unet export` writes it.")
    if not description.is_file():
        raise CheckpointError(
            f"{path} has no {DESCRIPTION} beside it, which says how scans are prepared. "
            f"Put back the one that `brats-unet export` wrote."
        )
    content = read_json(description, what=str(path), advice="Export it again.")
    try:
        version = int(content.get("version", 0))
        if version > VERSION:
            raise CheckpointError(f"{description}: of a later version of brats-unet ({version}). Update it.")
        network, inference, preparation = content["network"], content["inference"], content["preparation"]
        recipe = {
            "outputs": "regions",
            "stride": [int(step) for step in network["multiple_of"]],
            "preparation": {key: preparation[key] for key in ("modalities", "spacing_mm", "crop", "normalise")},
            "inference": {key: inference[key] for key in ("mode", "tile", "overlap", "tile_batch", "mirror")},
            "convention": content["labels"]["convention"],
            "precision": "float32",
            "modality_dropout": float(content["modality_dropout"]),
        }
        name, rank = network["format"], int(network["rank"])
        file = path if path.suffix in NETWORK_FILES and path.is_file() else description.parent / network["file"]
        Postprocessing.from_dict(content["postprocessing"], where=str(description))
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise CheckpointError(
            f"{description}: not the description of an exported network ({type(problem).__name__}: {problem}). "
            f"Export it again."
        ) from None
    if len(recipe["stride"]) != 3 or min(recipe["stride"]) < 1:
        raise CheckpointError(f"{description}: multiple_of {recipe['stride']} is not three lengths. Export it again.")
    if name not in FILES or recipe["convention"] not in CONVENTIONS or rank not in (2, 3):
        raise CheckpointError(f"{description}: format {name}, rank {rank}, labels {recipe['convention']}: not known.")
    if not file.exists():
        raise CheckpointError(f"{file}: no such file, though {DESCRIPTION} names it. Export the network again.")
    return Exported(description, file, name, rank, recipe)


def describe_export(
    recipe: Mapping[str, Any],
    rules: Postprocessing,
    *,
    form: str,
    rank: int,
    stride: Sequence[int],
    source: Mapping[str, Any],
) -> dict[str, Any]:
    """The content of `prediction.json`.

    Args:
        recipe: Of the run.
        rules: From probabilities to labels.
        form: Name of `FILES`.
        rank: Of the network, 2 or 3.
        stride: Of which lengths along x, y, z the patches that the file takes are multiples.
        source: Where the network comes from, for people.
    """
    preparation, convention = recipe["preparation"], CONVENTIONS[recipe["convention"]]
    space = ["x", "y", "z"][:rank]
    inference = {"tile_batch": 1, "mirror": "none", **recipe["inference"]}
    return {
        "version": VERSION,
        "about": "How scans become masks with this network. For research; not a medical device.",
        "network": {
            "file": FILES[form],
            "format": form,
            "rank": rank,
            "input": {
                "name": IMAGE,
                "type": "float32",
                "axes": ["batch", *space, "modality"],
                "modalities": list(preparation["modalities"]),
            },
            "multiple_of": list(stride),
            "output": {
                "name": PROBABILITIES,
                "type": "float32",
                "axes": ["batch", *space, "region"],
                "regions": [str(region) for region in Region],
                "meaning": "probability, from 0 to 1, that the voxel belongs to the region; no sigmoid is left to do",
            },
        },
        "preparation": dict(preparation),
        "modality_dropout": recipe.get("modality_dropout", 0),
        "inference": inference,
        "postprocessing": rules.as_dict(),
        "labels": {
            "convention": convention.name,
            "integers": {WORDS[label]: int(convention.encode(np.array(label))) for label in CLASSES},
        },
        "how": recipe_sentences(recipe, rank),
        "source": dict(source),
    }


def refuse_format(name: str) -> None:
    """Raise SettingsError for a format there is none of, MachineError where what makes it is not installed."""
    if name not in FILES:
        raise SettingsError(f"There is no format named {name}. {suggestion(name, FILES)}")
    refuse_absent(*TO_MAKE[name], wanted_by=f"format={name}")


def refuse_unless_it_runs(exported: Exported) -> None:
    """Raise MachineError where what computes an exported network is not installed."""
    refuse_absent(TO_RUN[exported.format], wanted_by=str(exported.file))


def refuse_absent(*packages: str, wanted_by: str) -> None:
    """Raise MachineError, with what to install, unless all packages are there."""
    absent = [package for package in packages if not _is_installed(package)]
    if absent:
        raise MachineError(
            f"{wanted_by} needs {' and '.join(absent)}, not installed here: pip install {' '.join(absent)}."
        )


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # so says an import system that forbids it
        return False
