"""What predict does with a network, step by step, in sentences that are enough to do it elsewhere."""

from collections.abc import Mapping
from typing import Any

from brats_unet.data.prepare.preprocess import CROPS, NORMALISATIONS


def recipe_sentences(recipe: Mapping[str, Any], rank: int) -> dict[str, list[str]]:
    """From scans to masks in sentences, by step.

    Args:
        recipe: Of the run; see `network.recipe`.
        rank: Of the network, 2 or 3.
    """
    preparation, missing = recipe["preparation"], float(recipe.get("modality_dropout", 0)) > 0
    crop = {
        "brain": "Cut all scans to the smallest box that holds every voxel that is not background in any of them.",
        "none": "Keep the whole field of view.",
    }
    normalise = {
        "zscore": "From each scan subtract the mean over its own voxels in the box that are not background, and divide "
        "by their standard deviation (divisor n).",
        "max": "Divide each scan by the largest absolute value of its voxels in the box that are not background.",
    }
    assert set(crop) == set(CROPS) and set(normalise) == set(NORMALISATIONS)
    return {
        "preparation": [
            f"Take the scans {', '.join(preparation['modalities'])}, skull-stripped and on one grid; they become the "
            f"channels, in this order."
            + (" A scan that is missing may be a channel of zeros." if missing else " None may be missing."),
            "Where a voxel axis is tilted by more than 2 degrees, interpolate linearly onto a straight grid first.",
            "Permute and reverse the axes so that x runs to the patient's left, y to posterior, z to superior.",
            "Background is the commonest value on the six outer faces of a scan.",
            "Scans that were interpolated after skull-stripping: undo it at the edge (docs/PREDICTION.md says how).",
            crop[preparation["crop"]],
            normalise[preparation["normalise"]],
            "The brain is what is not background in any scan, with its holes (6-connected) filled; all outside is 0.",
            "Where the voxel differs from spacing_mm by more than a thousandth, resample: area means where voxels "
            "grow, linearly where they shrink; along such an axis the first voxel starts before a box cut to the "
            "brain, by less than its length, so that the brain's centre of mass is the middle of a voxel.",
            "Round to float16, and hand it over as float32.",
        ],
        "prediction": [
            *([] if rank == 3 else ["The network takes axial slices: z becomes the batch."]),
            "mode whole: predict in one pass. Where multiple_of is above 1, pad with zeros to the next multiple and no "
            "further, half of it (rounded down) before each axis and the rest after, and cut that off again.",
            "mode tiles: pad likewise where an axis is shorter than the tile; overlapping tiles of `tile` voxels, "
            "spread evenly from edge to edge, neighbours sharing `overlap` of their length at the least, averaged with "
            "Gaussian weights (sigma an eighth of the tile).",
            "mirror: predict every mirroring along these axes too, mirror back, and average the probabilities.",
            "Bring the probabilities back to the scan's own grid, linearly where resampled; 0 outside the box.",
        ],
        "postprocessing": [
            "A voxel belongs to a region where its probability reaches the region's threshold; what is ET is also TC, "
            "and what is TC also WT.",
            "Then, for WT, TC and ET in this order: what an outer region has lost leaves this one too; 26-connected "
            "components below least_component_mm3 or below least_component_probability (mean inside) go; "
            "with largest_only all but the largest go; with fill_holes holes (6-connected) are filled, "
            "in the outer regions too.",
            "Where ET has less than least_et_mm3 in all, it is emptied.",
            "A voxel takes the tissue of the innermost region that holds it: ET enhancing, TC necrotic or non-"
            "enhancing core, WT oedema; else background. `labels` gives the integers.",
        ],
    }
