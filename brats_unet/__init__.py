"""Train, evaluate and run U-Nets for brain-tumour segmentation in MRI: a command line, and `load` for notebooks."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`load`, imported when it is first asked for: it brings numpy and nibabel, and the command line starts without."""
    if name in __all__:
        return getattr(import_module("brats_unet.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted((*globals(), *__all__))
