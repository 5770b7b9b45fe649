"""Write a trained network in a format that others read: float32, any number and size of patches, probabilities out."""

import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from brats_unet.anatomy import regions_from_classes
from brats_unet.errors import CheckpointError
from brats_unet.hardware import quiet_tensorflow
from brats_unet.inference.any_size import for_any_size, patches_of, size_limit
from brats_unet.inference.exported import FILES, IMAGE, PROBABILITIES
from brats_unet.inference.network import Network

OPSET = 18  # of ONNX: what onnxruntime 1.14 and later read
FAR = 1e-4  # mean difference of probabilities that no rounding makes; single ones differ by 2e-4 (nnU-Net's network)


def probability_model(model: keras.Model, outputs: str) -> keras.Model:
    """A network of logits with the step to region probabilities built in; what it adds are stock operations.

    Args:
        model: In float32; its heads after the first, which only training looks at, are left out.
        outputs: "regions" or "labels": what its logits stand for.
    """
    logits = model.outputs[0]
    if outputs == "regions":
        regions = keras.layers.Activation("sigmoid", dtype="float32", name=PROBABILITIES)(logits)
    else:
        classes = keras.layers.Activation("softmax", dtype="float32", name="class_probabilities")(logits)
        regions = regions_from_classes(classes)
    return keras.Model(model.inputs[0], regions, name=model.name)


def write_network(
    model: keras.Model,
    outputs: str,
    stride: Sequence[int],
    folder: Path,
    form: str,
    *,
    log: Callable[[str], None],
) -> tuple[int, ...]:
    """Write a network of logits as one of probabilities into `folder`, under its name in `exported.FILES`.

    Args:
        model: See `probability_model`.
        outputs: Likewise.
        stride: Total stride of the network along x, y, z.
        folder: To write into.
        form: Name of `exported.FILES`.
        log: Called with a sentence where the network cannot take volumes of any size.

    Returns:
        Of which lengths along x, y, z the patches that it takes are multiples: 1 where it takes any, `stride` in the
        form of Keras, which must load without our layers.
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
    model = probability_model(model, outputs)
    with quiet_tensorflow(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of converters, about their own insides
        WRITERS[form](model, folder / FILES[form])
    return tuple(stride)


def refuse_other_answers(trained: Network, exported: Network) -> float:
    """The largest difference between the probabilities of two forms of a network, on noise of two sizes.

    Raises:
        CheckpointError: Their mean difference is more than rounding makes, or some are no numbers.
    """
    channels = len(trained.preparation.modalities)
    largest = mean = 0.0
    for batch, cells in ((1, (2, 2, 2)), (2, (3, 2, 4))):
        lengths = [step * count for step, count in zip(trained.recipe["stride"], cells, strict=True)]
        if batch > 1:  # the next smaller size that the exported one takes
            lengths = [(n - 1) // step * step for n, step in zip(lengths, exported.stride, strict=True)]
        rng = np.random.Generator(np.random.Philox(key=batch))
        noise = rng.normal(size=(batch, *lengths, channels)).astype(np.float16)
        apart = np.abs(trained.forward(noise) - exported.forward(noise))
        if not np.isfinite(apart).all():
            raise CheckpointError("On noise, probabilities are not finite numbers. Nothing was written; train again.")
        largest, mean = max(largest, float(apart.max())), max(mean, float(apart.mean()))
    if mean > FAR:
        raise CheckpointError(
            f"The exported network answers otherwise than the trained one: probabilities differ by {mean:.2g} on "
            f"average (rounding makes {FAR:g} at most), by up to {largest:.2g}. Nothing was written; choose another "
            f"format, and report this with the run's recipe.json."
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
    log.setLevel(logging.ERROR)  # it says where its assets went, of which there are none
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

    with TemporaryDirectory(dir=file.parent) as folder:  # by way of ONNX: of a SavedModel it can lose variables
        _onnx(model, through := Path(folder) / "model.onnx")
        network = openvino.convert_model(str(through))
        openvino.save_model(network, str(file), compress_to_fp16=False)


WRITERS: dict[str, Callable[[keras.Model, Path], None]] = {
    "keras": _keras,
    "savedmodel": _savedmodel,
    "onnx": _onnx,
    "openvino": _openvino,
}
