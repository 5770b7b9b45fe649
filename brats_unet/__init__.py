"""Train, evaluate and run U-Nets for brain-tumour segmentation in MRI: a command line, and `load` for notebooks."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# The public surface: names that `from brats_unet import …` gives, and the module of each. They are imported when they
# are first asked for, so that the command line starts without numpy.
PUBLIC = {
    "load": "brats_unet.api",
    "Segmenter": "brats_unet.api",
    "Segmentation": "brats_unet.api",
    "BratsError": "brats_unet.errors",
    "DataError": "brats_unet.errors",
    "SettingsError": "brats_unet.errors",
    "CheckpointError": "brats_unet.errors",
    "MachineError": "brats_unet.errors",
}
__all__ = ["__version__", *PUBLIC]


def __getattr__(name: str) -> Any:
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*globals(), *PUBLIC))
