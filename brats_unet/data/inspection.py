"""Open every file of one case and report all of its defects, not only the first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from brats_unet.data.defects.alignment import misaligned, wrong_axis
from brats_unet.data.defects.among_cases import Member, thumbnail
from brats_unet.data.defects.coarse import Coarse, CoarseBuilder
from brats_unet.data.defects.intensities import Report, brain_of, compare_brains, greys, has_content
from brats_unet.data.defects.mask_fit import label_means, odd_extent, off_tumour, specks
from brats_unet.data.prepare.brain import filled, union
from brats_unet.data.prepare.content_hash import voxel_hash
from brats_unet.data.prepare.head_mask import head_mask
from brats_unet.data.prepare.plausible import edges_fit, litres_sentence, refuse_edges
from brats_unet.data.prepare.preprocess import refuse_other_grid
from brats_unet.data.readers.findings import Finding, Kind, error, error_of, note, warning
from brats_unet.errors import DataError
from brats_unet.modality import Modality
from brats_unet.scan_files import quantised_sentence, read_array, read_mask
from brats_unet.volume import Case, ImageFile, Turn, Volume, turn_to_lps

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
        member: What is compared with other cases; None if the scans show too little.
    """

    case: Case
    findings: list[Finding] = field(default_factory=list)
    shape: tuple[int, ...] | None = None
    spacing_mm: tuple[float, float, float] | None = None
    turn: Turn | None = None
    hashes: dict[Modality, str] = field(default_factory=dict)
    labels: Mapping[int, int] | None = None
    member: Member | None = None

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
    builder: CoarseBuilder | None = None
    insides: dict[Modality, np.ndarray] = {}
    heads: list[np.ndarray] = []
    for modality, volume in _scans(case, report):
        if first is None:
            first = (modality, replace(volume, array=np.broadcast_to(np.uint8(0), volume.array.shape)))
            _inspect_grid(found, volume)
            if found.turn is not None:
                builder = CoarseBuilder(found.turn, volume.known_spacing_mm, with_skull=with_skull)
        elif not _same_grid(case.id, modality, volume, first, report):
            continue
        found.hashes[modality] = voxel_hash(volume.array)
        if not has_content(case.id, modality, volume.array, report):
            continue
        greys(case.id, modality, volume.array, report, with_skull=with_skull)
        if builder is not None:
            builder.add_scan(modality, volume.array)
        if with_skull:
            heads.append(volume.array)
        elif (inside := brain_of(case.id, modality, volume.array, report)) is not None:
            insides[modality] = inside
    if first is not None and heads:
        axial = LPS.axes[2] if found.turn is None else found.turn.axes[2]
        insides = {next(iter(found.hashes)): head_mask(heads, axial=axial)}
    _identical(case.id, found.hashes, report)
    compare_brains(case.id, insides, report)
    if insides and found.spacing_mm is not None and edges_fit(found.spacing_mm):
        litres = np.count_nonzero(filled(union(list(insides.values())))) * float(np.prod(found.spacing_mm)) / 1e6
        if text := litres_sentence(litres, with_skull=with_skull):
            report(warning(case.id, text, "Check the spacing in its header, and what it shows.", kind=Kind.BRAIN))
    if case.mask is not None:
        found.labels = _inspect_mask(case, case.mask, first, insides, builder, report)
    if builder is not None and (coarse := builder.coarse()) is not None:
        _compare(found, coarse)
    return found


def _compare(found: Inspection, coarse: Coarse) -> None:
    """Compare the scans and the mask of a case with one another, and keep what is compared with other cases."""
    case = found.case
    if not coarse.tells:
        return
    found.findings += [
        *misaligned(case.id, coarse),
        *wrong_axis(case.id, coarse),
        *off_tumour(case.id, coarse),
        *odd_extent(case.id, coarse),
    ]
    thumbnails = {modality: thumbnail(coarse, modality) for modality in coarse.scans}
    found.member = Member(case.id, case.patient, thumbnails, label_means(coarse))


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


def _identical(case_id: str, hashes: Mapping[Modality, str], report: Report) -> None:
    """Warn of two scans of a case that are the same."""
    for one, other in combinations(hashes, 2):
        if hashes[one] == hashes[other]:
            text = f"the {one} and {other} scans are identical."
            report(warning(case_id, text, "Download the case again.", kind=Kind.SEQUENCES, scan=one))


def _inspect_mask(
    case: Case,
    path: Path,
    first: tuple[str, Volume] | None,
    insides: Mapping[Modality, np.ndarray],
    builder: CoarseBuilder | None,
    report: Report,
) -> Mapping[int, int] | None:
    """Number of voxels of each integer in a mask; None if the file cannot be read or is not a mask."""
    case_id = case.id
    try:
        mask = read_mask(path, case.spacing_mm)
    except DataError as problem:
        report(error_of(case_id, str(problem).replace(str(path), path.name)))
        return None
    if rounded := quantised_sentence([path]):
        report(note(case_id, rounded, kind=Kind.LABELS, scan="mask"))
    labelled = mask.array != 0
    integers, voxels = np.unique(mask.array[labelled], return_counts=True)
    if len(integers) > MOST_LABELS:
        text = f"its mask {path.name} holds {len(integers)} different values: it looks like a scan."
        remedy = "Expected labels. Download the mask again."
        report(error(case_id, text, remedy, kind=Kind.LABELS, scan="mask"))
        return None
    counts = {int(integer): int(count) for integer, count in zip(integers, voxels, strict=True)}
    total = sum(counts.values())
    if background := mask.array.size - total:
        counts = {0: background, **counts}
    if first is None or not _same_grid(case_id, "mask", mask, first, report):
        return counts
    if total == 0:
        remedy = "Inspect it, or list the case under data.leave_out."
        report(warning(case_id, "its mask is empty: no tumour.", remedy, kind=Kind.MASK, scan="mask"))
        return counts
    if builder is not None:
        builder.add_mask(mask.array)
    for finding in specks(case_id, mask.array):
        report(finding)
    if insides:
        outside = labelled.copy()
        for inside in insides.values():
            np.greater(outside, inside, out=outside)  # outside and not inside
        share = np.count_nonzero(outside) / total
        if share > OUTSIDE_BRAIN:
            text = f"{share:.0%} of the labelled voxels are background in every scan."
            remedy = "Check whether the mask is flipped, shifted or from another case."
            report(warning(case_id, text, remedy, kind=Kind.MASK, scan="mask"))
    return counts
