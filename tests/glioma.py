"""Labels and regions of glioma as they were written into the code before there were schemes: the oracle of their tests."""

from enum import IntEnum, StrEnum

import numpy as np


class Label(IntEnum):
    """Tissue of a voxel. In memory always the integers of BraTS 2017-2021; files may follow another convention."""

    BACKGROUND = 0
    NECROTIC = 1  # necrotic and non-enhancing tumour core
    OEDEMA = 2
    CAVITY = 3  # resection cavity (BraTS 2024): in no region, never predicted
    ENHANCING = 4


class Region(StrEnum):
    """The nested regions that are scored: WT (whole tumour) ⊃ TC (tumour core) ⊃ ET (enhancing tumour)."""

    WT = "WT"
    TC = "TC"
    ET = "ET"


REGION_LABELS: dict[Region, tuple[Label, ...]] = {
    Region.WT: (Label.NECROTIC, Label.OEDEMA, Label.ENHANCING),
    Region.TC: (Label.NECROTIC, Label.ENHANCING),
    Region.ET: (Label.ENHANCING,),
}
# The tissue of a voxel by the innermost region that contains it; outermost region first.
REGION_TISSUE: dict[Region, Label] = {
    Region.WT: Label.OEDEMA,
    Region.TC: Label.NECROTIC,
    Region.ET: Label.ENHANCING,
}
# Softmax channels of a network that predicts labels, in order.
CLASSES: tuple[Label, ...] = (Label.BACKGROUND, Label.NECROTIC, Label.OEDEMA, Label.ENHANCING)


def region_mask(labels: np.ndarray, region: Region) -> np.ndarray:
    """Mask of one region, bool, in the shape of `labels` (integers of `Label`); all False if the region is absent."""
    table = np.zeros(256, bool)
    table[list(REGION_LABELS[region])] = True
    return table[labels.astype(np.uint8, copy=False)]


def region_masks(labels: np.ndarray) -> np.ndarray:
    """Masks of WT, TC and ET stacked on a new last axis, bool, shape (*labels.shape, 3)."""
    return np.stack([region_mask(labels, region) for region in Region], axis=-1)


def labels_from_regions(masks: np.ndarray) -> np.ndarray:
    """Labels from region masks: a voxel takes the tissue of the innermost region that contains it.

    Args:
        masks: bool, shape (..., 3), regions in the order of `Region`. They need not be nested: a voxel in ET but not in
            WT becomes enhancing tumour, so the regions of the result are always nested.

    Returns:
        uint8 labels of shape masks.shape[:-1]; their `region_masks` equal `masks` wherever `masks` are nested.
    """
    labels = np.zeros(masks.shape[:-1], np.uint8)
    for index, region in enumerate(Region):
        labels[masks[..., index]] = REGION_TISSUE[region]
    return labels


def classes_from_regions(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities of `CLASSES` (..., 4) from those of regions (..., 3); exact if the regions came from a softmax."""
    wt, tc, et = (probabilities[..., index] for index in range(len(Region)))
    shares = {Label.BACKGROUND: 1 - wt, Label.NECROTIC: tc - et, Label.OEDEMA: wt - tc, Label.ENHANCING: et}
    return np.stack([shares[label] for label in CLASSES], axis=-1)
