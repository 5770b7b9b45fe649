"""The defects that check_validation.py plants in cases, and the kinds of findings that they should give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import ndimage

from brats_unet.data.prepare.brain import border_value
from brats_unet.data.readers.findings import Kind
from brats_unet.modality import Modality

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
FAR_MM, TILT_DEGREES, ASIDE_MM = 10.0, 12.0, 30.0
TRIES = 30  # random places for a wrong mask
OVERLAP = 0.1  # Dice of a wrong mask with the right one, above which it is not planted


@dataclass(frozen=True, eq=False)
class Content:
    """The arrays of a case with L-P-S axes."""

    scans: Mapping[Modality, np.ndarray]
    mask: np.ndarray
    affine: np.ndarray

    @property
    def brain(self) -> np.ndarray:
        scan = next(iter(self.scans.values()))
        return scan != border_value(scan)

    @property
    def edges_mm(self) -> np.ndarray:
        return np.abs(np.diag(self.affine)[:3])

    def with_scan(self, modality: Modality, scan: np.ndarray) -> "Content":
        return replace(self, scans={**self.scans, modality: scan})


@dataclass(frozen=True)
class Planted:
    """A defect in a case: what was written, and the scan that a finding should name ("" for none)."""

    content: Content
    scan: str = ""


# Plants a defect: (a case, another case, random numbers) -> the defect, or None where it cannot be planted.
Plant = Callable[[Content, Content, np.random.Generator], Planted | None]


def any_scan(content: Content, rng: np.random.Generator) -> Modality:
    return list(content.scans)[rng.integers(len(content.scans))]


def in_a_scan(
    change: Callable[[np.ndarray, Content, np.random.Generator], np.ndarray], *, against: bool = False
) -> Plant:
    """A change of one scan, drawn at random; `against` the other scans of the case, if it has any."""

    def plant(content: Content, other: Content, rng: np.random.Generator) -> Planted | None:
        if against and len(content.scans) < 2:
            return None
        modality = any_scan(content, rng)
        return Planted(content.with_scan(modality, change(content.scans[modality], content, rng)), str(modality))

    return plant


def in_the_mask(change: Callable[[Content, Content, np.random.Generator], np.ndarray | None]) -> Plant:
    """A change of the mask."""

    def plant(content: Content, other: Content, rng: np.random.Generator) -> Planted | None:
        mask = change(content, other, rng) if content.mask.any() else None
        return None if mask is None else Planted(replace(content, mask=mask.astype(np.uint8)), "mask")

    return plant


def elsewhere(change: Callable[[Content, Content, np.random.Generator], np.ndarray | None]) -> Plant:
    """A mask in another place, which overlaps the right one by a Dice below 0.1 and mostly lies in the brain."""

    def moved(content: Content, other: Content, rng: np.random.Generator) -> np.ndarray | None:
        for _ in range(TRIES):
            mask = change(content, other, rng)
            if mask is None or not mask.any():
                return None
            one, two = mask > 0, content.mask > 0
            dice = 2 * np.count_nonzero(one & two) / (np.count_nonzero(one) + np.count_nonzero(two))
            inside = np.count_nonzero(one & content.brain) / np.count_nonzero(one)
            if dice < OVERLAP and inside > 0.9:
                return mask
        return None

    return in_the_mask(moved)


def shifted(array: np.ndarray, voxels: np.ndarray, fill: float) -> np.ndarray:
    """An array moved by whole voxels along each axis."""
    result = np.full_like(array, fill)
    target = tuple(slice(max(0, v), min(n, n + v)) for v, n in zip(voxels, array.shape, strict=True))
    source = tuple(slice(max(0, -v), min(n, n - v)) for v, n in zip(voxels, array.shape, strict=True))
    result[target] = array[source]
    return result


def drawn_shift(content: Content, rng: np.random.Generator, length_mm: float, axes: int = 3) -> np.ndarray:
    direction = rng.normal(size=3) * (np.arange(3) < axes)
    return np.rint(direction / np.linalg.norm(direction) * length_mm / content.edges_mm).astype(int)


def moved_scan(scan: np.ndarray, content: Content, rng: np.random.Generator) -> np.ndarray:
    return shifted(scan, drawn_shift(content, rng, FAR_MM, 2 if content.edges_mm[2] > 2 else 3), border_value(scan))


def tilted_scan(scan: np.ndarray, content: Content, rng: np.random.Generator) -> np.ndarray:
    planes = [(0, 1)] if content.edges_mm[2] > 2 else [(0, 1), (0, 2), (1, 2)]  # thick slices are only turned in plane
    plane = planes[rng.integers(len(planes))]
    return ndimage.rotate(scan, TILT_DEGREES, axes=plane, reshape=False, order=1, cval=border_value(scan))


def nearly_constant(scan: np.ndarray, content: Content, rng: np.random.Generator) -> np.ndarray:
    inside = scan != border_value(scan)
    mean = scan[inside].mean()
    return np.where(inside, np.rint(1000 + 20 * (scan - mean) / max(float(mean), 1.0)), 0).astype(np.int16)


def clipped(scan: np.ndarray, content: Content, rng: np.random.Generator) -> np.ndarray:
    return np.minimum(scan, np.percentile(scan[scan != border_value(scan)], 99)).astype(scan.dtype)


def coarse_greys(scan: np.ndarray, content: Content, rng: np.random.Generator) -> np.ndarray:
    return np.rint(scan / (np.percentile(scan, 99.9) / 12)).astype(np.int16)


def inverted(scan: np.ndarray, content: Content, rng: np.random.Generator) -> np.ndarray:
    return -scan.astype(np.int16)


def not_finite(scan: np.ndarray, content: Content, rng: np.random.Generator) -> np.ndarray:
    wrong = scan.astype(np.float32)
    wrong.flat[rng.integers(scan.size)] = np.nan
    return wrong


def other_mask(content: Content, other: Content, rng: np.random.Generator) -> np.ndarray | None:
    return other.mask if other.mask.shape == content.mask.shape else None


def off_brain(content: Content, other: Content, rng: np.random.Generator) -> np.ndarray:
    first = np.argwhere(content.mask > 0)[0]
    return shifted(content.mask, np.array([0, 0, 0]) - first, 0)  # into a corner of the volume


def with_specks(content: Content, other: Content, rng: np.random.Generator) -> np.ndarray:
    mask = content.mask.copy()
    places = np.argwhere(content.brain)
    mask[tuple(places[rng.integers(len(places), size=200)].T)] = content.mask.max()
    return mask


def whole_brain(content: Content, other: Content, rng: np.random.Generator) -> np.ndarray:
    return np.where(ndimage.binary_erosion(content.brain), content.mask.max(), 0)


def exchanged(one: int, other: int) -> Plant:
    """Two labels swapped, each of 0.5 ml or more."""

    def change(content: Content, _: Content, rng: np.random.Generator) -> np.ndarray | None:
        first, second = content.mask == one, content.mask == other
        ml = min(np.count_nonzero(first), np.count_nonzero(second)) * float(np.prod(content.edges_mm)) / 1000
        return np.where(first, other, np.where(second, one, content.mask)) if ml >= 0.5 else None

    return in_the_mask(change)


def swapped(one: Modality, other: Modality) -> Plant:
    """Two scans under one another's names."""

    def plant(content: Content, _: Content, rng: np.random.Generator) -> Planted | None:
        if one not in content.scans or other not in content.scans:
            return None
        return Planted(replace(content, scans={**content.scans, one: content.scans[other], other: content.scans[one]}))

    return plant


def declared(affine: np.ndarray) -> Plant:
    """Other axes in the header of every file, the voxels as they are."""

    def plant(content: Content, other: Content, rng: np.random.Generator) -> Planted:
        return Planted(replace(content, affine=affine @ np.diag([*content.edges_mm, 1.0])))

    return plant


def copied(*, mirrored: bool) -> Plant:
    """The scans and the mask of the other case, brighter, noisy and shifted by a voxel along each axis."""

    def plant(content: Content, other: Content, rng: np.random.Generator) -> Planted:
        scans = {}
        for modality, scan in other.scans.items():
            inside = scan != border_value(scan)
            noise = rng.normal(0, 0.05 * scan[inside].std(), scan.shape)
            moved = shifted(np.where(inside, 1.3 * scan + noise, scan), np.array([1, 1, 1]), border_value(scan))
            scans[modality] = (moved[::-1] if mirrored else moved).astype(np.float32)
        return Planted(replace(other, scans=scans, mask=other.mask[::-1] if mirrored else other.mask))

    return plant


MIRRORED, REGISTERED = {Kind.MIRRORED}, {Kind.REGISTRATION, Kind.BRAIN}
ANY_MASK, HEADER = {Kind.MASK, Kind.MIRRORED}, {Kind.ORIENTATION}
DEFECTS: dict[str, tuple[Plant, set[Kind]]] = {
    "one scan mirrored left-right": (in_a_scan(lambda scan, *_: scan[::-1], against=True), MIRRORED),
    "one scan mirrored front-back": (in_a_scan(lambda scan, *_: scan[:, ::-1], against=True), MIRRORED),
    "one scan mirrored top-bottom": (in_a_scan(lambda scan, *_: scan[:, :, ::-1], against=True), MIRRORED),
    "one scan turned by 180°": (in_a_scan(lambda scan, *_: scan[::-1, ::-1], against=True), MIRRORED),
    f"one scan shifted by {FAR_MM:g} mm": (in_a_scan(moved_scan, against=True), REGISTERED),
    f"one scan turned by {TILT_DEGREES:g}°": (in_a_scan(tilted_scan, against=True), REGISTERED | MIRRORED),
    "header: left-right and front-back exchanged": (declared(LPS[[1, 0, 2, 3]]), HEADER),
    "header: front-back and top-bottom exchanged": (declared(LPS[[0, 2, 1, 3]]), HEADER),
    "header: front-back reversed": (declared(np.diag([-1.0, 1.0, 1.0, 1.0])), HEADER),
    "header: top-bottom reversed": (declared(np.diag([-1.0, -1.0, -1.0, 1.0])), HEADER),
    **{f"{a} and {b} swapped": (swapped(a, b), {Kind.SEQUENCES}) for a, b in combinations(Modality, 2)},
    "one scan clipped at its 99th percentile": (in_a_scan(clipped), {Kind.INTENSITIES}),
    "one scan nearly constant": (in_a_scan(nearly_constant), {Kind.INTENSITIES}),
    "one scan in 13 grey levels": (in_a_scan(coarse_greys), {Kind.INTENSITIES}),
    "one scan negative only": (in_a_scan(inverted), {Kind.INTENSITIES}),
    "one voxel NaN": (in_a_scan(not_finite), {Kind.INTENSITIES}),
    "mask mirrored left-right": (elsewhere(lambda content, *_: content.mask[::-1]), ANY_MASK),
    "mask mirrored front-back": (elsewhere(lambda content, *_: content.mask[:, ::-1]), ANY_MASK),
    f"mask shifted by {ASIDE_MM:g} mm": (
        elsewhere(lambda content, _, rng: shifted(content.mask, drawn_shift(content, rng, ASIDE_MM), 0)), ANY_MASK,
    ),
    "mask of another case": (elsewhere(other_mask), ANY_MASK),
    "mask off the brain": (in_the_mask(off_brain), {Kind.MASK}),
    "mask empty": (in_the_mask(lambda content, *_: np.zeros_like(content.mask)), {Kind.MASK}),
    "mask of the whole brain": (in_the_mask(whole_brain), {Kind.LABELS}),
    "mask with 200 specks": (in_the_mask(with_specks), {Kind.LABELS}),
    **{f"labels {a} and {b} swapped": (exchanged(a, b), {Kind.LABELS}) for a, b in combinations((1, 2, 4), 2)},
    "scans of another patient": (copied(mirrored=False), {Kind.DUPLICATE}),
    "scans of another patient, mirrored": (copied(mirrored=True), {Kind.DUPLICATE}),
}  # fmt: skip
WITHOUT_BRAIN_MASK = {"one scan nearly constant", "one scan negative only", "mask of the whole brain"}
