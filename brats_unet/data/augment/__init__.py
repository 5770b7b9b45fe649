"""Augmentations by name: transforms of patches, with drawing apart from applying.

A builder takes options and returns an `augmentation.Augmentation`. Another package adds one with an entry point of the
group `brats_unet.augmentations`.
"""

from collections.abc import Callable, Mapping

from brats_unet.data.augment.augmentation import Augmentation
from brats_unet.data.augment.mirror import mirror, none
from brats_unet.data.augment.nnunet import full
from brats_unet.plugins import Builders

AUGMENTATIONS: dict[str, Callable[..., Augmentation]] = {
    "none": none,
    "mirror": mirror,
    "nnunet": full,
    "da": full,
    "da_star": full,
}


def known() -> Mapping[str, Callable[..., Augmentation]]:
    """Our augmentations and those of installed packages."""
    part = "brats_unet.data.augment.augmentation.Augmentation"
    return Builders(AUGMENTATIONS, "augmentation", part, lambda made: isinstance(made, Augmentation))
