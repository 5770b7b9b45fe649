"""Networks that run in TensorFlow: from a run's checkpoint or a `.keras` file to a `Network`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from brats_unet import models
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.file_kinds.json_kinds import RecipeFile
from brats_unet.geometry import Box
from brats_unet.inference.any_size import for_any_size, patches_of
from brats_unet.inference.exported import IMAGE, PROBABILITIES
from brats_unet.inference.keras_archive import refuse_unsafe_keras
from brats_unet.inference.keras_gradients import KerasGradients
from brats_unet.inference.network import Network
from brats_unet.inference.predictor import Forward, MemoryFull, SumOfTiles, in_slices
from brats_unet.json_files import read_json
from brats_unet.models import checkpoint
from brats_unet.parts import build
from brats_unet.plugins import refuse_absent_packages
from brats_unet.run import Run
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in

CHECKPOINTS = ("last", "best")
Tensors = Callable[..., tf.Tensor]


def trained_model(path: Path, *, which: str, policies: Mapping[str, str]) -> tuple[keras.Model, dict[str, Any]]:
    """Load a trained Keras model (patches to logits) and its recipe.

    Args:
        path: A run folder, or a `.keras` file with `recipe.json` beside it.
        which: Checkpoint of a run folder, "last" or "best".
        policies: Keras dtype policy for each precision that the machine supports well; other precisions run in float32.

    Raises:
        SettingsError: Unknown checkpoint.
        CheckpointError: `path` does not exist, cannot be read, holds weights of another network, or needs a package
            that is not installed.
    """
    if path.suffix == ".keras":
        recipe = read_json(path.with_name("recipe.json"), RecipeFile, what=f"{path} has no recipe beside it")
        return keras_file(path), recipe
    if which not in CHECKPOINTS:
        raise SettingsError(f"checkpoint={which} is none of the choices: {', '.join(CHECKPOINTS)}.")
    run = Run(path)
    recipe = run.recipe()
    refuse_absent_packages({kind: part for kind, part in run.plugins().items() if kind == "model"}, run.folder)
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
    """Load a `.keras` file without running code from it; see `keras_archive`.

    Raises:
        CheckpointError: The file does not exist, cannot be read as a Keras model, or holds more than stock layers.
    """
    if not path.exists():
        raise CheckpointError(f"{path}: no such file. Expected the model.keras of a run folder.")
    refuse_unsafe_keras(path)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
        for layer in model.layers:  # Keras takes any value
            float(getattr(layer, "epsilon", 0))
        return model
    except (ValueError, OSError, KeyError, TypeError) as problem:
        reason = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise CheckpointError(
            f"{path}: cannot be read as a Keras model ({reason}). It may be damaged: copy or export it again."
        ) from problem


def network_of(model: keras.Model, recipe: Mapping[str, Any], log: Callable[[str], None]) -> Network:
    """A `Network` that predicts with a Keras model.

    Args:
        model: Network of logits. Its weights are shared, so training it further changes the predictions.
        recipe: See `network.recipe`.
        log: Called with one sentence about anything the user should know.
    """
    outputs, scheme, gpu = recipe["outputs"], scheme_in(recipe), on_gpu()
    gradients = KerasGradients(model, outputs, scheme)
    model, stride, limit = for_any_size(model, recipe["stride"])
    # On a CPU, NumPy adds up tiles faster than TensorFlow.
    add_up = sum_of_tiles_of(model, outputs, scheme) if gpu and not takes_slices(model) else None
    forward = forward_of(model, outputs, scheme)
    return Network(
        forward, recipe, stride, log, on_host=not gpu, sum_of_tiles=add_up, size_limit=limit, gradients=gradients
    )


def on_gpu() -> bool:
    """Whether TensorFlow computes on a GPU."""
    return bool(tf.config.get_visible_devices("GPU"))


def traced(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """An exported Keras model as a function from float32 patches or slices to region probabilities."""

    probabilities = _graph(lambda patches: model(patches, training=False), patches_of(model, tf.float32))

    def compute(patches: np.ndarray) -> np.ndarray:
        with explain_full_memory(patches.shape):
            return probabilities(tf.constant(patches)).numpy()

    return compute


def saved_model(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A SavedModel as a function from float32 patches or slices to region probabilities.

    This runs what the SavedModel holds: call it only after `exported.refuse_untrusted`.

    Raises:
        CheckpointError: The folder cannot be read as a SavedModel.
    """
    try:
        loaded = tf.saved_model.load(str(folder))
        probabilities = loaded.signatures["serving_default"]
    except (OSError, KeyError, ValueError, IndexError, tf.errors.OpError) as problem:
        reason = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise CheckpointError(f"{folder}: cannot be read as a SavedModel ({reason}). Export it again.") from problem

    def compute(patches: np.ndarray) -> np.ndarray:
        with explain_full_memory(patches.shape):
            return probabilities(**{IMAGE: tf.constant(patches)})[PROBABILITIES].numpy()

    compute.__dict__["kept"] = loaded  # the variables are deleted with this object
    return compute


@contextmanager
def explain_full_memory(shape: Sequence[int]) -> Iterator[None]:
    """Replace TensorFlow's out-of-memory error by `MemoryFull` for patches of this shape."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as problem:
        raise MemoryFull(shape) from problem


def takes_slices(model: keras.Model) -> bool:
    """Whether the model takes slices (B, X, Y, M), not patches (B, X, Y, Z, M)."""
    return len(model.inputs[0].shape) == 4


def probabilities_of(model: keras.Model, outputs: str) -> Callable[[tf.Tensor], tf.Tensor]:
    """`model` as a function from patches or slices to the probability of each logit, float32.

    Args:
        model: Network whose first output holds logits at full resolution.
        outputs: Meaning of the logits: "regions" (sigmoid) or "labels" (softmax).
    """

    def probabilities(patches: tf.Tensor) -> tf.Tensor:
        heads = model(patches, training=False)  # a list with full resolution first, or a tensor if there is one head
        logits = tf.cast(heads[0] if isinstance(heads, (list, tuple)) else heads, tf.float32)
        return tf.sigmoid(logits) if outputs == "regions" else tf.nn.softmax(logits)

    return probabilities


def _graph(function: Tensors, *signature: tf.TensorSpec, loops: bool = False) -> Tensors:
    """A function, maybe with loops over tensors, as a graph: traced once, and without warnings for many networks."""
    traced = cache(tf.function(function, input_signature=signature, autograph=loops).get_concrete_function)
    return lambda *tensors: traced()(*tensors)


def as_regions(probabilities: np.ndarray, outputs: str, scheme: Scheme) -> np.ndarray:
    """Region probabilities from those that `probabilities_of` returns; also for weighted sums of them."""
    return probabilities if outputs == "regions" else scheme.regions_from_classes(probabilities)


def forward_of(model: keras.Model, outputs: str, scheme: Scheme) -> Forward:
    """`model` as a function from patches (B, X, Y, Z, M) to region probabilities (B, X, Y, Z, R), traced once.

    Args:
        model: Network of patches (B, X, Y, Z, M) or of slices (B, X, Y, M); see `probabilities_of`.
        outputs: Meaning of its logits: "regions" or "labels".
        scheme: What the regions and classes are.
    """
    slices = takes_slices(model)
    predict = _graph(probabilities_of(model, outputs), patches_of(model, tf.float16))

    def regions(patches: np.ndarray) -> np.ndarray:
        with explain_full_memory(patches.shape):
            return as_regions(predict(tf.constant(patches)).numpy(), outputs, scheme)

    def forward(patches: np.ndarray) -> np.ndarray:
        patches = patches.astype(np.float16, copy=False)
        return in_slices(regions, patches) if slices else regions(patches)

    return forward


def sum_of_tiles_of(model: keras.Model, outputs: str, scheme: Scheme) -> SumOfTiles:
    """`model`, of patches (B, X, Y, Z, M), as a function that cuts tiles and adds up their predictions on the device.

    The image is copied to the GPU once and the sum is copied back once. On an H200, cutting, copying and adding up on
    the host took twice as long as nnU-Net's network itself.
    """
    predict = probabilities_of(model, outputs)
    channels, spaces = model.inputs[0].shape[-1], (None, None, None)

    def added(total: tf.Tensor, image: tf.Tensor, starts: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        size = tf.shape(weight)
        extent = tf.concat([size, [channels]], axis=0)
        tiles = tf.map_fn(
            lambda start: tf.slice(image, tf.concat([start, [0]], axis=0), extent),
            starts,
            fn_output_signature=tf.float16,
        )
        tiles.set_shape((None, None, None, None, channels))
        weighted = predict(tiles) * weight[None, ..., None]
        for index in tf.range(tf.shape(starts)[0]):
            before = starts[index]
            around = tf.stack([before, tf.shape(image)[:3] - before - size], axis=1)
            total += tf.pad(weighted[index], tf.concat([around, [[0, 0]]], axis=0))
        return total

    volumes = [tf.TensorSpec((*spaces, last), kind) for last, kind in ((None, tf.float32), (channels, tf.float16))]
    add = _graph(added, *volumes, tf.TensorSpec((None, 3), tf.int32), tf.TensorSpec(spaces, tf.float32), loops=True)

    def sum_of_tiles(image: np.ndarray, boxes: Sequence[Box], weight: np.ndarray, at_once: int) -> np.ndarray:
        starts = [box.start for box in boxes]
        with explain_full_memory((at_once, *weight.shape, channels)):
            volume, weights = tf.constant(image.astype(np.float16, copy=False)), tf.constant(weight)
            total = tf.zeros((*image.shape[:3], model.outputs[0].shape[-1]), tf.float32)
            for first in range(0, len(starts), at_once):
                total = add(total, volume, tf.constant(starts[first : first + at_once], tf.int32), weights)
            return as_regions(total.numpy(), outputs, scheme)

    return sum_of_tiles
