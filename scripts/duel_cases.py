"""The cases of scripts/duel.py for nnU-Net: its raw data set from ours, and its masks back on our grids.

Slices become a NIfTI volume a patient. Where their spacing is unknown, voxels of SLICE_SPACING_MM are written (option
--spacing), so that nnU-Net takes z as the coarse axis and works on axial slices. A sequence that the LGG data set lacks
is given to nnU-Net as it is downloaded: a copy of FLAIR. Ours gets zeros there.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.data.folds import Split
from brats_unet.data.readers.slice_folders import CHANNELS
from brats_unet.errors import DataError, SettingsError
from brats_unet.json_files import write_json
from brats_unet.modality import Modality
from brats_unet.nifti import read_integers, write_volume
from brats_unet.scan_files import read_mask, read_scan, write_like
from brats_unet.schemes.convention import Convention
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Case, ImageFile, Volume

NAME = "Dataset001_Duel"
SLICE_SPACING_MM = (1.0, 1.0, 6.0)


def integers_of(scheme: Scheme) -> dict[int, int]:
    """The integer in nnU-Net's masks of each label in memory: 1, 2, … in the order of the regions.

    In this order nnU-Net writes its regions over one another, so that the innermost one is seen.

    Raises:
        SettingsError: The regions do not determine the labels in this way.
    """
    own = [scheme.own_label(region) for region in scheme.predicted]
    if sorted(own) != sorted(scheme.class_values[1:]):
        raise SettingsError(
            f"The scheme {scheme.name} predicts {', '.join(scheme.predicted)}. Expected one label for each region that "
            f"is in no region inside it, because nnU-Net writes its regions over one another. Choose another scheme."
        )
    return {label: number for number, label in enumerate(own, 1)}


def dataset_json(scheme: Scheme, modalities: Sequence[str], cases: int) -> dict[str, Any]:
    """Content of nnU-Net's dataset.json: regions as in its BraTS recipes, or plain labels if each region is one label.

    Args:
        scheme: What the masks show.
        modalities: Input channels, in order.
        cases: Number of cases.
    """
    integers = integers_of(scheme)
    labels: dict[str, int | list[int]] = {"background": 0}
    for region in scheme.predicted:
        of_region = sorted(integers[label] for label in scheme.values(region) if label in integers)
        labels[region] = of_region if len(of_region) > 1 else of_region[0]
    nested = any(isinstance(one, list) for one in labels.values())
    return {
        "channel_names": {str(number): str(name) for number, name in enumerate(modalities)},
        "labels": labels,
        **({"regions_class_order": sorted(integers.values())} if nested else {}),
        "numTraining": cases,
        "file_ending": ".nii.gz",
    }


def splits_json(splits: Sequence[Split]) -> list[dict[str, list[str]]]:
    """Content of nnU-Net's splits_final.json: its fold k is our fold k."""
    return [{"train": list(one.train), "val": list(one.validation)} for one in splits]


def scan_of(case: Case, modality: Modality) -> ImageFile:
    """The file of a scan; of one that the LGG data set lacks, the copy that stands there.

    Raises:
        DataError: The case has no such scan.
    """
    if modality in case.images:
        return case.images[modality]
    if modality not in case.absent:
        raise DataError(f"{case.id}: no {modality} scan. Expected one for nnU-Net; leave the case out.")
    other = next(iter(case.images.values()))
    return ImageFile(other.path, CHANNELS[modality], other.spacing_mm)


def write_raw(
    folder: Path,
    cases: Sequence[Case],
    modalities: Sequence[Modality],
    convention: Convention,
    slice_spacing_mm: Sequence[float] = SLICE_SPACING_MM,
) -> None:
    """Write nnU-Net's raw data set: imagesTr/, labelsTr/, and dataset.json at the end.

    Args:
        folder: Folder of the data set; files of earlier calls are written again.
        cases: Cases with masks.
        modalities: Input channels, in order.
        convention: What the integers of the masks mean.
        slice_spacing_mm: Voxels along x, y, z of slices whose spacing is unknown.

    Raises:
        DataError: A file is missing or broken.
    """
    table = np.zeros(256, np.uint8)
    for label, integer in integers_of(convention.scheme).items():
        table[label] = integer
    x, y, z = slice_spacing_mm
    for case in cases:
        volumes = [read_scan(scan_of(case, modality)) for modality in modalities]
        affine = volumes[0].affine if volumes[0].spacing_known else np.diag([-x, -y, z, 1.0])
        assert case.mask is not None
        labels = convention.decode(read_mask(case.mask, case.spacing_mm).array, where=case.id)
        for number, volume in enumerate(volumes):
            write_volume(folder / "imagesTr" / f"{case.id}_{number:04}.nii.gz", Volume(volume.array, affine))
        write_volume(folder / "labelsTr" / f"{case.id}.nii.gz", Volume(table[labels], affine))
    write_json(folder / "dataset.json", dataset_json(convention.scheme, modalities, len(cases)))


def take_back(predictions: Path, output: Path, cases: Sequence[Case], convention: Convention) -> dict[str, Path]:
    """Write nnU-Net's masks as ours are written: on the grid of the scans, in the convention of the references.

    Args:
        predictions: nnU-Net's masks, one a case.
        output: Folder for the masks.
        cases: The cases.
        convention: Label convention to write.

    Returns:
        The mask of each case.

    Raises:
        DataError: A mask is missing, broken or holds another integer.
    """
    table = np.zeros(256, np.uint8)
    for label, integer in integers_of(convention.scheme).items():
        table[integer] = label
    masks = {}
    for case in cases:
        file = predictions / f"{case.id}.nii.gz"
        labels = table[read_integers(file).array]
        masks[case.id] = output / f"{case.id}.nii.gz"
        write_like(masks[case.id], convention.encode(labels), next(iter(case.images.values())))
    return masks


def remove_unreadable(predictions: Path, cases: Sequence[Case]) -> list[str]:
    """Delete masks that a killed process has cut short; returns their cases."""
    cut = []
    for case in cases:
        file = predictions / f"{case.id}.nii.gz"
        if file.exists() and not is_readable(file):
            file.unlink()
            cut.append(case.id)
    return cut


def is_readable(file: Path) -> bool:
    """Whether a mask can be read to its end."""
    try:
        read_integers(file)
    except DataError:
        return False
    return True


def all_cases(studies: Mapping[int, Any]) -> list[Case]:
    """The cases of all folds, sorted by id."""
    found = {case.id: case for study in studies.values() for case in study.cases.values()}
    return [found[case_id] for case_id in sorted(found)]
