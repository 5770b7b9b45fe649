"""One phantom in memory: a patient of the kind that a scheme asks for, scanned on a voxel grid."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from brats_unet.data.phantom.blobs import Spread, with_lesions
from brats_unet.data.phantom.cavity import AfterSurgery, with_operated_glioma
from brats_unet.data.phantom.contrast import paint
from brats_unet.data.phantom.patient import Patient, with_glioma
from brats_unet.data.phantom.scan_grid import BRATS, MNI, ScanGrid
from brats_unet.data.phantom.tissue import tissue_shares
from brats_unet.data.phantom.tumour import CYCLE, GRADES
from brats_unet.modality import Modality
from brats_unet.schemes.scheme import Scheme

VERSION = 2  # version of the generator; increase it when the voxels change


@dataclass(frozen=True)
class Kind:
    """A kind of phantoms, made for the schemes whose predicted regions hold certain labels.

    Attributes:
        varieties: Names of its varieties; case i has variety i modulo their number.
        draw: Draws a patient of a variety, given the names of the labels in the order of `labels_of`.
        grid: Its usual grid.
        salt: Numbers that set its random draws apart from those of other kinds.
        grades: Tumour grade, "HGG" or "LGG", by variety; empty if they have none.
    """

    varieties: tuple[str, ...]
    draw: Callable[[np.random.Generator, str, Sequence[str]], Patient]
    grid: ScanGrid = BRATS
    salt: tuple[int, ...] = ()
    grades: Mapping[str, str] = field(default_factory=dict)

    def variety(self, index: int) -> str:
        """Variety of case `index`, from 0."""
        return self.varieties[index % len(self.varieties)]


GLIOMA = Kind(tuple(map(str, CYCLE)), with_glioma, grades={str(k): grade for k, grade in GRADES.items()})
OPERATED = Kind(tuple(map(str, AfterSurgery)), with_operated_glioma, MNI, (1,))
LESIONS = Kind(tuple(map(str, Spread)), with_lesions, salt=(2,))
KINDS = {frozenset({"NCR", "ED", "ET"}): GLIOMA, frozenset({"NCR", "ED", "ET", "RC"}): OPERATED}


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """One phantom.

    Attributes:
        images: Scans by modality, int16, shape (X, Y, Z) along L, P, S; 0 outside the brain.
        labels: Labels as in memory, uint8, same shape.
        affine: Affine, voxel to R-A-S+ millimetres.
        variety: One of the varieties of its kind.
        grade: Tumour grade, "HGG" or "LGG"; None if its kind has no grades.
    """

    images: dict[Modality, np.ndarray]
    labels: np.ndarray
    affine: np.ndarray
    variety: str
    grade: str | None


def kind_of(scheme: Scheme) -> Kind:
    """The kind of phantoms for a scheme; `LESIONS` for any labels that no other kind has."""
    return KINDS.get(frozenset(scheme.classes), LESIONS)


def labels_of(scheme: Scheme) -> list[str]:
    """The labels of a scheme that occur in its phantoms: those in fewer predicted regions, which lie outside, first."""
    depth = {name: sum(name in scheme.regions[region].labels for region in scheme.predicted) for name in scheme.classes}
    return sorted(scheme.classes, key=lambda name: depth[name])


def phantom_case(
    seed: int, index: int, *, scheme: Scheme, grid: ScanGrid | None = None, scale: float = 1.0
) -> PhantomCase:
    """Generate one phantom. The same arguments always give the same voxels.

    Args:
        seed: Seed of the dataset.
        index: Index of the case, from 0, which decides its variety.
        scheme: What is segmented.
        grid: Voxel grid; None for the usual one of the kind.
        scale: Below 1, the same grid with larger voxels: 0.4 for 96×96×62 voxels of 2.5 mm instead of 240×240×155.

    Raises:
        ValueError: `scale` is not in (0, 1], or seed or index is negative.
    """
    if not 0 < scale <= 1 or seed < 0 or index < 0:
        raise ValueError(f"Expected 0 < scale <= 1, seed >= 0 and index >= 0, not {scale}, {seed}, {index}.")
    kind = kind_of(scheme)
    grid = grid or kind.grid
    variety = kind.variety(index)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([VERSION, seed, index, *kind.salt])))
    patient = kind.draw(rng, variety, labels_of(scheme))
    box = grid.sampler(patient.anatomy.head, scale)
    head, shares = box(patient.anatomy.head) > 0, tissue_shares(patient.anatomy, box)
    values = {name: tissue.value for name, tissue in scheme.labels.items()}
    extent = patient.growth(box, head, shares, values)
    images = paint(rng, patient.anatomy, head, shares, extent, patient.appearance, box)
    shape = tuple(round(n * scale) for n in grid.shape[::-1])
    slices = tuple(slice(a, b) for a, b in zip(box.start, box.stop, strict=True))
    labels = np.zeros(shape, np.uint8)
    labels[slices] = box.middle(extent.labels)
    scans = {}
    for modality, image in images.items():
        scan = np.zeros(shape, np.int16)
        scan[slices] = image
        scans[modality] = scan.T
    return PhantomCase(scans, labels.T, grid.affine(scale), variety, kind.grades.get(variety))
