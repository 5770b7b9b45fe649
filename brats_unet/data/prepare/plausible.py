"""What a scan that can be read has to look like; the same rules for `check`, `train` and `predict`.

Voxel edges outside the limits, or a case that does not fit into memory, are errors: the header has another unit than it
says. The rest are rules of thumb, which give warnings: with a skull, cut off, or not co-registered. In BraTS, a brain
has 0.9 to 1.9 litres, the brain masks of the scans overlap by a Dice of 0.97 or more, and all voxels of the outer faces
are background. A head with its neck has 3 to 8 litres.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from brats_unet.errors import DataError
from brats_unet.geometry import faces
from brats_unet.hardware import memory_available_bytes

EDGES_MM = (0.05, 30.0)  # of a voxel: from microscopes to the thickest slices
BRAIN_LITRES = (0.6, 2.2)
HEAD_LITRES = (0.6, 12.0)  # with skull and neck; the least is a brain cut off above and below
BYTES_A_VOXEL = 4 + 2  # of one prepared scan: float32 while it is resampled, then float16
MIN_OVERLAP = 0.9  # Dice between the non-background voxels of two scans
MAX_ON_FACES = 0.2  # share of the outer faces that is not background


def edges_fit(spacing_mm: Sequence[float]) -> bool:
    """Whether every edge of a voxel, in millimetres, is as long as those of real scans."""
    return all(EDGES_MM[0] <= length <= EDGES_MM[1] for length in spacing_mm)


def refuse_edges(where: str, spacing_mm: Sequence[float]) -> None:
    """Raise DataError if an edge of a voxel is shorter or longer than any scan's.

    Args:
        where: Case and file, which begin the message.
        spacing_mm: Edge lengths of a voxel, in millimetres.
    """
    least, most = EDGES_MM
    if not edges_fit(spacing_mm):
        raise DataError(
            f"{where}: voxels of {_times(spacing_mm)} mm by its header. Expected edges from {least:g} to {most:g} mm. "
            f"Correct the spacing in the header, or its unit (xyzt_units)."
        )


def refuse_larger_than_memory(case_id: str, shape: Sequence[int], scans: int, spacing_mm: Sequence[float]) -> None:
    """Raise DataError if the prepared scans of a case do not fit into the memory that is free.

    Args:
        case_id: Case id, which begins the message.
        shape: Voxels of the prepared grid.
        scans: Number of scans.
        spacing_mm: Edge lengths of a voxel of the case, in millimetres.
    """
    wanted, free = int(np.prod([float(n) for n in shape])) * scans * BYTES_A_VOXEL, memory_available_bytes()
    if wanted > free:
        raise DataError(
            f"{case_id}: prepared as {_times(shape)} voxels, its {scans} scans take {wanted / 2**30:.1f} GiB, and "
            f"{free / 2**30:.1f} GiB of memory are free. By their header they have voxels of {_times(spacing_mm)} mm: "
            f"correct it, or set a larger data.preparation.spacing_mm."
        )


def _times(numbers: Sequence[float]) -> str:
    return "×".join(f"{number:.4g}" for number in numbers)


def litres_sentence(litres: float, *, with_skull: bool = False) -> str:
    """That a brain or head is larger or smaller than any, in a sentence; "" if it is not.

    Args:
        litres: Volume of the voxels that are not background.
        with_skull: Whether the scans are meant to show the whole head.
    """
    least, most = HEAD_LITRES if with_skull else BRAIN_LITRES
    what = "head" if with_skull else "brain"
    if litres > most:
        skull = "" if with_skull else " Are they skull-stripped? The network was trained on skull-stripped scans only."
        return f"the scans' foreground fills {litres:.1f} litres, more than any {what}.{skull}"
    if litres < least:
        return f"the scans' foreground fills only {litres:.2f} litres. Is this a whole {what}?"
    return ""


def scan_warnings(
    case_id: str,
    scan_masks: Mapping[str, np.ndarray],
    brain_voxels: int,
    voxel_mm3: float | None,
    *,
    with_skull: bool = False,
) -> tuple[str, ...]:
    """Warnings about the scans of a case, one sentence for each defect; empty for a case like those of BraTS.

    Args:
        case_id: Case id, at the start of each sentence.
        scan_masks: Voxels that are not background, by name of the scan; bool, all on one grid, none empty.
        brain_voxels: Number of voxels in the union of the masks, with holes filled.
        voxel_mm3: Volume of a voxel, in cubic millimetres; None if it is unknown.
        with_skull: Whether the scans are meant to show the whole head: then only its volume is looked at.
    """
    warnings = []
    if voxel_mm3 is not None and (text := litres_sentence(brain_voxels * voxel_mm3 / 1e6, with_skull=with_skull)):
        warnings.append(f"{case_id}: {text}")
    if with_skull:
        return tuple(warnings)
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
