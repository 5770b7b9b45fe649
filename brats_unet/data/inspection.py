"""Open every file of one case and say what is wrong with it, without stopping at the first defect."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from brats_unet.anatomy import Modality
from brats_unet.data.prepare.brain import border_value
from brats_unet.data.prepare.content_hash import voxel_hash
from brats_unet.data.prepare.preprocess import LARGEST, refuse_other_grid
from brats_unet.data.readers.findings import Finding, error, error_of, warning
from brats_unet.errors import DataError
from brats_unet.geometry import faces
from brats_unet.nifti import read_array, read_integers
from brats_unet.volume import Case, ImageFile, Turn, Volume, turn_to_lps

SATURATED = 32767  # the largest int16
SATURATED_VOXELS = 27  # as many as a cube of three: a lone bright voxel is no clipping
SAME_BRAIN = (
    0.9  # Jaccard index below which a scan's brain differs from its sisters'; real BraTS cases: 0.9997 and more
)
LEAST_BRAIN = 0.01  # share of the voxels
PLAIN_BORDER = 0.5  # share of the outer faces that the background fills at least
OUTSIDE_BRAIN = 0.05  # share of the labelled voxels that may lie where no scan shows anything
MOST_LABELS = 12  # different values in a mask beyond which it is a scan
LPS = Turn((0, 1, 2), (False, False, False))


@dataclass
class Inspection:
    """What one case holds.

    Attributes:
        case: Where its files are.
        findings: What is wrong with it.
        shape: Of its first readable scan; None if there is none.
        spacing_mm: Likewise.
        turned: Whether that scan is stored in other axes than L-P-S.
        hashes: Content of each scan that could be read.
        labels: Voxels of each integer in the mask; None without a readable mask.
    """

    case: Case
    findings: list[Finding] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    turned: bool = False
    hashes: dict[Modality, str] = field(default_factory=dict)
    labels: Mapping[int, int] | None = None


def inspect(case: Case) -> Inspection:
    """Read the scans and the mask of a case, one file at a time, each once."""
    found = Inspection(case)
    tell = found.findings.append
    first: tuple[str, Volume] | None = None
    insides: dict[Modality, np.ndarray] = {}
    for modality, volume in _scans(case, tell):
        if first is None:
            first = (modality, Volume(np.broadcast_to(np.uint8(0), volume.array.shape), volume.affine))
            _inspect_grid(found, volume)
        elif not _same_grid(case.id, modality, volume, first, tell):
            continue
        found.hashes[modality] = voxel_hash(volume.array)
        inside = _inspect_scan(case.id, modality, volume.array, tell)
        if inside is not None:
            insides[modality] = inside
    _compare_scans(case.id, insides, found.hashes, tell)
    if case.mask is not None:
        found.labels = _inspect_mask(case.id, case.mask, first, insides, tell)
    return found


Tell = Callable[[Finding], None]


def _scans(case: Case, tell: Tell) -> Iterator[tuple[Modality, Volume]]:
    """Each scan that can be read, in order of its modality; a file that holds several is read once."""
    by_path: dict[Path, list[tuple[Modality, ImageFile]]] = {}
    for modality, file in case.images.items():
        by_path.setdefault(file.path, []).append((modality, file))
    for path, scans in by_path.items():
        try:
            volume = read_array(path)
        except DataError as problem:
            tell(error_of(case.id, str(problem).replace(str(path), path.name)))
            continue
        array = volume.array
        if scans[0][1].channel is None:
            while array.ndim > 3 and array.shape[-1] == 1:
                array = array[..., 0]
        needed = max((file.channel + 1 for _, file in scans if file.channel is not None), default=0)
        if array.ndim != (4 if needed else 3) or (needed and array.shape[3] < needed):
            expected = f"four axes with {needed} channels" if needed else "three axes: one scan a file"
            tell(error(case.id, f"{path.name}: a volume of shape {array.shape}. Expected {expected}."))
            continue
        for modality, file in scans:
            yield modality, Volume(array if file.channel is None else array[..., file.channel], volume.affine)


def _inspect_grid(found: Inspection, volume: Volume) -> None:
    found.shape, found.spacing_mm = volume.array.shape, volume.spacing_mm
    try:
        found.turned = turn_to_lps(volume.affine) != LPS
    except ValueError as problem:
        found.findings.append(error(found.case.id, str(problem), "Write the header anew."))


def _same_grid(case_id: str, name: str, volume: Volume, first: tuple[str, Volume], tell: Tell) -> bool:
    """Whether a volume lies on the grid of the first scan, by the rule of the preparation."""
    try:
        refuse_other_grid(case_id, name, volume, *first)
    except DataError as problem:
        tell(error_of(case_id, str(problem)))
        return False
    return True


def _inspect_scan(case_id: str, modality: Modality, scan: np.ndarray, tell: Tell) -> np.ndarray | None:
    """Where a scan shows anything, bool; None where it is not fit to be compared."""
    if scan.size == 0:
        tell(error(case_id, f"the {modality} scan has no voxels.", "Download the case again."))
        return None
    if scan.dtype.kind == "f" and (wild := np.count_nonzero(~(np.abs(scan) <= LARGEST))):
        text = f"the {modality} scan holds {wild:,} voxels that are NaN, infinite or beyond {LARGEST:g}."
        tell(error(case_id, text, "Export it again."))
        return None
    background = border_value(scan)
    inside = scan != background
    share = np.count_nonzero(inside) / inside.size
    if share == 0:
        tell(error(case_id, f"the {modality} scan is constant: no brain in it.", "Download the case again."))
        return None
    if share < LEAST_BRAIN:
        tell(warning(case_id, f"the {modality} scan shows something in {share:.2%} of its voxels only.", "Look at it."))
    outer = faces(inside)
    plain = 1 - sum(np.count_nonzero(face) for face in outer) / sum(face.size for face in outer)
    if plain < PLAIN_BORDER:
        text = (
            f"the background of the {modality} scan is not one value ({background:g} fills {plain:.0%} of its faces)."
        )
        tell(warning(case_id, text, "Is it skull-stripped? Networks for BraTS expect that."))
        return None
    if (count := int(np.count_nonzero(scan == SATURATED))) >= SATURATED_VOXELS:
        text = f"the {modality} scan is saturated: {count:,} voxels at {SATURATED}."
        tell(warning(case_id, text, "Export it again with a scale that fits, or leave the case out."))
    return inside


def _compare_scans(
    case_id: str, insides: Mapping[Modality, np.ndarray], hashes: Mapping[Modality, str], tell: Tell
) -> None:
    """Whether the scans of a case show one brain, and are different scans."""
    for one, other in combinations(hashes, 2):
        if hashes[one] == hashes[other]:
            tell(warning(case_id, f"the {one} and {other} scans are the same.", "Download the case again."))
    overlap: dict[Modality, list[float]] = {modality: [] for modality in insides}
    for one, other in combinations(insides, 2):
        both = np.count_nonzero(insides[one] & insides[other])
        jaccard = both / (np.count_nonzero(insides[one]) + np.count_nonzero(insides[other]) - both)
        overlap[one].append(jaccard)
        overlap[other].append(jaccard)
    if len(insides) < 2:
        return
    means = {modality: float(np.mean(values)) for modality, values in overlap.items()}
    odd = min(means, key=lambda modality: means[modality])
    if means[odd] < SAME_BRAIN:
        text = f"the {odd} scan's brain differs from its sisters' (they share {means[odd]:.0%} of their voxels)."
        tell(warning(case_id, text, "Look at the case: cut off, badly stripped or not registered?"))


def _inspect_mask(
    case_id: str, path: Path, first: tuple[str, Volume] | None, insides: Mapping[Modality, np.ndarray], tell: Tell
) -> Mapping[int, int] | None:
    """Voxels of each integer of a mask; None where it is none."""
    try:
        mask = read_integers(path)
    except DataError as problem:
        tell(error_of(case_id, str(problem).replace(str(path), path.name)))
        return None
    labelled = mask.array != 0
    integers, voxels = np.unique(mask.array[labelled], return_counts=True)
    if len(integers) > MOST_LABELS:
        text = f"its mask {path.name} holds {len(integers)} different values: it looks like a scan."
        tell(error(case_id, text, "Expected labels. Download the mask again."))
        return None
    counts = {int(integer): int(count) for integer, count in zip(integers, voxels, strict=True)}
    total = sum(counts.values())
    if background := mask.array.size - total:
        counts = {0: background, **counts}
    if first is None or not _same_grid(case_id, "mask", mask, first, tell):
        return counts
    if total == 0:
        tell(warning(case_id, "its mask is empty: no tumour.", "Look at it, or list the case under data.leave_out."))
    elif insides:
        outside = labelled.copy()
        for inside in insides.values():
            np.greater(outside, inside, out=outside)  # outside and not inside
        share = np.count_nonzero(outside) / total
        if share > OUTSIDE_BRAIN:
            text = f"{share:.0%} of the labelled voxels lie where no scan shows anything."
            tell(warning(case_id, text, "Is the mask flipped, shifted or another case's?"))
    return counts
