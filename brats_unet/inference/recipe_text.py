"""Describe prediction step by step, in enough detail to reimplement it in another program."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from brats_unet.data.prepare.preparation import CROPS, NORMALISATIONS
from brats_unet.inference.postprocess import regions_of
from brats_unet.schemes.scheme import Scheme
from brats_unet.schemes.scheme_file import scheme_in

SEAM = (
    "If a scan was interpolated after skull-stripping, correct the dark voxels that this leaves at the edge of the "
    "brain (docs/PREDICTION.md explains how)."
)
HEAD = (
    "A voxel is bright if it lies above half the way from the background value of a scan to Otsu's threshold (of the "
    "intensities from the background to the 99th percentile, in 256 bins). The head is the largest 6-connected "
    "component of bright voxels, with the holes of each axial slice filled."
)


def recipe_sentences(recipe: Mapping[str, Any], rank: int) -> dict[str, list[str]]:
    """Sentences on how scans become masks, by step.

    Args:
        recipe: Recipe of the run; see `network.recipe`.
        rank: Spatial dimensions of the network's input, 2 or 3.

    Returns:
        Lists of sentences under "preparation", "prediction" and "postprocessing".
    """
    preparation, missing = recipe["preparation"], float(recipe.get("modality_dropout", 0)) > 0
    head = preparation["crop"] == "head"
    inside = "are in the head" if head else "are not background"
    crop = {
        "brain": "Crop all scans to the smallest box that contains every voxel that is not background in at least one "
        "scan.",
        "head": "Crop all scans to the smallest box that contains the head.",
        "none": "Do not crop: keep the whole field of view.",
    }
    normalise = {
        "zscore": f"Normalise each scan by itself: subtract the mean of its voxels in the box that {inside}, "
        "and divide by the standard deviation of the same voxels (divisor n).",
        "max": "Normalise each scan by itself: divide it by the largest absolute value of its voxels in the box that "
        f"{inside}.",
    }
    assert set(crop) == set(CROPS) and set(normalise) == set(NORMALISATIONS)
    return {
        "preparation": [
            f"Use the scans {', '.join(preparation['modalities'])} as channels, in this order. They must "
            f"{'show the whole head' if head else 'be skull-stripped'} and share one grid."
            + (" A missing scan may be replaced by a channel of zeros." if missing else " All scans are required."),
            "If a voxel axis is tilted by more than 2 degrees, first resample linearly onto a grid that is parallel to "
            "the patient's axes.",
            "Permute and reverse the axes so that x points to the patient's left, y to posterior and z to superior.",
            "The background value of a scan is the most frequent value on its six outer faces.",
            HEAD if head else SEAM,
            crop[preparation["crop"]],
            normalise[preparation["normalise"]],
            "Fill the holes of the head, in three dimensions too, and set all voxels outside it to 0."
            if head
            else "The brain mask holds every voxel that is not background in at least one scan, with its holes "
            "(6-connected) filled. Set all voxels outside the mask to 0.",
            "Resample each axis whose voxel length differs from spacing_mm by more than a thousandth: by area means if "
            "voxels become longer, linearly if they become shorter. If the scans were cropped to the brain, the first "
            "voxel of a resampled axis starts before the box, by less than one voxel, so that the brain's centre of "
            "mass lies in the middle of a voxel.",
            "Round to float16, then convert to float32 for the network.",
        ],
        "prediction": [
            *([] if rank == 3 else ["The network takes axial slices: use z as the batch axis."]),
            "mode whole: predict the volume in one pass. If multiple_of is above 1, pad each axis with zeros to the "
            "next multiple and no further, half of the zeros (rounded down) before the volume and the rest after it, "
            "and crop the result to the original size.",
            "mode tiles: pad each axis that is shorter than the tile with zeros to the length of the tile, in the same "
            "way. Predict overlapping tiles of `tile` voxels, spread evenly from edge to edge, with at least `overlap` "
            "of their length in common with the next tile, and average them with Gaussian weights (sigma is an eighth "
            "of the tile's length).",
            "mirror: also predict every mirroring along these axes, mirror the results back, and average the "
            "probabilities.",
            "Transform the probabilities back to the grid of the scans, linearly along resampled axes; they are 0 "
            "outside the box.",
        ],
        "postprocessing": postprocessing_sentences(scheme_in(recipe)),
    }


def postprocessing_sentences(scheme: Scheme) -> list[str]:
    """Sentences on how the probabilities of the predicted regions become labels; see `postprocess` for the code."""
    predicted = scheme.predicted
    inner = [name for name in reversed(predicted) if scheme.around(name)]
    sentences = ["A voxel belongs to a region if its probability is at least the region's threshold."]
    if inner:
        parts = ", and every voxel of ".join(
            f"{name}{' also belongs' if name == inner[0] else ''} to {' and '.join(_next_around(name, scheme))}"
            for name in inner
        )
        sentences[0] += f" Every voxel of {parts}."
    order = f"the regions in the order {', '.join(predicted)}" if len(predicted) > 1 else predicted[0]
    sentences.append(
        f"Then clean {order}: "
        + ("remove from the region the voxels that were removed from the region around it; " if inner else "")
        + "remove 26-connected components smaller than least_component_mm3 or with a mean probability below "
        "least_component_probability; with largest_only, keep only the largest component; with fill_holes, fill the "
        "holes (6-connected) of the region" + (", and add them to the regions around it." if inner else ".")
    )
    for name in regions_of("least_total_mm3", scheme):
        inside = any(name in scheme.around(other) for other in predicted)
        rest = " and the regions inside it" if inside else ""
        sentences.append(f"If the total volume of {name} is below least_total_mm3, remove {name}{rest}.")
    if not scheme.is_tree:
        sentences.append(
            "Each voxel gets the integer that `labels.by_regions` lists for the regions that contain it, joined by + "
            f"in the order {', '.join(predicted)}. It is that of the label, among those in the last of these regions, "
            "whose regions agree best with them."
        )
        return sentences
    nested = all(len(scheme.around(name)) == index for index, name in enumerate(predicted))
    deciding = "innermost region" if nested else f"last of the regions {', '.join(predicted)}"
    words = ", ".join(f"{scheme.words_of(_label_in(name, scheme))} for {name}" for name in reversed(predicted))
    sentences.append(
        f"Each voxel gets the label of the {deciding} that contains it: {words}, otherwise background. `labels` lists "
        f"the integers."
    )
    return sentences


def _next_around(region: str, scheme: Scheme) -> list[str]:
    """The smallest regions around a region; the others contain one of these."""
    around = scheme.around(region)
    return [name for name in around if not any(name in scheme.around(other) for other in around)]


def _label_in(region: str, scheme: Scheme) -> int:
    """The label of a voxel that is in this region and in none after it; for schemes that are trees."""
    return int(scheme.labels_from_masks(np.array([name == region for name in scheme.predicted])))
