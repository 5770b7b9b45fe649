"""`prediction.json` beside an exported network: all that turns scans into masks, in numbers and in sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.binding import value_of
from brats_unet.data.prepare.preparation import Preparation
from brats_unet.data.readers.file_patterns import patterns_of
from brats_unet.errors import CheckpointError, MachineError, SettingsError
from brats_unet.file_kinds.json_kinds import ExportFile
from brats_unet.inference.named_files import file_in
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.recipe_text import recipe_sentences
from brats_unet.json_files import read_json
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import scheme_in
from brats_unet.spelling import suggestion

DESCRIPTION = "prediction.json"
VERSION = 2  # 1: before there were schemes
IMAGE, PROBABILITIES = "image", "region_probabilities"  # names of the network's input and output
CLASS_PROBABILITIES = "class_probabilities"  # name of the softmax of a network that predicts labels
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
NETWORK_FILES = (".keras", ".onnx", ".xml")  # suffixes of network files that may be given instead of their folder
OURS = (DESCRIPTION, *FILES.values(), "model.bin", CARD)  # every file that an export may write


@dataclass(frozen=True)
class Exported:
    """An exported network on disk.

    Attributes:
        description: Path of its `prediction.json`.
        file: Path of the network: a file, or the folder of a SavedModel.
        format: Key of `FILES`.
        rank: 3 if the network takes (B, X, Y, Z, M), 2 if it takes axial slices (B, X, Y, M).
        recipe: Recipe in the form of a run's; see `network.recipe`. The network's outputs are region probabilities.
        hashes: From `network_files.network_hashes`; empty for exports of earlier versions.
    """

    description: Path
    file: Path
    format: str
    rank: int
    recipe: dict[str, Any]
    hashes: Mapping[str, str]


def description_of(path: Path) -> Path | None:
    """Path of an exported network's `prediction.json`, from its folder or a file in it; None if `path` is a run's."""
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
    """Read the description of an exported network, without loading the network.

    Args:
        path: Folder of the exported network, or a file in it.
        description: Path of its `prediction.json`; see `description_of`.

    Raises:
        CheckpointError: A file is missing, cannot be read, was written by a later version, or lies in another folder.
    """
    if not path.exists():
        raise CheckpointError(f"{path}: no such file. Expected an exported network, as `brats-unet export` writes it.")
    if not description.is_file():
        raise CheckpointError(
            f"{path} has no {DESCRIPTION} beside it, which describes how scans are prepared. "
            f"Copy it from the folder that `brats-unet export` wrote."
        )
    content = read_json(description, what=str(path), advice="Export it again.")
    try:
        version = value_of(int, content.get("version", 0), "version")
        if version > VERSION:
            raise CheckpointError(
                f"{description}: format version {version}, written by a later version of brats-unet; this one reads up "
                f"to {VERSION}. Update brats-unet."
            )
        content = value_of(ExportFile, content, "")
        network, inference, preparation = content["network"], content["inference"], content["preparation"]
        recipe = {
            **({"scheme": content["scheme"]} if "scheme" in content else {}),
            "outputs": "regions",
            "stride": network["multiple_of"],
            "preparation": {key: preparation[key] for key in ("modalities", "spacing_mm", "crop", "normalise")},
            "inference": {key: inference[key] for key in ("mode", "tile", "overlap", "tile_batch", "mirror")},
            "convention": content["labels"]["convention"],
            "precision": "float32",
            "modality_dropout": content["modality_dropout"],
            "files": content.get("files"),
        }
        scheme = scheme_in(content)
        name, rank = network["format"], network["rank"]
        named = path.suffix in NETWORK_FILES and path.is_file()
        file = path if named else file_in(description.parent, network["file"], named_by=description)
        Postprocessing.from_dict(content["postprocessing"], scheme, where=str(description))
        patterns_of(recipe.get("files"))
        Preparation.from_dict(recipe["preparation"])
    except SettingsError as problem:
        raise CheckpointError(
            f"{description}: not the description of an exported network: {problem} Export it again."
        ) from None
    if len(recipe["stride"]) != 3:
        raise CheckpointError(
            f"{description}: multiple_of {recipe['stride']}: expected three lengths of 1 or more. Export it again."
        )
    if name not in FILES or recipe["convention"] not in scheme.integers or rank not in (2, 3):
        raise CheckpointError(
            f"{description}: format {name}, rank {rank}, labels {recipe['convention']}. Expected one of the formats "
            f"{', '.join(FILES)}, rank 2 or 3, and one of the label conventions {', '.join(scheme.integers)}. Export "
            f"it again."
        )
    if not file.exists():
        raise CheckpointError(f"{file}: no such file, though {DESCRIPTION} names it. Export the network again.")
    if name == "openvino":  # OpenVINO reads the weights from the file of this name
        file_in(file.parent, file.with_suffix(".bin").name, named_by=file)
    return Exported(description, file, name, rank, recipe, network.get("blake2b", {}))


def describe_export(
    recipe: Mapping[str, Any],
    rules: Postprocessing,
    *,
    form: str,
    rank: int,
    stride: Sequence[int],
    source: Mapping[str, Any],
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    """The content of `prediction.json`.

    Args:
        recipe: Recipe of the run.
        rules: Post-processing, from probabilities to labels.
        form: Key of `FILES`.
        rank: Spatial dimensions of the network's input, 2 or 3.
        stride: Lengths along x, y, z whose multiples the exported network takes.
        source: Origin of the network, for human readers.
        hashes: From `network_files.network_hashes`.
    """
    preparation, scheme = recipe["preparation"], scheme_in(recipe)
    convention = conventions(scheme)[recipe["convention"]]
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
            "blake2b": dict(hashes),
            "multiple_of": list(stride),
            "output": {
                "name": PROBABILITIES,
                "type": "float32",
                "axes": ["batch", *space, "region"],
                "regions": list(scheme.predicted),
                "meaning": "probability, from 0 to 1, that the voxel belongs to the region; do not apply a sigmoid",
            },
        },
        **({"files": recipe["files"]} if "files" in recipe else {}),
        "preparation": dict(preparation),
        "model": dict(recipe["model"]),
        "modality_dropout": recipe.get("modality_dropout", 0),
        "inference": inference,
        "postprocessing": rules.as_dict(scheme),
        "scheme": scheme.as_dict(),
        "labels": {
            "convention": convention.name,
            "integers": {
                scheme.words_of(value): int(convention.encode(np.array(value))) for value in scheme.class_values
            },
            **({} if scheme.is_tree else {"by_regions": convention.integers_of_regions()}),
        },
        "how": recipe_sentences(recipe, rank),
        "source": dict(source),
    }


def refuse_format(name: str) -> None:
    """Raise SettingsError for an unknown format, MachineError if a package that writes it is not installed."""
    if name not in FILES:
        raise SettingsError(f"There is no format named {name}. {suggestion(name, FILES)}")
    refuse_absent(*TO_MAKE[name], wanted_by=f"format={name}")


def refuse_unless_it_runs(exported: Exported) -> None:
    """Raise MachineError if the package that runs an exported network is not installed."""
    refuse_absent(TO_RUN[exported.format], wanted_by=str(exported.file))


def refuse_untrusted(exported: Exported, *, trust: bool) -> None:
    """Raise CheckpointError for a SavedModel unless the user trusts those who made it.

    A SavedModel is a program: TensorFlow runs whatever operations it holds, which can read and write files.
    """
    if exported.format == "savedmodel" and not trust:
        raise CheckpointError(
            f"{exported.file}: a SavedModel is a program, which can read and write your files when it is loaded or "
            f"predicts. If you know who made it, run it with `brats-unet predict … trust=true` or load(…, trust=True). "
            f"If not, ask for the network as ONNX or .keras, which only compute (export format=onnx or keras)."
        )


def refuse_absent(*packages: str, wanted_by: str) -> None:
    """Raise MachineError with the pip command, unless all packages are installed."""
    absent = [package for package in packages if not _is_installed(package)]
    if absent:
        raise MachineError(
            f"{wanted_by} needs {' and '.join(absent)}, not installed here: pip install {' '.join(absent)}."
        )


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # raised by import hooks that block a package
        return False
