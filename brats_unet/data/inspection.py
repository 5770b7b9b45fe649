"""Open every file of one case and report all of its defects, not only the first."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from brats_unet.data.prepare.brain import border_value, filled, union
from brats_unet.data.prepare.content_hash import voxel_hash
from brats_unet.data.prepare.head_mask import head_mask
from brats_unet.data.prepare.plausible import edges_fit, litres_sentence, refuse_edges
from brats_unet.data.prepare.preprocess import LARGEST, refuse_other_grid
from brats_unet.data.readers.findings import Finding, error, error_of, note, warning
from brats_unet.errors import DataError
from brats_unet.geometry import faces
from brats_unet.modality import Modality
from brats_unet.scan_files import quantised_sentence, read_array, read_mask
from brats_unet.volume import Case, ImageFile, Turn, Volume, turn_to_lps

SATURATED = 32767  # the largest int16
SATURATED_VOXELS = 27  # a cube of 3 x 3 x 3 voxels: fewer bright voxels are not taken for clipping
SAME_BRAIN = 0.9  # lowest mean Jaccard index of a scan's brain with the other scans'; real BraTS cases: >= 0.9997
LEAST_BRAIN = 0.01  # lowest share of a scan's voxels that must not be background
PLAIN_BORDER = 0.5  # lowest share of the outer faces that must have the background value
OUTSIDE_BRAIN = 0.05  # highest share of the labelled voxels that may be background in every scan
LPS = Turn((0, 1, 2), (False, False, False))
MOST_LABELS = 12  # a mask with more different values is taken for a scan


@dataclass
class Inspection:
    """The result of inspecting one case.

    Attributes:
        case: The case and the paths of its files.
        findings: Errors and warnings about this case.
        shape: Voxels of the first readable scan along each axis; None if no scan is readable.
        spacing_mm: Voxel spacing of the first readable scan, in millimetres; None if it is unknown, or if no scan is
            readable.
        turn: Turn of the first readable scan to L-P-S axes; None if no scan is readable or has an orientation.
        hashes: Content hash of each readable scan on the grid of the first.
        labels: Number of voxels of each integer in the mask; None without a readable mask.
    """

    case: Case
    findings: list[Finding] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    turn: Turn | None = None
    hashes: dict[Modality, str] = field(default_factory=dict)
    labels: Mapping[int, int] | None = None

    @property
    def turned(self) -> bool:
        """Whether the first readable scan is stored in another orientation than L-P-S."""
        return self.turn not in (None, LPS)


def inspect(case: Case, *, with_skull: bool = False) -> Inspection:
    """Read the scans and the mask of a case, one file at a time and each file once, and report their defects.

    Args:
        case: The case.
        with_skull: Whether the scans show skull and air: they are then not held against those of a bare brain, and the
            mask is compared with the head.
    """
    found = Inspection(case)
    report = found.findings.append
    first: tuple[str, Volume] | None = None
    insides: dict[Modality, np.ndarray] = {}
    heads: list[np.ndarray] = []
    for modality, volume in _scans(case, report):
        if first is None:
            first = (modality, replace(volume, array=np.broadcast_to(np.uint8(0), volume.array.shape)))
            _inspect_grid(found, volume)
        elif not _same_grid(case.id, modality, volume, first, report):
            continue
        found.hashes[modality] = voxel_hash(volume.array)
        if with_skull:
            heads += [volume.array] if _has_content(case.id, modality, volume.array, report) else []
            continue
        inside = _inspect_scan(case.id, modality, volume.array, report)
        if inside is not None:
            insides[modality] = inside
    if first is not None and heads:
        axial = LPS.axes[2] if found.turn is None else found.turn.axes[2]
        insides = {next(iter(found.hashes)): head_mask(heads, axial=axial)}
    _compare_scans(case.id, insides, found.hashes, report)
    if insides and found.spacing_mm is not None and edges_fit(found.spacing_mm):
        litres = np.count_nonzero(filled(union(list(insides.values())))) * float(np.prod(found.spacing_mm)) / 1e6
        if text := litres_sentence(litres, with_skull=with_skull):
            report(warning(case.id, text, "Check the spacing in its header, and what it shows."))
    if case.mask is not None:
        found.labels = _inspect_mask(case, case.mask, first, insides, report)
    return found


Report = Callable[[Finding], None]


def _scans(case: Case, report: Report) -> Iterator[tuple[Modality, Volume]]:
    """Each readable scan with its modality; a file that holds several scans is read once."""
    by_path: dict[Path, list[tuple[Modality, ImageFile]]] = {}
    for modality, file in case.images.items():
        by_path.setdefault(file.path, []).append((modality, file))
    for path, scans in by_path.items():
        try:
            volume = read_array(scans[0][1])
        except DataError as problem:
            report(error_of(case.id, str(problem).replace(str(path), path.name)))
            continue
        array = volume.array
        if scans[0][1].channel is None:
            while array.ndim > 3 and array.shape[-1] == 1:
                array = array[..., 0]
        needed = max((file.channel + 1 for _, file in scans if file.channel is not None), default=0)
        if array.ndim != (4 if needed else 3) or (needed and array.shape[3] < needed):
            expected = f"four axes with {needed} channels" if needed else "three axes: one scan per file"
            report(error(case.id, f"{path.name}: a volume of shape {array.shape}. Expected {expected}."))
            continue
        for modality, file in scans:
            yield modality, replace(volume, array=array if file.channel is None else array[..., file.channel])


def _inspect_grid(found: Inspection, volume: Volume) -> None:
    found.shape = volume.array.shape
    found.spacing_mm = volume.spacing_mm if volume.spacing_known else None
    try:
        found.turn = turn_to_lps(volume.affine)
        if found.spacing_mm is not None:
            refuse_edges(found.case.id, found.spacing_mm)
    except ValueError as problem:
        found.findings.append(error(found.case.id, str(problem), "Correct the affine in its header."))
    except DataError as problem:
        found.findings.append(error_of(found.case.id, str(problem)))


def _same_grid(case_id: str, name: str, volume: Volume, first: tuple[str, Volume], report: Report) -> bool:
    """Whether a volume has the grid of the first scan, by the same rule as in preparation."""
    try:
        refuse_other_grid(case_id, name, volume, *first)
    except DataError as problem:
        report(error_of(case_id, str(problem)))
        return False
    return True


def _has_content(case_id: str, modality: Modality, scan: np.ndarray, report: Report) -> bool:
    """Whether a scan has voxels, all finite and not all equal."""
    if scan.size == 0:
        report(error(case_id, f"the {modality} scan has no voxels.", "Download the case again."))
        return False
    if scan.dtype.kind == "f" and (wild := np.count_nonzero(~(np.abs(scan) <= LARGEST))):
        text = f"the {modality} scan holds {wild:,} voxels that are NaN, infinite or beyond {LARGEST:g}."
        report(error(case_id, text, "Export it again."))
        return False
    if (scan == scan.flat[0]).all():
        report(error(case_id, f"the {modality} scan is constant: no brain in it.", "Download the case again."))
        return False
    return True


def _inspect_scan(case_id: str, modality: Modality, scan: np.ndarray, report: Report) -> np.ndarray | None:
    """Mask of the voxels that are not background, bool, shape (X, Y, Z); None if the scan cannot be compared."""
    if not _has_content(case_id, modality, scan, report):
        return None
    background = border_value(scan)
    inside = scan != background
    share = np.count_nonzero(inside) / inside.size
    if share < LEAST_BRAIN:
        text = f"only {share:.2%} of the voxels of the {modality} scan differ from the background."
        report(warning(case_id, text, "Inspect the scan."))
    outer = faces(inside)
    plain = 1 - sum(np.count_nonzero(face) for face in outer) / sum(face.size for face in outer)
    if plain < PLAIN_BORDER:
        text = (
            f"the background of the {modality} scan is not constant: only {plain:.0%} of the voxels on its outer "
            f"faces are {background:g}."
        )
        report(warning(case_id, text, "Check that it is skull-stripped, as BraTS networks expect."))
        return None
    if (count := int(np.count_nonzero(scan == SATURATED))) >= SATURATED_VOXELS:
        text = f"the {modality} scan is saturated: {count:,} voxels at {SATURATED}."
        report(warning(case_id, text, "Export it again without clipping, or list the case under data.leave_out."))
    return inside


def _compare_scans(
    case_id: str, insides: Mapping[Modality, np.ndarray], hashes: Mapping[Modality, str], report: Report
) -> None:
    """Warn of identical scans, and of a scan whose brain does not overlap the other scans' brains well enough."""
    for one, other in combinations(hashes, 2):
        if hashes[one] == hashes[other]:
            report(warning(case_id, f"the {one} and {other} scans are identical.", "Download the case again."))
    overlap: dict[Modality, list[float]] = {modality: [] for modality in insides}
    for one, other in combinations(insides, 2):
        both = np.count_nonzero(insides[one] & insides[other])
        jaccard = both / (np.count_nonzero(insides[one]) + np.count_nonzero(insides[other]) - both)
        overlap[one].append(jaccard)
        overlap[other].append(jaccard)
    if len(insides) < 2:
        return
    means = {modality: float(np.mean(values)) for modality, values in overlap.items()}
    outlier = min(means, key=lambda modality: means[modality])
    if means[outlier] < SAME_BRAIN:
        text = (
            f"the brain in the {outlier} scan differs from the other scans' (mean Jaccard index {means[outlier]:.2f})."
        )
        report(warning(case_id, text, "Check whether this scan is cropped, badly skull-stripped or not registered."))


def _inspect_mask(
    case: Case, path: Path, first: tuple[str, Volume] | None, insides: Mapping[Modality, np.ndarray], report: Report
) -> Mapping[int, int] | None:
    """Number of voxels of each integer in a mask; None if the file cannot be read or is not a mask."""
    case_id = case.id
    try:
        mask = read_mask(path, case.spacing_mm)
    except DataError as problem:
        report(error_of(case_id, str(problem).replace(str(path), path.name)))
        return None
    if rounded := quantised_sentence([path]):
        report(note(case_id, rounded))
    labelled = mask.array != 0
    integers, voxels = np.unique(mask.array[labelled], return_counts=True)
    if len(integers) > MOST_LABELS:
        text = f"its mask {path.name} holds {len(integers)} different values: it looks like a scan."
        report(error(case_id, text, "Expected labels. Download the mask again."))
        return None
    counts = {int(integer): int(count) for integer, count in zip(integers, voxels, strict=True)}
    total = sum(counts.values())
    if background := mask.array.size - total:
        counts = {0: background, **counts}
    if first is None or not _same_grid(case_id, "mask", mask, first, report):
        return counts
    if total == 0:
        report(warning(case_id, "its mask is empty: no tumour.", "Inspect it, or list the case under data.leave_out."))
    elif insides:
        outside = labelled.copy()
        for inside in insides.values():
            np.greater(outside, inside, out=outside)  # outside and not inside
        share = np.count_nonzero(outside) / total
        if share > OUTSIDE_BRAIN:
            text = f"{share:.0%} of the labelled voxels are background in every scan."
            report(warning(case_id, text, "Check whether the mask is flipped, shifted or from another case."))
    return counts
