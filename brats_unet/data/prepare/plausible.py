"""Warnings about scans that can be read but look wrong: with a skull, cut off, or not co-registered.

These are rules of thumb: they produce warnings, never errors. In BraTS, a brain has 0.9 to 1.9 litres, the brain masks
of the scans overlap by a Dice of 0.97 or more, and all voxels of the outer faces are background.
"""

from collections.abc import Mapping

import numpy as np

from brats_unet.geometry import faces

LARGEST_BRAIN_LITRES = 2.2
SMALLEST_BRAIN_LITRES = 0.6
MIN_OVERLAP = 0.9  # Dice between the non-background voxels of two scans
MAX_ON_FACES = 0.2  # share of the outer faces that is not background


def scan_warnings(
    case_id: str, scan_masks: Mapping[str, np.ndarray], brain_voxels: int, voxel_mm3: float
) -> tuple[str, ...]:
    """Warnings about the scans of a case, one sentence for each defect; empty for a case like those of BraTS.

    Args:
        case_id: Case id, at the start of each sentence.
        scan_masks: Voxels that are not background, by name of the scan; bool, all on one grid, none empty.
        brain_voxels: Number of voxels in the union of the masks, with holes filled.
        voxel_mm3: Volume of a voxel, in cubic millimetres.
    """
    warnings = []
    litres = brain_voxels * voxel_mm3 / 1e6
    if litres > LARGEST_BRAIN_LITRES:
        warnings.append(
            f"{case_id}: the scans' foreground fills {litres:.1f} litres, more than any brain. Are they "
            f"skull-stripped? The network was trained on skull-stripped scans only."
        )
    elif litres < SMALLEST_BRAIN_LITRES:
        warnings.append(f"{case_id}: the scans' foreground fills only {litres:.2f} litres. Is this a whole brain?")
    for name, mask in scan_masks.items():
        share = share_on_faces(mask)
        if share > MAX_ON_FACES:
            warnings.append(
                f"{case_id}: {share:.0%} of the voxels on the outer faces of the {name} scan are not background. "
                f"Is it skull-stripped, and does it show the whole brain?"
            )
    names = list(scan_masks)
    for name in names[1:]:
        overlap = dice_of(scan_masks[names[0]], scan_masks[name])
        if overlap < MIN_OVERLAP:
            warnings.append(
                f"{case_id}: the {name} and {names[0]} scans cover different voxels (Dice {overlap:.2f}). Expected "
                f"co-registered scans with the same brain mask."
            )
    return tuple(warnings)


def share_on_faces(mask: np.ndarray) -> float:
    """Share of True voxels on the six outer faces of a mask (X, Y, Z), 0 to 1; voxels on edges count twice."""
    return float(np.concatenate([face.ravel() for face in faces(mask)]).mean())


def dice_of(one: np.ndarray, other: np.ndarray) -> float:
    """Dice of two masks, 2 |A and B| / (|A| + |B|); at least one mask must have a voxel."""
    return 2.0 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
