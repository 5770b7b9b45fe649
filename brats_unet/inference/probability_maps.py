"""What is kept of a predicted case beside its mask: region probabilities, and a map of the uncertainty."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from brats_unet.anatomy import Region
from brats_unet.inference.confidence import entropy
from brats_unet.nifti import write_volume
from brats_unet.run import probability_file
from brats_unet.volume import Case, Volume

STEP = float(np.nextafter(np.float32(1 / 255), np.float32(0)))  # a header's float32 that makes no 255 more than 1

# Given a case and its region probabilities (X, Y, Z, 3) on its own grid, before its mask is written.
Keep = Callable[[Case, np.ndarray], None]


def keep_nothing(case: Case, probabilities: np.ndarray) -> None:
    """Only the masks are wanted."""


def keep_regions(folder: Path, *, exact: bool = False) -> Keep:
    """Write each region's probability into `folder`, named `<id>_probability_<region>.nii.gz`.

    Args:
        folder: Made if need be.
        exact: As float32; else in 255 steps with a header that says so, at a twentieth of the size.
    """

    def keep(case: Case, probabilities: np.ndarray) -> None:
        for index, region in enumerate(Region):
            _write_share(probability_file(folder, case.id, region), probabilities[..., index], case, exact=exact)

    return keep


def keep_uncertainty(folder: Path) -> Keep:
    """Write the entropy of the mean probabilities into `folder`, named `<id>_uncertainty.nii.gz`, in 255 steps."""

    def keep(case: Case, probabilities: np.ndarray) -> None:
        _write_share(folder / f"{case.id}_uncertainty.nii.gz", entropy(probabilities), case, exact=False)

    return keep


def keep_all(keeps: Sequence[Keep]) -> Keep:
    """One after another."""

    def keep(case: Case, probabilities: np.ndarray) -> None:
        for one in keeps:
            one(case, probabilities)

    return keep


def _write_share(path: Path, share: np.ndarray, case: Case, *, exact: bool) -> None:
    """Numbers from 0 to 1, as float32 or in 255 steps."""
    if exact:
        write_volume(path, Volume(np.ascontiguousarray(share)), like=scan_of(case))
    else:
        write_volume(path, Volume(np.rint(share * 255).astype(np.uint8)), like=scan_of(case), slope=STEP)


def scan_of(case: Case) -> Path:
    """The scan whose grid and header the mask of a case takes."""
    return next(iter(case.images.values())).path
