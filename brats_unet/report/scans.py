"""Scans for the page's viewer: cropped to the brain, few greys, packed so that five cases stay below 20 MB."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brats_unet.anatomy import Modality, region_masks
from brats_unet.errors import DataError
from brats_unet.evaluation.score import Pair, read_labels
from brats_unet.geometry import bounding_box, crop
from brats_unet.nifti import read_volume
from brats_unet.report.planes import windowed, with_margin
from brats_unet.volume import turn_to_lps

GREYS = 64  # 0 is the background; fewer greys than a screen has, and half the bytes of 256
GZIP = 31  # zlib's number for a gzip header, without name and clock
MARGIN = 2  # voxels around the brain


@dataclass(frozen=True)
class Packed:
    """One case, as text for the page.

    Attributes:
        shape: Voxels along L, P, S after cropping.
        spacing_mm: Of these voxels.
        scans: By name of the modality, `packed` greys.
        masks: "reference" and "prediction": `packed_mask` depth, 0 outside, 1 in WT only, 2 in TC too, 3 in ET too.
        centre: Voxel in the middle of the tumour, where the viewer begins.
    """

    case_id: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    scans: Mapping[str, str]
    masks: Mapping[str, str]
    centre: tuple[int, int, int]

    @property
    def size_bytes(self) -> int:
        """Of all its text."""
        return sum(len(text) for text in (*self.scans.values(), *self.masks.values()))


def packed_case(pair: Pair) -> Packed | str:
    """A case for the viewer, or the sentence that says why it cannot be shown."""
    try:
        reference, prediction = read_labels(pair)
        turn = turn_to_lps(reference.affine)
        volumes: dict[Modality, np.ndarray] = {}
        for modality in Modality:
            if pair.images and modality in pair.images:
                file = pair.images[modality]
                array = read_volume(file.path, file.channel).array
                if array.shape != reference.array.shape:
                    raise DataError(f"{file.path}: shape {array.shape}. Expected {reference.array.shape}.")
                volumes[modality] = turn.apply(array)
    except DataError as problem:
        return str(problem)
    if not volumes:
        return f"{pair.case_id}: no scan beside its mask."
    greys = {modality: grey_levels(array) for modality, array in volumes.items()}
    labels = [turn.apply(volume.array) for volume in (reference, prediction)]
    inside = np.logical_or.reduce([*(grey > 0 for grey in greys.values()), *(mask > 0 for mask in labels)])
    if not inside.any():
        return f"{pair.case_id}: its scans are constant."
    box = with_margin(bounding_box(inside), MARGIN, inside.shape)
    depths = [crop(region_masks(mask).sum(axis=-1, dtype=np.uint8), box) for mask in labels]
    tumour = depths[0] if depths[0].any() else depths[1]
    middle = [int(np.median(at)) for at in np.nonzero(tumour)] if tumour.any() else [n // 2 for n in box.shape]
    spacing = reference.spacing_mm
    return Packed(
        pair.case_id,
        box.shape,
        (spacing[turn.axes[0]], spacing[turn.axes[1]], spacing[turn.axes[2]]),
        {str(modality): packed(crop(grey, box)) for modality, grey in greys.items()},
        dict(zip(("reference", "prediction"), map(packed_mask, depths), strict=True)),
        (middle[0], middle[1], middle[2]),
    )


def grey_levels(image: np.ndarray) -> np.ndarray:
    """A scan as uint8: 0 for the background, 1 to GREYS - 1 for the head's darkest to brightest 0.5 %."""
    scan = windowed(image)
    share = np.clip((image.astype(np.float32) - scan.black) / max(scan.white - scan.black, 1e-6), 0, 1)
    levels = 1 + np.rint(share * (GREYS - 2)).astype(np.uint8)
    levels[image == scan.background] = 0
    return levels


def packed(volume: np.ndarray) -> str:
    """uint8 voxels, x fastest, each less the mean of its three neighbours before it, gzipped, as base64.

    Neighbours foretell a voxel. What is left is noise and runs of zeros, which deflate's run-length strategy packs a
    tenth smaller than its default, and in a fortieth of the time. template/viewer.js has the inverse.
    """
    whole = np.pad(volume.astype(np.int16), ((1, 0), (1, 0), (1, 0)))
    foretold = (whole[:-1, 1:, 1:] + whole[1:, :-1, 1:] + whole[1:, 1:, :-1]) // 3
    left = ((whole[1:, 1:, 1:] - foretold) & 255).astype(np.uint8)
    return _gzipped(left, zlib.Z_RLE)


def packed_mask(volume: np.ndarray) -> str:
    """uint8 voxels, x fastest, gzipped, as base64: where values are few and patterns recur, nothing need be foretold.

    A third smaller than `packed` for the speckled masks of a network that has learnt little.
    """
    return _gzipped(volume, zlib.Z_DEFAULT_STRATEGY)


def _gzipped(voxels: np.ndarray, strategy: int) -> str:
    deflate = zlib.compressobj(6, zlib.DEFLATED, GZIP, zlib.DEF_MEM_LEVEL, strategy)
    return base64.b64encode(deflate.compress(voxels.tobytes(order="F")) + deflate.flush()).decode()
