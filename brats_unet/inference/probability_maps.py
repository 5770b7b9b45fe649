"""Files kept of a predicted case besides its mask: region probabilities and an uncertainty map."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from brats_unet.inference.confidence import entropy
from brats_unet.run import probability_file
from brats_unet.scan_files import write_like
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Case, ImageFile

STEP = float(np.nextafter(np.float32(1 / 255), np.float32(0)))  # largest float32 slope with 255 * slope <= 1

# Called with a case and its region probabilities (X, Y, Z, R) on its own grid, before its mask is written.
Keep = Callable[[Case, np.ndarray], None]


def keep_nothing(case: Case, probabilities: np.ndarray) -> None:
    """Keep only the masks."""


def keep_regions(folder: Path, scheme: Scheme, *, exact: bool = False) -> Keep:
    """Write the probability of each predicted region as `<id>_probability_<region>.nii.gz`.

    Args:
        folder: Folder to write into; created if missing.
        scheme: What the regions are.
        exact: Write float32. Otherwise write uint8 with a slope of 1/255 in the header, at a twentieth of the size.
    """

    def keep(case: Case, probabilities: np.ndarray) -> None:
        for index, region in enumerate(scheme.predicted):
            _write_share(probability_file(folder, case.id, region), probabilities[..., index], case, exact=exact)

    return keep


def keep_uncertainty(folder: Path, scheme: Scheme) -> Keep:
    """Write the entropy of the mean probabilities as `<id>_uncertainty.nii.gz`, uint8 with a slope of 1/255."""

    def keep(case: Case, probabilities: np.ndarray) -> None:
        _write_share(folder / f"{case.id}_uncertainty.nii.gz", entropy(probabilities, scheme), case, exact=False)

    return keep


def keep_all(keeps: Sequence[Keep]) -> Keep:
    """Run several `Keep` functions, one after another."""

    def keep(case: Case, probabilities: np.ndarray) -> None:
        for one in keeps:
            one(case, probabilities)

    return keep


def _write_share(path: Path, share: np.ndarray, case: Case, *, exact: bool) -> None:
    """Write values from 0 to 1, as float32 or as uint8 with a slope of 1/255."""
    if exact:
        write_like(path, np.ascontiguousarray(share), scan_of(case))
    else:
        write_like(path, np.rint(share * 255).astype(np.uint8), scan_of(case), slope=STEP)


def scan_of(case: Case) -> ImageFile:
    """The scan whose grid and header the mask of a case copies."""
    return next(iter(case.images.values()))
