"""Networks that TensorFlow computes: from a run's checkpoint or a `.keras` file to a `Network`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from brats_unet import models
from brats_unet.anatomy import regions_from_classes
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.inference.any_size import fitted
from brats_unet.inference.exported import IMAGE, PROBABILITIES
from brats_unet.inference.network import Network
from brats_unet.inference.predictor import Forward, MemoryFull, in_slices
from brats_unet.models import checkpoint
from brats_unet.parts import build
from brats_unet.run import Run, read_json

CHECKPOINTS = ("last", "best")


def trained_model(path: Path, *, which: str, policies: Mapping[str, str]) -> tuple[keras.Model, dict[str, Any]]:
    """A trained Keras model from patches to logits, and the recipe that lies beside it.

    Args:
        path: A run folder, or a `.keras` file with `recipe.json` beside it.
        which: Checkpoint of a run folder, "last" or "best".
        policies: Keras dtype policy for each precision that the machine computes well in; others run in float32.

    Raises:
        SettingsError: An unknown checkpoint.
        CheckpointError: Nothing there, not readable, or weights of another network.
    """
    if path.suffix == ".keras":
        recipe = read_json(path.with_name("recipe.json"), what=f"{path} has no recipe beside it")
        return keras_file(path), recipe
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
    return model, recipe


def keras_file(path: Path) -> keras.Model:
    """The model in a `.keras` file, which cannot run code of its own; CheckpointError if it cannot be had."""
    if not path.exists():
        raise CheckpointError(f"{path}: no such file. Expected the model.keras of a run folder.")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as problem:
        reason = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise CheckpointError(
            f"{path}: cannot be read as a Keras model ({reason}). It may be damaged: copy or export it again."
        ) from problem


def network_of(model: keras.Model, recipe: Mapping[str, Any], say: Callable[[str], None]) -> Network:
    """A `Network` of a Keras model, which it goes on to use: later weights are seen."""
    model, stride = fitted(model, recipe["stride"])
    return Network(forward_of(model, recipe["outputs"]), recipe, stride, say, on_host=not on_gpu())


def on_gpu() -> bool:
    """Whether TensorFlow computes on a GPU."""
    return bool(tf.config.get_visible_devices("GPU"))


def traced(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """An exported model as a function from float32 patches, or slices, to region probabilities."""
    shape = (None,) * (len(model.inputs[0].shape) - 1) + (model.inputs[0].shape[-1],)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])
    def probabilities(patches: tf.Tensor) -> tf.Tensor:
        return model(patches, training=False)

    def compute(patches: np.ndarray) -> np.ndarray:
        with memory_full_is_said(patches):
            return probabilities(tf.constant(patches)).numpy()

    return compute


def saved_model(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Likewise of a SavedModel; CheckpointError if it cannot be read."""
    try:
        loaded = tf.saved_model.load(str(folder))
        probabilities = loaded.signatures["serving_default"]
    except (OSError, KeyError, ValueError, IndexError, tf.errors.OpError) as problem:
        reason = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise CheckpointError(f"{folder}: cannot be read as a SavedModel ({reason}). Export it again.") from problem

    def compute(patches: np.ndarray) -> np.ndarray:
        with memory_full_is_said(patches):
            return probabilities(**{IMAGE: tf.constant(patches)})[PROBABILITIES].numpy()

    compute.__dict__["kept"] = loaded  # its variables live as long as it does
    return compute


@contextmanager
def memory_full_is_said(patches: np.ndarray) -> Iterator[None]:
    """Turn TensorFlow's word for a full memory into ours."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as problem:
        raise MemoryFull(patches.shape) from problem


def forward_of(model: keras.Model, outputs: str) -> Forward:
    """`model` as a function from patches (B, X, Y, Z, M) to region probabilities (B, X, Y, Z, 3), traced once.

    Args:
        model: Takes (B, X, Y, Z, M), or (B, X, Y, M) slices if of rank 2; first output: logits at full resolution.
        outputs: "regions" or "labels": what the logits stand for.
    """
    channels = model.inputs[0].shape[-1]
    flat = len(model.inputs[0].shape) == 4

    @tf.function(input_signature=[tf.TensorSpec((None,) * (3 if flat else 4) + (channels,), tf.float16)])
    def probabilities(patches: tf.Tensor) -> tf.Tensor:
        heads = model(patches, training=False)  # a list, full resolution first; the tensor itself where there is one
        logits = tf.cast(heads[0] if isinstance(heads, (list, tuple)) else heads, tf.float32)
        return tf.sigmoid(logits) if outputs == "regions" else tf.nn.softmax(logits)

    def regions(patches: np.ndarray) -> np.ndarray:
        with memory_full_is_said(patches):
            found = probabilities(tf.constant(patches)).numpy()
        return found if outputs == "regions" else regions_from_classes(found)

    def forward(patches: np.ndarray) -> np.ndarray:
        patches = patches.astype(np.float16, copy=False)
        return in_slices(regions, patches) if flat else regions(patches)

    return forward
