"""Write a trained network for other programs: float32, batches and patches of any size, region probabilities out."""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from brats_unet.errors import CheckpointError
from brats_unet.hardware import quiet_tensorflow
from brats_unet.inference.any_size import for_any_size, patches_of, size_limit
from brats_unet.inference.exported import CLASS_PROBABILITIES, FILES, IMAGE, PROBABILITIES
from brats_unet.inference.network import Network
from brats_unet.schemes.scheme import Scheme

OPSET = 18  # ONNX operator set, read by onnxruntime 1.14 and later
# Largest mean difference of probabilities that rounding can cause; single ones differ by 2e-4 (nnU-Net's network).
LARGEST_MEAN_DIFFERENCE = 1e-4


def probability_model(model: keras.Model, outputs: str, scheme: Scheme) -> keras.Model:
    """A network of logits with the step to region probabilities added, in stock Keras operations.

    Args:
        model: Network in float32. Only its first head is kept; the others are for deep supervision.
        outputs: Meaning of the logits: "regions" (sigmoid) or "labels" (softmax).
        scheme: What the regions and classes are.
    """
    logits = model.outputs[0]
    if outputs == "regions":
        regions = keras.layers.Activation("sigmoid", dtype="float32", name=PROBABILITIES)(logits)
    else:
        classes = keras.layers.Activation("softmax", dtype="float32", name=CLASS_PROBABILITIES)(logits)
        regions = scheme.regions_from_classes(classes)
    return keras.Model(model.inputs[0], regions, name=model.name)


def write_network(
    model: keras.Model,
    outputs: str,
    scheme: Scheme,
    stride: Sequence[int],
    folder: Path,
    form: str,
    *,
    log: Callable[[str], None],
) -> tuple[int, ...]:
    """Write a network of logits as a network of region probabilities, under its name in `exported.FILES`.

    Args:
        model: Network in float32; see `probability_model`.
        outputs: Meaning of its logits: "regions" or "labels".
        scheme: What the regions and classes are.
        stride: Total stride of the network along x, y, z.
        folder: Folder to write into.
        form: Key of `exported.FILES`.
        log: Called with one sentence if the network cannot take volumes of any size.

    Returns:
        Lengths along x, y, z whose multiples the exported network takes: 1 if it takes any length. Always `stride` for
        "keras", because the file must load without the layers of this package.
    """
    limit = size_limit(model)
    if limit is not None:
        log(
            f"The exported network takes only multiples of {'×'.join(map(str, stride))} voxels, because "
            f"{limit.reason}. In mode=whole, volumes of other sizes are padded with zeros, which normalisation layers "
            f"see too, so scores can be lower. Use mode=tiles, or {limit.remedy}, and export again."
        )
    if form != "keras":
        model, stride, _ = for_any_size(model, stride)
    model = probability_model(model, outputs, scheme)
    with quiet_tensorflow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # converters warn about their own internals
        WRITERS[form](model, folder / FILES[form])
    return tuple(stride)


def refuse_other_answers(trained: Network, exported: Network) -> float:
    """Compare the probabilities of a trained and an exported network on noise of two sizes.

    Returns:
        The largest absolute difference of a probability.

    Raises:
        CheckpointError: The mean difference is larger than rounding can cause, or a probability is not finite.
    """
    channels = len(trained.preparation.modalities)
    largest = mean = 0.0
    for batch, cells in ((1, (2, 2, 2)), (2, (3, 2, 4))):
        lengths = [step * count for step, count in zip(trained.recipe["stride"], cells, strict=True)]
        if batch > 1:  # the next smaller size that the exported network takes
            lengths = [(n - 1) // step * step for n, step in zip(lengths, exported.stride, strict=True)]
        rng = np.random.Generator(np.random.Philox(key=batch))
        noise = rng.normal(size=(batch, *lengths, channels)).astype(np.float16)
        apart = np.abs(trained.forward(noise) - exported.forward(noise))
        if not np.isfinite(apart).all():
            raise CheckpointError("On noise, probabilities are not finite numbers. Nothing was written; train again.")
        largest, mean = max(largest, float(apart.max())), max(mean, float(apart.mean()))
    if mean > LARGEST_MEAN_DIFFERENCE:
        raise CheckpointError(
            f"The exported network predicts differently from the trained one: on noise, probabilities differ by "
            f"{mean:.2g} on average (rounding causes at most {LARGEST_MEAN_DIFFERENCE:g}) and by up to {largest:.2g}. "
            f"Nothing was written. Choose another format, and report this with the run's recipe.json."
        )
    return largest


def _traced(model: keras.Model) -> Any:
    def probabilities(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {PROBABILITIES: model(image, training=False)}

    return tf.function(probabilities, input_signature=[patches_of(model, tf.float32, IMAGE)])


def _keras(model: keras.Model, file: Path) -> None:
    model.save(file)


def _savedmodel(model: keras.Model, folder: Path) -> None:
    module = tf.Module()
    module.network = model
    level = (log := logging.getLogger("tensorflow")).level
    log.setLevel(logging.ERROR)  # it reports where it wrote assets, but there are none
    try:
        tf.saved_model.save(module, str(folder), signatures=_traced(model))
    finally:
        log.setLevel(level)


def _onnx(model: keras.Model, file: Path) -> None:
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    traced = _traced(model)
    network, _ = tf2onnx.convert.from_function(traced, input_signature=traced.input_signature, opset=OPSET)
    for value in (*network.graph.input, *network.graph.output):
        axes = value.type.tensor_type.shape.dim
        for axis, name in zip(axes[:-1], ("batch", "x", "y", "z"), strict=False):
            axis.dim_param = name
    file.write_bytes(network.SerializeToString())


def _openvino(model: keras.Model, file: Path) -> None:
    import openvino

    # Convert from ONNX: conversion from a SavedModel can lose variables.
    with TemporaryDirectory(dir=file.parent) as folder:
        _onnx(model, through := Path(folder) / "model.onnx")
        network = openvino.convert_model(str(through))
        openvino.save_model(network, str(file), compress_to_fp16=False)


WRITERS: dict[str, Callable[[keras.Model, Path], None]] = {
    "keras": _keras,
    "savedmodel": _savedmodel,
    "onnx": _onnx,
    "openvino": _openvino,
}
