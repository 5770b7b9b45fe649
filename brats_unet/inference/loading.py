"""Open trained networks: run folders by their checkpoints, `.keras` files with their recipe, and exported networks.

TensorFlow and Keras are imported only for what they compute: an ONNX network predicts on a machine without them.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from brats_unet.hardware import quiet_tensorflow
from brats_unet.inference.exported import WITH_TENSORFLOW, description_of, open_exported
from brats_unet.inference.network import Network
from brats_unet.run import Run


def open_network(
    path: Path,
    *,
    which: str,
    policies: Mapping[str, str],
    device: str = "auto",
    trust: bool = False,
    log: Callable[[str], None],
) -> Network:
    """Open a trained network for prediction.

    Args:
        path: A run folder, a `.keras` file with `recipe.json` beside it, or an exported network (its folder or its
            file).
        which: Checkpoint of a run folder, "last" or "best".
        policies: Keras dtype policy for each precision that the machine supports well; other precisions run in float32.
        device: "auto", "cpu" or "gpu", for an ONNX or OpenVINO network. For TensorFlow, choose the device beforehand.
        trust: Whether a SavedModel may run, which is a program of those who made it.
        log: Called with one sentence about anything the user should know.

    Raises:
        SettingsError: Unknown checkpoint.
        CheckpointError: `path` does not exist, cannot be read, holds weights of another network, or is unsafe.
        MachineError: The package or device that runs the network is missing.
    """
    description = description_of(path)
    if description is not None:
        from brats_unet.inference.runtimes import exported_network

        return exported_network(open_exported(path, description), device=device, trust=trust, log=log)
    with quiet_tensorflow():
        from brats_unet.inference import keras_network

    model, recipe = keras_network.trained_model(path, which=which, policies=policies)
    return keras_network.network_of(model, recipe, log)


def needs_tensorflow(path: Path) -> bool:
    """Whether the network at `path` runs in TensorFlow."""
    description = description_of(path)
    return description is None or open_exported(path, description).format in WITH_TENSORFLOW


def recipe_file(path: Path) -> Path:
    """The JSON file that says how the network at `path` was trained or exported."""
    return description_of(path) or _trained(path).recipe_file


def weights_file(path: Path, which: str) -> Path:
    """The file with the weights of the network at `path`; when it changes, the network has changed."""
    description = description_of(path)
    if description is not None:
        file = open_exported(path, description).file
        return file / "saved_model.pb" if file.is_dir() else file
    return path if path.suffix == ".keras" else Run(path).checkpoint_file(which)


def rules_file(path: Path) -> Path:
    """The JSON file with the post-processing of the network at `path`: that of `tune`, else its recipe."""
    description = description_of(path)
    if description is not None:
        return description
    run = _trained(path)
    return run.postprocessing_file if run.postprocessing_file.exists() else run.recipe_file


def _trained(path: Path) -> Run:
    """The folder of a run, or the one of a `.keras` file, which has names as in a run."""
    return Run(path.parent if path.suffix == ".keras" else path)
