"""Disturbed copies of a case, as another scanner or head might give; recipe_gain.py tests networks on them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from brats_unet.data.prepare.brain import border_value
from brats_unet.data.prepare.oblique import resliced
from brats_unet.modality import Modality
from brats_unet.nifti import read_volume, write_volume
from brats_unet.volume import Case, ImageFile, Volume

Scans = dict[Modality, np.ndarray]
# Maps scans and labels of a case to those of the disturbed case; the generator is for random changes.
Change = Callable[[Scans, np.ndarray, np.random.Generator], tuple[Scans, np.ndarray]]


def as_it_is(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
    """The original case."""
    return scans, labels


def turned(*degrees: float) -> Change:
    """Rotation about the centre, in degrees about each axis; scans linearly, labels by the nearest neighbour."""

    def change(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
        turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        centre = (np.array(labels.shape) - 1) / 2
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = turn, centre - turn @ centre
        found = {m: resliced(s, np.eye(4), s.shape, matrix, outside=border_value(s)) for m, s in scans.items()}
        return found, ndimage.affine_transform(labels, turn, matrix[:3, 3], order=0)

    return change


def within_brain(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    """A change of the intensities within the brain of each scan; `change` gets them as a flat array."""

    def everywhere(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
        found = {}
        for modality, scan in scans.items():
            brain = scan != border_value(scan)
            found[modality] = scan.astype(np.float32)
            found[modality][brain] = change(found[modality][brain], rng)
        return found, labels

    return everywhere


def bent(exponent: float) -> Change:
    """Gamma correction of each scan between the lowest and the highest intensity of the brain."""

    def change(inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        low, high = inside.min(), inside.max()
        return low + (high - low) * ((inside - low) / (high - low)) ** exponent

    return within_brain(change)


def noisy(share: float) -> Change:
    """Gaussian noise within the brain; its SD is this share of the scan's SD there."""
    return within_brain(lambda inside, rng: inside + rng.normal(0, share * inside.std(), inside.size))


def without(modality: Modality) -> Change:
    """A case without one modality."""

    def change(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
        return {m: scan for m, scan in scans.items() if m != modality}, labels

    return change


ORIGINAL = "as it is"
CHANGES: dict[str, Change] = {
    ORIGINAL: as_it_is,
    "turned 25°": turned(10, 10, 20),
    "gamma 0.6": bent(0.6),
    "gamma 1.6": bent(1.6),
    "noise 1.0": noisy(1.0),
    "no t1ce": without(Modality.T1CE),
    "no flair": without(Modality.FLAIR),
}


def disturbed(case: Case, change: Change, labels: np.ndarray, folder: Path) -> tuple[Case, np.ndarray]:
    """Write the disturbed case to a folder; the case and its labels."""
    volumes = {m: read_volume(file.path, file.channel) for m, file in case.images.items()}
    scans = {m: volume.array for m, volume in volumes.items()}
    rng = np.random.default_rng(np.frombuffer(case.id.encode(), np.uint8))
    scans, labels = change(scans, labels, rng)
    files = {}
    for modality, scan in scans.items():
        path = folder / f"{case.id}_{modality}.nii"
        write_volume(path, Volume(scan, volumes[modality].affine))
        files[modality] = ImageFile(path)
    return Case(case.id, files), labels
