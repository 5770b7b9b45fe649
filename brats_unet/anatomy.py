"""Modalities, labels and regions of BraTS; the only file that knows that 4 means enhancing tumour."""

from enum import IntEnum, StrEnum
from typing import Any

import numpy as np


class Modality(StrEnum):
    """The four MR contrasts of a BraTS case, in the channel order used everywhere."""

    FLAIR = "flair"
    T1 = "t1"
    T1CE = "t1ce"
    T2 = "t2"


class Label(IntEnum):
    """What a voxel is, with the integers of BraTS 2017-2021, whatever convention the file on disk follows."""

    BACKGROUND = 0
    NECROTIC = 1  # necrotic and non-enhancing tumour core
    OEDEMA = 2
    CAVITY = 3  # resection cavity (BraTS 2024): part of no region, never predicted
    ENHANCING = 4


class Region(StrEnum):
    """What is scored: WT contains TC contains ET."""

    WT = "WT"
    TC = "TC"
    ET = "ET"


REGION_LABELS: dict[Region, tuple[Label, ...]] = {
    Region.WT: (Label.NECROTIC, Label.OEDEMA, Label.ENHANCING),
    Region.TC: (Label.NECROTIC, Label.ENHANCING),
    Region.ET: (Label.ENHANCING,),
}
# The tissue a voxel is when a region is the innermost one that holds it; outermost first.
REGION_TISSUE: dict[Region, Label] = {
    Region.WT: Label.OEDEMA,
    Region.TC: Label.NECROTIC,
    Region.ET: Label.ENHANCING,
}
# Softmax channels of a label-wise network, in order.
CLASSES: tuple[Label, ...] = (Label.BACKGROUND, Label.NECROTIC, Label.OEDEMA, Label.ENHANCING)
# Which class (row) belongs to which region (column): 0 or 1, float32.
REGIONS_OF_CLASSES = np.array([[label in REGION_LABELS[region] for region in Region] for label in CLASSES], np.float32)


def region_mask(labels: np.ndarray, region: Region) -> np.ndarray:
    """Mask of one region, bool, of the shape of `labels` (integers of `Label`); all False where it is absent."""
    table = np.zeros(256, bool)
    table[list(REGION_LABELS[region])] = True
    return table[labels.astype(np.uint8, copy=False)]


def region_masks(labels: np.ndarray) -> np.ndarray:
    """Masks of WT, TC and ET stacked on a new last axis, bool, shape (*labels.shape, 3)."""
    return np.stack([region_mask(labels, region) for region in Region], axis=-1)


def labels_from_regions(masks: np.ndarray) -> np.ndarray:
    """The one way from regions to labels: a voxel takes the tissue of the innermost region that claims it.

    Args:
        masks: bool, shape (..., 3), regions in the order of `Region`. They need not be nested: a voxel of ET outside
            WT is enhancing tumour all the same, so that the regions of the result are always nested.

    Returns:
        uint8 labels of shape masks.shape[:-1]; `region_masks` of it equals `masks` wherever those are nested.
    """
    labels = np.zeros(masks.shape[:-1], np.uint8)
    for index, region in enumerate(Region):
        labels[masks[..., index]] = REGION_TISSUE[region]
    return labels


def regions_from_classes(probabilities: Any) -> Any:
    """Region probabilities (..., 3) from softmax class probabilities (..., 4), an array or a tensor of Keras: sums."""
    return probabilities @ REGIONS_OF_CLASSES


def classes_from_regions(probabilities: np.ndarray) -> np.ndarray:
    """The inverse of `regions_from_classes`: (..., 4) from (..., 3), exact where the regions came from a softmax."""
    wt, tc, et = (probabilities[..., index] for index in range(len(Region)))
    shares = {Label.BACKGROUND: 1 - wt, Label.NECROTIC: tc - et, Label.OEDEMA: wt - tc, Label.ENHANCING: et}
    return np.stack([shares[label] for label in CLASSES], axis=-1)
