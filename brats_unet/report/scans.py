"""Scans for the viewer of the HTML report: cropped to the brain, and in as many greys as fit into `CASE_CHARACTERS`."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brats_unet.errors import DataError
from brats_unet.evaluation.score import Pair, read_labels
from brats_unet.geometry import Box, bounding_box, crop
from brats_unet.modality import Modality, in_order
from brats_unet.report.planes import drawn_spacing, windowed, with_margin
from brats_unet.scan_files import read_scan
from brats_unet.volume import turn_to_lps

CASE_CHARACTERS = 2_450_000  # of the scans of a case, so that a page with five cases stays below 15 MB
GREYS, LEAST_GREYS = 256, 12  # most and fewest grey levels of a scan; 0 is the background
GZIP = 31  # zlib's window size for a gzip header without name and time
MARGIN = 2  # voxels around the brain
GROUPS = 3  # of differences; see `packed`
BYTES, CHARACTERS, FIRST = 4, 5, ord("(")  # of `base85`: a group, and the character of the digit 0


@dataclass(frozen=True)
class Packed:
    """One case as text for the HTML report.

    Attributes:
        case_id: Case id.
        shape: Voxels along L, P, S after cropping.
        spacing_mm: Voxel edge lengths along L, P, S, in millimetres; if they are unknown, see `planes.drawn_spacing`.
        scans: `fitted` grey levels by modality.
        greys: Number of grey levels.
        masks: `packed_mask` of "reference" and "prediction". Voxels are labels of the scheme as in memory.
    """

    case_id: str
    shape: tuple[int, ...]
    spacing_mm: tuple[float, float, float]
    scans: Mapping[str, str]
    greys: int
    masks: Mapping[str, str]

    @property
    def size_bytes(self) -> int:
        """Bytes of all scans and masks."""
        return sum(len(text) for text in (*self.scans.values(), *self.masks.values()))


def packed_case(pair: Pair) -> Packed | str:
    """Pack a case for the viewer, or return a sentence with the reason why it cannot be shown."""
    try:
        reference, prediction = read_labels(pair)
        turn = turn_to_lps(reference.affine)
        volumes: dict[Modality, np.ndarray] = {}
        for modality in in_order(pair.images or ()):
            if pair.images:
                file = pair.images[modality]
                array = read_scan(file).array
                if array.shape != reference.array.shape:
                    raise DataError(
                        f"{file.path}: shape {array.shape}. Expected {reference.array.shape}, the shape of its mask."
                    )
                volumes[modality] = turn.apply(array)
    except DataError as problem:
        return str(problem)
    if not volumes:
        return f"{pair.case_id}: it has no scan."
    labels = [turn.apply(volume.array) for volume in (reference, prediction)]
    inside = np.logical_or.reduce(
        [*(array != windowed(array).background for array in volumes.values()), *(mask > 0 for mask in labels)]
    )
    if not inside.any():
        return f"{pair.case_id}: its scans are constant, so they show no brain."
    box = with_margin(bounding_box(inside), MARGIN, inside.shape)
    cropped = [crop(mask, box) for mask in labels]
    scans, greys = fitted({str(modality): array for modality, array in volumes.items()}, box, CASE_CHARACTERS)
    spacing = reference.spacing_mm
    return Packed(
        pair.case_id,
        box.shape,
        drawn_spacing(
            inside.shape,
            (spacing[turn.axes[0]], spacing[turn.axes[1]], spacing[turn.axes[2]]),
            known=reference.spacing_known,
        ),
        scans,
        greys,
        dict(zip(("reference", "prediction"), map(packed_mask, cropped), strict=True)),
    )


def fitted(images: Mapping[str, np.ndarray], box: Box, characters: int) -> tuple[dict[str, str], int]:
    """`packed` grey levels of scans in a box, and the number of greys: as many as fit into so many characters.

    What takes the space is noise: scans of little noise keep more greys, noisy ones lose those that their noise hides.
    """
    greys = GREYS
    while True:
        levels = {name: crop(grey_levels(image, greys), box) for name, image in images.items()}
        texts = {name: packed(volume, greys) for name, volume in levels.items()}
        surplus = sum(map(len, texts.values())) - characters
        if surplus <= 0 or greys == LEAST_GREYS:
            return texts, greys
        bits = 8 * BYTES / CHARACTERS * surplus / sum(np.count_nonzero(volume) for volume in levels.values())
        greys = max(LEAST_GREYS, min(greys - 1, int(greys / 2 ** (1.03 * bits))))  # each voxel is to take fewer bits


def grey_levels(image: np.ndarray, greys: int) -> np.ndarray:
    """Grey levels of a scan, uint8: 0 for the background, 1 to greys - 1 within the window of `planes.windowed`."""
    scan = windowed(image)
    share = np.clip((image.astype(np.float32) - scan.black) / max(scan.white - scan.black, 1e-6), 0, 1)
    levels = 1 + np.rint(share * (greys - 2)).astype(np.uint8)
    levels[image == scan.background] = 0
    return levels


def packed(volume: np.ndarray, greys: int) -> str:
    """Compress grey levels: predict each voxel, then gzip the differences and encode them as text.

    The prediction continues the three nearest neighbours that come before, a, b and c, along the slope of the voxels
    between them. Differences are stored in three groups, by how well a, b and c agree, which gzip codes differently:
    that takes 15 % fewer bytes. They are noise and runs of zeros; deflate's run-length strategy compresses them to 10 %
    fewer bytes than the default strategy, 40 times faster. The inverse is in template/viewer.js.

    Args:
        volume: Grey levels, uint8, shape (X, Y, Z); x is fastest.
        greys: Number of grey levels.
    """
    whole = np.pad(volume.astype(np.int16), ((1, 0), (1, 0), (1, 0)))
    now, before = slice(1, None), slice(-1)
    a, b, c = whole[before, now, now], whole[now, before, now], whole[now, now, before]
    between = whole[before, before, now] + whole[before, now, before] + whole[now, before, before]
    predicted = np.clip((4 * (a + b + c) - between) // 9, 0, greys - 1)
    differences = ((volume - predicted) & 255).astype(np.uint8)
    spread = abs(a - predicted) + abs(b - predicted) + abs(c - predicted)
    group = (spread > 0).astype(np.uint8) + (spread > greys // 12)
    parts = [differences.ravel("F")[group.ravel("F") == number] for number in range(GROUPS)]
    sizes = np.array([len(part) for part in parts], "<u4")
    return _gzipped(sizes.tobytes() + b"".join(part.tobytes() for part in parts), zlib.Z_RLE)


def packed_mask(volume: np.ndarray) -> str:
    """Compress a mask: gzip without prediction, as text.

    A mask has few values and recurring patterns. For the speckled masks of a badly trained network this takes a third
    fewer bytes than `packed`.

    Args:
        volume: uint8, shape (X, Y, Z); written with x fastest.
    """
    return _gzipped(volume.tobytes(order="F"), zlib.Z_DEFAULT_STRATEGY)


def _gzipped(voxels: bytes, strategy: int) -> str:
    deflate = zlib.compressobj(6, zlib.DEFLATED, GZIP, zlib.DEF_MEM_LEVEL, strategy)
    return base85(deflate.compress(voxels) + deflate.flush())


def base85(data: bytes) -> str:
    """Bytes as text: 5 characters for 4 bytes, n + 1 for the last n, and no "<", which could end the script element.

    It takes 6 % fewer characters than base64. The inverse is in template/viewer.js.
    """
    missing = -len(data) % BYTES
    groups = np.frombuffer(data + bytes(missing), ">u4").astype(np.int64)
    digits = groups[:, None] // 85 ** np.arange(CHARACTERS - 1, -1, -1) % 85
    text = (digits + FIRST).astype(np.uint8).tobytes().decode("ascii").replace("<", "}")
    return text[: len(text) - missing]
