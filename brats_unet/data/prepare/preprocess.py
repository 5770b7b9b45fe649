"""From the scans of a case to the input of the network: crop to the brain, resample, normalise."""

from dataclasses import dataclass

import numpy as np

from brats_unet.data.prepare.brain import border_value, filled, union, without_seam
from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.head_mask import head_mask
from brats_unet.data.prepare.oblique import resliced_brain, straight_around
from brats_unet.data.prepare.plausible import refuse_edges, refuse_larger_than_memory, scan_warnings
from brats_unet.data.prepare.preparation import Preparation
from brats_unet.data.prepare.prepared_labels import foreground_positions, prepared_labels, refuse_lost_labels
from brats_unet.data.prepare.resample import centring_lead
from brats_unet.errors import DataError
from brats_unet.geometry import Box, bounding_box, crop
from brats_unet.scan_files import read_mask, read_scan
from brats_unet.schemes.convention import Convention
from brats_unet.volume import Case, Volume, corners_apart_mm, spacing_mm, turn_to_lps

SAME_SPACING = 1e-3  # relative difference in voxel length up to which an axis is not resampled
LARGEST = 1e30  # largest intensity accepted, so that statistics stay within float32
FLOAT16_LARGEST = 65504.0


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case as the network gets it.

    Attributes:
        image: Normalised scans, float16, shape (X, Y, Z, M); 0 outside the brain.
        brain: Brain mask, bool, shape (X, Y, Z).
        labels: Labels, uint8 as in memory, shape (X, Y, Z); None if the case has no mask.
        foreground: Up to 10,000 voxel positions of each predicted region, int16, shape (n, 3), n = 0 for an absent
            region; empty if `labels` is None.
        grid: Prepared grid, and how it maps back to the grid of the case on disk.
        warnings: Sentences about scans that look wrong; see `data.prepare.plausible`.
    """

    image: np.ndarray
    brain: np.ndarray
    labels: np.ndarray | None
    foreground: dict[str, np.ndarray]
    grid: Grid
    warnings: tuple[str, ...] = ()


def prepare(
    case: Case, preparation: Preparation, convention: Convention | None, *, fill_missing: bool = False
) -> Prepared:
    """Read a case from disk and prepare it.

    Args:
        case: Case with a scan of every modality in `preparation`.
        preparation: Preparation settings.
        convention: Meaning of the integers in the mask; None ignores the mask.
        fill_missing: If True, a missing modality becomes a channel of zeros, as modality dropout makes it; one in
            `case.absent` always does. The case must have at least one modality.

    Raises:
        DataError: A file cannot be read; the scans and the mask do not share one grid; the spacing is unknown, but the
            preparation has one; a scan is constant, not finite or beyond the range of float16; or the mask has a label
            that is not in the convention.
    """
    here = [m for m in preparation.modalities if m in case.images or not (fill_missing or m in case.absent)]
    if not here:
        raise DataError(
            f"{case.id}: has none of the modalities that the network expects ({', '.join(preparation.modalities)})."
        )
    scans: list[np.ndarray] = []
    reference: Volume | None = None
    for modality in here:
        file = case.images[modality]
        volume = read_scan(file)
        if reference is None:
            reference = volume
        else:
            refuse_other_grid(case.id, str(modality), volume, str(here[0]), reference)
        if volume.array.dtype.kind == "f" and not (np.abs(volume.array) <= LARGEST).all():
            raise DataError(
                f"{case.id}: {file.path.name} holds voxels that are NaN, infinite or beyond {LARGEST:g}. "
                f"Expected finite intensities. Export the scan again."
            )
        scans.append(volume.array)
    assert reference is not None
    if preparation.spacing_mm is not None and not reference.spacing_known:
        raise DataError(
            f"{case.id}: the spacing of its slices is unknown, so they cannot be resampled. Set data.spacing_mm to it, "
            f"or data.preparation.spacing_mm=null."
        )
    try:
        straight = straight_around(reference.array.shape, reference.affine)
        lying = reference.affine if straight is None else np.array(straight.affine)
        turn = turn_to_lps(lying)
    except ValueError as problem:
        raise DataError(f"{case.id}: {case.images[here[0]].path.name}: {problem} Correct the header.") from problem
    if reference.spacing_known:
        refuse_edges(f"{case.id}: {case.images[here[0]].path.name}", reference.spacing_mm)

    insides = [scan != border_value(scan) for scan in scans]
    for modality, inside in zip(here, insides, strict=True):
        if not inside.any():
            raise DataError(f"{case.id}: the {modality} volume is constant: no brain in it. Download the case again.")
    if preparation.crop == "head":
        insides = [head_mask(scans, axial=turn.axes[2])] * len(scans)
    else:
        scans, insides = without_seam(scans, insides)
    if straight is not None:
        pairs = zip(scans, insides, strict=True)
        laid = [resliced_brain(*pair, reference.affine, straight.shape, lying) for pair in pairs]
        scans, insides = [scan for scan, _ in laid], [inside for _, inside in laid]
    scans, insides = [turn.apply(scan) for scan in scans], [turn.apply(inside) for inside in insides]
    anywhere = union(insides)
    box = Box((0, 0, 0), anywhere.shape) if preparation.crop == "none" else bounding_box(anywhere)
    lengths = spacing_mm(lying)
    voxel_mm3 = float(np.prod(lengths))
    turned = [lengths[axis] for axis in turn.axes]
    wanted = zip(preparation.spacing_mm or turned, turned, strict=True)
    ratio = tuple(1.0 if abs(w / s - 1) < SAME_SPACING else w / s for w, s in wanted)
    brain = filled(crop(anywhere, box))
    grid = Grid(
        reference.array.shape,
        tuple(tuple(float(v) for v in row) for row in reference.affine),
        turn,
        box,
        (ratio[0], ratio[1], ratio[2]),
        (0.0, 0.0, 0.0) if preparation.crop == "none" else centring_lead(brain, ratio),
        straight,
        reference.spacing_known,
    )
    refuse_larger_than_memory(case.id, grid.shape, len(preparation.modalities), lengths)
    small_brain = grid.resampled(brain) >= 0.5
    image = np.zeros((*grid.shape, len(preparation.modalities)), np.float16)
    for modality, scan, inside in zip(here, scans, insides, strict=True):
        normal = normalised(crop(scan, box), crop(inside, box), preparation.normalise)
        normal[~brain] = 0
        channel_image = grid.resampled(normal)
        largest = float(np.abs(channel_image).max())
        if not largest <= FLOAT16_LARGEST:  # "not <=" is also true for NaN
            raise DataError(
                f"{case.id}: the {modality} volume holds an intensity {largest:.3g} standard deviations from its mean, "
                f"beyond what float16 can hold. Check the scan for a stray voxel."
            )
        image[..., preparation.modalities.index(modality)] = channel_image

    labels, foreground = None, {}
    if case.mask is not None and convention is not None:
        mask = read_mask(case.mask, case.spacing_mm)
        refuse_other_grid(case.id, "mask", mask, str(here[0]), reference)
        decoded = convention.decode(mask.array, where=f"{case.id}: {case.mask.name}")
        labels = prepared_labels(decoded, grid, convention.scheme)
        refuse_lost_labels(case.id, decoded, labels, grid, convention.scheme)
        foreground = foreground_positions(labels, case.id, convention.scheme)
    by_name = dict(zip(map(str, here), insides, strict=True))
    mm3, skull = voxel_mm3 if reference.spacing_known else None, preparation.crop == "head"
    odd = scan_warnings(case.id, by_name, int(brain.sum()), mm3, with_skull=skull)
    return Prepared(image, np.ascontiguousarray(small_brain), labels, foreground, grid, odd)


def refuse_other_grid(case_id: str, name: str, volume: Volume, first_name: str, first: Volume) -> None:
    """Raise DataError unless the shapes agree, and the corners within a tenth of the shortest voxel edge."""
    if volume.array.shape != first.array.shape:
        raise DataError(
            f"{case_id}: the {name} is {volume.array.shape} voxels, the {first_name} {first.array.shape}. "
            f"Expected one grid: register and resample the scans first."
        )
    apart_mm = corners_apart_mm(first.array.shape, volume.affine, first.affine)
    if not apart_mm <= 0.1 * min(first.spacing_mm):
        raise DataError(
            f"{case_id}: the {name} is not aligned with the {first_name}: by their affines, corners are up to "
            f"{apart_mm:.3g} mm apart. Expected one grid: register and resample them first."
        )


def normalised(scan: np.ndarray, inside: np.ndarray, how: str) -> np.ndarray:
    """Normalise a scan (float32) by "zscore" or "max", with the statistics of its own brain voxels `inside` (bool)."""
    values = scan[inside].astype(np.float64)
    if how == "max":
        return (scan / max(float(np.abs(values).max()), 1e-8)).astype(np.float32)
    mean, deviation = values.mean(), max(values.std(), 1e-8)
    return (scan.astype(np.float32) - np.float32(mean)) / np.float32(deviation)
