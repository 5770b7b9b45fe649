"""Dataset fingerprint (shapes, spacing, intensities, regions of prepared cases) and the identity of a dataset."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet.data.prepare.cache import PreparedCase
from brats_unet.data.prepare.preprocess import Preparation
from brats_unet.data.readers.discovery import Dataset
from brats_unet.errors import SettingsError
from brats_unet.file_kinds.json_kinds import FingerprintFile
from brats_unet.json_files import recorded_json, write_json
from brats_unet.processes import map_in_processes
from brats_unet.schemes.scheme import Scheme

VERSION = 1
SECONDS_EACH = 0.3  # upper bound of the time for one case
PERCENTILES = (0.5, 50, 99.5)
EVERY = 3  # intensities are taken from every third voxel along each axis


def identity(dataset: Dataset, preparation: Preparation) -> dict[str, Any]:
    """The cases and the grid that a plan is made for.

    Returns:
        "dataset": name of the data folder. "cases": number of cases with masks. "case_list": hash of their ids, 16
        hexadecimal digits. "spacing_mm" and "crop": as in the preparation.
    """
    ids = sorted(case.id for case in dataset.cases if case.mask is not None)
    digits = hashlib.blake2b(json.dumps(ids).encode(), digest_size=8).hexdigest()
    return {
        "dataset": dataset.root.name,
        "cases": len(ids),
        "case_list": digits,
        "spacing_mm": None if preparation.spacing_mm is None else list(preparation.spacing_mm),
        "crop": preparation.crop,
    }


def refuse_other_dataset(planned_for: Mapping[str, Any] | None, dataset: Dataset, preparation: Preparation) -> None:
    """Raise SettingsError if a plan was made for other cases or for another grid.

    Args:
        planned_for: Recorded `identity` of the dataset that was planned for; None accepts every dataset.
        dataset: The dataset to train on.
        preparation: The preparation to train with.

    Raises:
        SettingsError: The cases or the grid differ, or `planned_for` has an unknown key.
    """
    if planned_for is None:
        return
    found = identity(dataset, preparation)
    unknown = sorted(set(planned_for) - set(found))
    if unknown:
        raise SettingsError(f"There is no setting planned_for.{unknown[0]}. Known: {', '.join(found)}.")
    again = (
        f"Plan again with `brats-unet plan data.root={dataset.root} output=…`, "
        f"or set planned_for=null to use this plan anyway."
    )
    if planned_for.get("case_list", found["case_list"]) != found["case_list"]:
        raise SettingsError(
            f"The plan was made for {planned_for.get('dataset', 'other data')} ({planned_for.get('cases', '?')} cases "
            f"with masks), but {dataset.root} holds different cases ({found['cases']} with masks). {again}"
        )
    for key, unit in (("spacing_mm", " mm"), ("crop", "")):
        wanted, now = planned_for.get(key, found[key]), found[key]
        lengths = key == "spacing_mm" and wanted is not None and now is not None
        same = np.allclose(wanted, now) if lengths else wanted == now
        if not same:
            raise SettingsError(
                f"The plan was made for data.preparation.{key}={_as_text(wanted, unit)}, but it is "
                f"{_as_text(now, unit)} now. {again}"
            )


def _as_text(value: Any, unit: str) -> str:
    if value is None:
        return "null"
    return "[" + ",".join(f"{v:g}" for v in value) + "]" + unit if isinstance(value, list) else f"{value}{unit}"


def fingerprint(
    cases: Sequence[PreparedCase],
    modalities: Sequence[str],
    scheme: Scheme,
    file: Path,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Statistics of the prepared cases, in plain types; read from `file` if it describes the same cases.

    Args:
        cases: Prepared cases with labels.
        modalities: Modalities in the channel order of the prepared volumes.
        scheme: What the labels mean.
        file: JSON file that the fingerprint is written to.
        progress: Called with the number of cases done and their total.

    Returns:
        "cases": number of cases. "median_shape", "largest_shape": voxels of the prepared grid along each axis.
        "case_spacing_mm": median voxel spacing of the cases before resampling. "voxels": voxels of all prepared grids
        together. "intensities": by modality, the percentiles 0.5, 50 and 99.5 and the standard deviation of prepared
        brain voxels, each the mean over cases. "regions": by region, the number of cases that have it ("present") and
        its median volume in these cases ("median_mm3", in mm³, None if no case has it or the spacing is unknown).
    """
    key = hashlib.blake2b(json.dumps([VERSION, sorted(c.folder.name for c in cases)]).encode(), digest_size=8)
    known = recorded_json(file, FingerprintFile)
    if known and known["key"] == key.hexdigest():
        return known
    facts = map_in_processes(
        case_facts, [(case, scheme) for case in cases], seconds_each=SECONDS_EACH, progress=progress
    )
    shapes = np.array([case.grid.shape for case in cases])
    intensities = np.mean([fact["intensities"] for fact in facts], axis=0)
    regions = {}
    is_known = all(case.grid.spacing_known for case in cases)
    for region in scheme.predicted:
        volumes = [fact["mm3"][region] for fact in facts if fact["mm3"][region] > 0]
        median_mm3 = float(np.median(volumes)) if volumes and is_known else None
        regions[region] = {"present": len(volumes), "median_mm3": median_mm3}
    names = [*(f"percentile_{p:g}" for p in PERCENTILES), "standard_deviation"]
    found = {
        "key": key.hexdigest(),
        "cases": len(cases),
        "median_shape": [float(n) for n in np.median(shapes, axis=0)],
        "largest_shape": [int(n) for n in shapes.max(axis=0)],
        "case_spacing_mm": [float(s) for s in np.median([case.grid.case_spacing_mm for case in cases], axis=0)],
        "voxels": int(shapes.prod(axis=1, dtype=np.int64).sum()),
        "intensities": {
            str(modality): {name: round(float(value), 4) for name, value in zip(names, row, strict=True)}
            for modality, row in zip(modalities, intensities, strict=True)
        },
        "regions": regions,
    }
    write_json(file, found)
    return found


def case_facts(argument: tuple[PreparedCase, Scheme]) -> dict[str, Any]:
    """Statistics of one prepared case with labels, whose scheme is the second part of the argument.

    Returns:
        "intensities": by modality, shape (M, 4), the percentiles 0.5, 50 and 99.5 and the standard deviation of the
        brain voxels (every third along each axis). "mm3": volume of each region in mm³, 0 if absent.
    """
    case, scheme = argument
    thin = (slice(None, None, EVERY),) * 3
    values = np.asarray(case.image[thin])[np.asarray(case.brain[thin])].astype(np.float32)
    statistics = np.vstack([np.percentile(values, PERCENTILES, axis=0), values.std(axis=0)[None]]).T
    assert case.labels is not None
    voxel_mm3 = float(np.prod(case.grid.case_spacing_mm) * np.prod(case.grid.ratio))
    counts = scheme.predicted_masks(np.asarray(case.labels)).sum(axis=(0, 1, 2))
    mm3 = {region: float(count) * voxel_mm3 for region, count in zip(scheme.predicted, counts, strict=True)}
    return {"intensities": statistics.tolist(), "mm3": mm3}
