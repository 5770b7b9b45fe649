"""Train, evaluate and run U-Nets for brain-tumour segmentation in MRI: a command line, and `load` for notebooks."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# The public surface: names that `from brats_unet import …` gives, and the module of each. They are imported when they
# are first asked for, so that the command line starts without numpy.
PUBLIC = {
    "load": "brats_unet.api",
    "Segmenter": "brats_unet.api",
    "Segmentation": "brats_unet.segmentation",
    "train": "brats_unet.calls",
    "evaluate": "brats_unet.calls",
    "predict": "brats_unet.calls",
    "compare": "brats_unet.calls",
    "crossval": "brats_unet.calls",
    "show": "brats_unet.showing",
    "BratsError": "brats_unet.errors",
    "DataError": "brats_unet.errors",
    "SettingsError": "brats_unet.errors",
    "CheckpointError": "brats_unet.errors",
    "MachineError": "brats_unet.errors",
    # For packages that add a network, a loss, a metric or an augmentation; see CONTRIBUTING.md.
    "NetworkShape": "brats_unet.models.network_shape",
    "with_shape": "brats_unet.models.network_shape",
    "Loss": "brats_unet.losses.loss",
    "Metric": "brats_unet.metrics.metric",
    "MaskPair": "brats_unet.metrics.pair",
    "Augmentation": "brats_unet.data.augment.augmentation",
    "contract_options": "brats_unet.parts",
    "contract_options_of": "brats_unet.parts",
    "plain_run": "brats_unet.data.augment.augmentation",  # applies an augmentation on any Keras backend
}
__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*globals(), *PUBLIC))
