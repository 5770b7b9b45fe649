"""The post-processing as it was when it knew gliomas only, to compare with: WT, TC, ET and the labels 2, 1, 4."""

import cc3d
import numpy as np

from brats_unet.data.prepare.brain import filled
from brats_unet.geometry import bounding_box, crop, uncrop

REGIONS = {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}
TISSUES = (2, 1, 4)


def labels_before(probabilities, spacing_mm, rules):
    """Labels from probabilities (X, Y, Z, 3); `rules` are plain types with a value for every region."""
    labels = painted(probabilities >= np.array([rules["threshold"][name] for name in REGIONS], np.float32))
    if not labels.any():
        return labels
    box = bounding_box(labels != 0)
    masks = np.stack([np.isin(crop(labels, box), values) for values in REGIONS.values()], axis=-1)
    return uncrop(
        painted(cleaned(masks, crop(probabilities, box), float(np.prod(spacing_mm)), rules)), box, labels.shape
    )


def painted(masks):
    labels = np.zeros(masks.shape[:-1], np.uint8)
    for index, tissue in enumerate(TISSUES):
        labels[masks[..., index]] = tissue
    return labels


def cleaned(masks, probabilities, voxel_mm3, rules):
    for index, region in enumerate(REGIONS):
        mask = masks[..., index]
        if index:
            mask &= masks[..., index - 1]
        mask &= kept_components(mask, probabilities[..., index], voxel_mm3, rules, region)
        if rules["fill_holes"][region] and mask.any():
            mask |= filled(mask)
    for inner in (2, 1):
        masks[..., inner - 1] |= masks[..., inner]
    if 0 < masks[..., 2].sum() * voxel_mm3 < rules["least_et_mm3"]:
        masks[..., 2] = False
    return masks


def kept_components(mask, probability, voxel_mm3, rules, region):
    least_voxels = rules["least_component_mm3"][region] / voxel_mm3
    least_mean, largest_only = rules["least_component_probability"][region], rules["largest_only"][region]
    if not (least_voxels or least_mean or largest_only) or not mask.any():
        return mask
    components = cc3d.connected_components(mask, connectivity=26)
    voxels = np.bincount(components.ravel())
    keep = voxels >= least_voxels
    if least_mean:
        keep &= np.bincount(components.ravel(), weights=probability.ravel()) >= least_mean * voxels
    keep[0] = False
    if largest_only and keep.any():
        largest = np.argmax(np.where(keep, voxels, 0))
        keep[:] = False
        keep[largest] = True
    return keep[components]
