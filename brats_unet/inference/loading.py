"""Open trained networks: run folders by their checkpoints, or a `.keras` file with its recipe beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from brats_unet import models
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.inference.network import Network, forward_of
from brats_unet.models import checkpoint
from brats_unet.parts import build
from brats_unet.run import Run, read_json

CHECKPOINTS = ("last", "best")


def open_network(path: Path, *, which: str, policies: dict[str, str], say: Callable[[str], None]) -> Network:
    """A trained network, ready to predict.

    Args:
        path: A run folder, or a `.keras` file with `recipe.json` beside it.
        which: Checkpoint of a run folder, "last" or "best".
        policies: Keras dtype policy for each precision that the machine computes well in; others run in float32.
        say: Told what a person should know.

    Raises:
        SettingsError: An unknown checkpoint.
        CheckpointError: Nothing there, not readable, or weights of another network.
    """
    if path.suffix == ".keras":
        recipe = read_json(path.with_name("recipe.json"), what=f"{path} has no recipe beside it")
        return _network(_keras_file(path), recipe, say)
    if which not in CHECKPOINTS:
        raise SettingsError(f"checkpoint={which} is none of the choices: {', '.join(CHECKPOINTS)}.")
    run = Run(path)
    recipe = run.recipe()
    model = build(
        "model",
        models.known(),
        recipe["model"],
        channels=len(recipe["preparation"]["modalities"]),
        outputs=recipe["logits"],
        dtype=policies.get(recipe["precision"], "float32"),
        seed=0,
    )
    checkpoint.restore(run.checkpoint_file(which), model, None)
    return _network(model, recipe, say)


def _network(model: keras.Model, recipe: dict[str, Any], say: Callable[[str], None]) -> Network:
    return Network(forward_of(model, recipe["outputs"]), recipe, tuple(recipe["stride"]), say)


def _keras_file(path: Path) -> keras.Model:
    if not path.exists():
        raise CheckpointError(f"{path}: no such file. Expected the model.keras of a run folder.")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as problem:
        reason = str(problem).splitlines()[0]
        raise CheckpointError(f"{path}: cannot be read as a Keras model ({reason}). Train again.") from problem
