"""What looks wrong with the scans of a case though they can be read: a skull, or scans that do not cover one another.

Rules of thumb, said to a person, never a reason to refuse. BraTS brains hold 0.9 to 1.9 litres, their scans overlap by
0.97 and more, and no voxel of the outer faces is anything but background.
"""

from collections.abc import Mapping

import numpy as np

from brats_unet.geometry import faces

LARGEST_BRAIN_LITRES = 2.2
SMALLEST_BRAIN_LITRES = 0.6
LEAST_OVERLAP = 0.9  # Dice of what is not background in two scans
MOST_ON_FACES = 0.2  # share of the outer faces that is not background


def scan_warnings(
    case_id: str, insides: Mapping[str, np.ndarray], brain_voxels: int, voxel_mm3: float
) -> tuple[str, ...]:
    """Sentences, one for each thing that looks wrong; none for a case as BraTS has them.

    Args:
        case_id: Opens each sentence.
        insides: By name of the scan, which voxels are not background; bool, one grid.
        brain_voxels: Voxels of the brain: of all scans together, holes closed.
        voxel_mm3: Volume of a voxel.
    """
    found = []
    litres = brain_voxels * voxel_mm3 / 1e6
    if litres > LARGEST_BRAIN_LITRES:
        found.append(
            f"{case_id}: what is not background fills {litres:.1f} litres, more than any brain. Not skull-stripped? "
            f"The network has seen brains only."
        )
    elif litres < SMALLEST_BRAIN_LITRES:
        found.append(f"{case_id}: what is not background fills only {litres:.2f} litres. Is this a whole brain?")
    for name, inside in insides.items():
        share = share_on_faces(inside)
        if share > MOST_ON_FACES:
            found.append(
                f"{case_id}: {share:.0%} of the outer faces of the {name} scan are not background. Not skull-stripped, "
                f"or cut through the brain?"
            )
    names = list(insides)
    for name in names[1:]:
        overlap = dice_of(insides[names[0]], insides[name])
        if overlap < LEAST_OVERLAP:
            found.append(
                f"{case_id}: the {name} and {names[0]} scans cover different voxels (Dice {overlap:.2f}). Expected "
                f"co-registered scans, skull-stripped alike."
            )
    return tuple(found)


def share_on_faces(mask: np.ndarray) -> float:
    """Share of the voxels of the six outer faces of a mask (X, Y, Z) that are True; edges count twice."""
    return float(np.concatenate([face.ravel() for face in faces(mask)]).mean())


def dice_of(one: np.ndarray, other: np.ndarray) -> float:
    """2 |A and B| / (|A| + |B|) of two masks, at least one of which has a voxel."""
    return 2.0 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
