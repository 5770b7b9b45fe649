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
    path: Path, *, which: str, policies: Mapping[str, str], device: str = "auto", log: Callable[[str], None]
) -> Network:
    """A trained network, ready to predict.

    Args:
        path: A run folder, a `.keras` file with `recipe.json` beside it, or what `brats-unet export` wrote: the
            folder, or the network's file in it.
        which: Checkpoint of a run folder, "last" or "best".
        policies: Keras dtype policy for each precision that the machine computes well in; others run in float32.
        device: Of an exported network: "auto", "cpu" or "gpu". TensorFlow's is chosen before.
        say: Told what a person should know.

    Raises:
        SettingsError: An unknown checkpoint.
        CheckpointError: Nothing there, not readable, or weights of another network.
        MachineError: What computes it is missing.
    """
    description = description_of(path)
    if description is not None:
        from brats_unet.inference.runtimes import exported_network

        return exported_network(open_exported(path, description), device=device, log=log)
    with quiet_tensorflow():
        from brats_unet.inference import keras_network

    model, recipe = keras_network.trained_model(path, which=which, policies=policies)
    return keras_network.network_of(model, recipe, log)


def needs_tensorflow(path: Path) -> bool:
    """Whether TensorFlow computes what lies at `path`."""
    description = description_of(path)
    return description is None or open_exported(path, description).format in WITH_TENSORFLOW


def weights_file(path: Path, which: str) -> Path:
    """The file whose change makes another network of what lies at `path`."""
    description = description_of(path)
    if description is not None:
        file = open_exported(path, description).file
        return file / "saved_model.pb" if file.is_dir() else file
    return path if path.suffix == ".keras" else Run(path).checkpoint_file(which)


def rules_file(path: Path) -> Path:
    """The JSON file that may say how masks are made of this network's probabilities."""
    description = description_of(path)
    if description is not None:
        return description
    beside = path.parent if path.suffix == ".keras" else path
    return Run(beside).postprocessing_file
