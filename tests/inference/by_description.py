"""From probabilities to a mask by prediction.json alone, as another program would do it: SciPy, none of our code."""

import numpy as np
from scipy import ndimage

EVERYWHERE, FACES = np.ones((3, 3, 3), bool), ndimage.generate_binary_structure(3, 1)


def mask_of(content, probabilities, spacing_mm):
    """Integers of the mask.

    Args:
        content: Content of prediction.json.
        probabilities: Probabilities on the grid of the scans, shape (X, Y, Z, R).
        spacing_mm: Voxel edge lengths.
    """
    regions, rules = content["network"]["output"]["regions"], content["postprocessing"]
    members = {name: set(content["scheme"]["regions"][name]["labels"]) for name in regions}
    around = {name: [other for other in regions if members[name] < members[other]] for name in regions}
    thresholds = {name: np.float32(rules["threshold"][name]) for name in regions}
    masks = {name: probabilities[..., index] >= thresholds[name] for index, name in enumerate(regions)}
    for name in regions:
        for outer in around[name]:
            masks[outer] = masks[outer] | masks[name]
    voxel_mm3 = float(np.prod(spacing_mm))
    for index, name in enumerate(regions):
        for outer in around[name]:
            masks[name] = masks[name] & masks[outer]
        masks[name] = _cleaned(
            masks[name], probabilities[..., index], voxel_mm3, {r: rules[r].get(name) for r in rules}
        )
        for outer in around[name]:
            masks[outer] = masks[outer] | masks[name]
    for name, least in rules["least_total_mm3"].items():
        if masks[name].sum() * voxel_mm3 < least:
            for inner in regions:
                if inner == name or name in around[inner]:
                    masks[inner] = np.zeros_like(masks[inner])
    return _integers(content, masks)


def _cleaned(mask, probability, voxel_mm3, rules):
    components, count = ndimage.label(mask, EVERYWHERE)
    kept = [components == number for number in range(1, count + 1)]
    kept = [one for one in kept if one.sum() * voxel_mm3 >= rules["least_component_mm3"]]
    kept = [one for one in kept if probability[one].mean(dtype=np.float64) >= rules["least_component_probability"]]
    if rules["largest_only"]:
        kept = sorted(kept, key=lambda one: -one.sum())[:1]
    mask = np.any(kept, axis=0) if kept else np.zeros_like(mask)
    return ndimage.binary_fill_holes(mask, FACES) if rules["fill_holes"] else mask


def _integers(content, masks):
    labels, (*_, last) = content["labels"], content["how"]["postprocessing"]
    found = np.zeros(next(iter(masks.values())).shape, int)
    if "by_regions" in labels:
        for place in np.ndindex(found.shape):
            found[place] = labels["by_regions"]["+".join(name for name in masks if masks[name][place])]
        return found
    words = last.split(" contains it: ")[1].split(", otherwise background")[0].split(", ")
    word_of = {name: word for word, name in (one.rsplit(" for ", 1) for one in words)}
    for name, mask in masks.items():  # the last one wins
        found[mask] = labels["integers"][word_of[name]]
    return found
