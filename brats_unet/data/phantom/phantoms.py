"""Phantoms: folders of synthetic cases of a scheme, generated from a seed and written in the layout of BraTS."""

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet import nifti
from brats_unet.data.phantom.phantom_case import VERSION, kind_of, labels_of, phantom_case
from brats_unet.data.phantom.scan_grid import BRATS, ScanGrid, times
from brats_unet.errors import DataError, SettingsError
from brats_unet.file_kinds.json_kinds import PhantomFile
from brats_unet.files import atomic_path, entries, require_free_space
from brats_unet.json_files import read_json, recorded_json, write_json
from brats_unet.modality import Modality
from brats_unet.processes import in_processes
from brats_unet.schemes.convention import Convention, conventions
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Volume

SECONDS_EACH = 2.5  # time to make one case on the grid of BraTS
# What `phantom.json` leaves out: folders from before there were schemes and grids hold these phantoms.
EARLIER = {
    "scheme": "glioma", "labels": "ED 2, NCR 1, ET 4", "grid": list(BRATS.shape), "spacing_mm": list(BRATS.spacing_mm),
}  # fmt: skip
MAPPING_COLUMNS = (
    "Grade", "BraTS_2017_subject_ID", "BraTS_2018_subject_ID", "TCGA_TCIA_subject_ID", "BraTS_2019_subject_ID",
    "BraTS_2020_subject_ID",
)  # fmt: skip


@dataclass(frozen=True)
class Names:
    """Names of cases and of their files.

    Attributes:
        case: Form of a case id, which no case of BraTS has; its number counts from 1.
        earlier: Form of the case ids of phantoms that earlier versions made.
        file: Form of a file name, from the case id and the last part.
        parts: Last part of the file name, by modality, and for the mask by "seg".
    """

    case: str
    earlier: str
    file: str
    parts: Mapping[str, str]


PREFIX = "Phantom"  # of every case id
OLD_PARTS = {part: part for part in (*map(str, Modality), "seg")}
OLD = Names("Phantom20_{:03d}", "BraTS20_Training_{:03d}", "{}_{}.nii.gz", OLD_PARTS)
NEW = Names(
    "Phantom-GLI-{:05d}-100",
    "BraTS-GLI-{:05d}-100",
    "{}-{}.nii.gz",
    {"flair": "t2f", "t1": "t1n", "t1ce": "t1c", "t2": "t2w", "seg": "seg"},
)
OWN = replace(OLD, case="Phantom_{:03d}", earlier="Phantom_{:03d}")
# By label convention, the names from which `labels.decide` recognises it; `OWN` names say nothing about it.
NAMES = {"brats2017": OLD, "brats2023": NEW, "brats2024": NEW}


def convention_of(scheme: Scheme) -> Convention:
    """The label convention of the masks of phantoms: the first of the scheme that has an integer for every label.

    Raises:
        SettingsError: There is none.
    """
    for convention in conventions(scheme).values():
        if {scheme.labels[name].value for name in scheme.classes} <= set(convention.to_label.values()):
            return convention
    raise SettingsError(
        f"No label convention of the scheme {scheme.name} has an integer for each of {', '.join(scheme.classes)}, so "
        f"that no phantoms can be written. Add one under integers."
    )


def names_in(folder: Path, scheme: Scheme) -> Names:
    """The names of phantoms in a folder: new ones, or those of the earlier version that made it."""
    names = NAMES.get(convention_of(scheme).name, OWN)
    made = (folder / "phantom.json").is_file() and next(iter(varieties(folder)), "") == names.earlier.format(1)
    return replace(names, case=names.earlier) if made else names


def case_id(names: Names, index: int) -> str:
    """Case id of case `index` (from 0)."""
    return names.case.format(index + 1)


def write_dataset(
    folder: Path,
    *,
    cases: int,
    seed: int,
    scheme: Scheme,
    grid: ScanGrid | None = None,
    workers: int = 0,
    scale: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write the first `cases` phantoms of a scheme, one folder each as in BraTS; complete cases are kept.

    Args:
        folder: Output folder; created if it does not exist. If it already holds phantoms made with the same arguments,
            only missing or incomplete cases are written, and additional cases are kept.
        cases: Number of cases.
        seed: Seed of the dataset.
        scheme: What is segmented; masks follow its first label convention.
        grid: Voxel grid; None for the usual one of the scheme.
        workers: Number of processes; 0 means one per core.
        scale: See `phantom_case`.
        progress: Called with (cases done, cases) at the start and after each case.

    Returns:
        Case ids, in order.

    Raises:
        DataError: The folder has other contents, or phantoms of another seed, scheme, grid or generator version.
        MachineError: The disk does not have enough free space.
    """
    folder = Path(folder)
    grid = grid or kind_of(scheme).grid
    recipe = recipe_of(seed, scheme, grid, scale)
    known = known_cases(folder, recipe)
    total = max(cases, known)
    names = names_in(folder, scheme)
    missing = [i for i in range(cases) if not is_complete(folder, names, i)]
    size = grid.voxels / BRATS.voxels * scale**3
    require_free_space(folder, int(len(missing) * 12e6 * size), f"{len(missing)} phantoms")
    folder.mkdir(parents=True, exist_ok=True)
    if missing or total != known:
        write_json(folder / "phantom.json", description(recipe, scheme, names, total))
        if kind_of(scheme).grades and convention_of(scheme).name == "brats2017":
            write_mapping(folder / "name_mapping.csv", scheme, names, total)
    report = progress or (lambda done, total: None)
    done = cases - len(missing)
    report(done, cases)
    write = partial(write_case, folder, seed, scheme, names, grid, scale)
    for _ in in_processes(write, missing, seconds_each=SECONDS_EACH * size, workers=workers):
        done += 1
        report(done, cases)
    return [case_id(names, i) for i in range(cases)]


def recipe_of(seed: int, scheme: Scheme, grid: ScanGrid, scale: float) -> dict[str, Any]:
    """What decides the voxels of phantoms; recorded in `phantom.json`."""
    written = convention_of(scheme)
    integer = {label: int(written.encode(np.array(scheme.labels[label].value))) for label in labels_of(scheme)}
    return {
        "generator": "brats-unet phantom",
        "version": VERSION,
        "seed": seed,
        "scale": scale,
        "scheme": scheme.name,
        "labels": ", ".join(f"{label} {number}" for label, number in integer.items()),
        "grid": list(grid.shape),
        "spacing_mm": list(grid.spacing_mm),
    }


def description(recipe: Mapping[str, Any], scheme: Scheme, names: Names, cases: int) -> dict[str, Any]:
    """Contents of `phantom.json`; values of `EARLIER` are left out, so that earlier versions read the folder too."""
    kinds = {case_id(names, i): kind_of(scheme).variety(i) for i in range(cases)}
    kept = {key: value for key, value in recipe.items() if key not in EARLIER or EARLIER[key] != value}
    return {**kept, "cases": cases, "varieties": kinds}


def is_phantom(mask: Path) -> bool:
    """Whether a mask is that of a phantom: by its name, or because it lies in a folder that `write_dataset` made."""
    return mask.name.startswith(PREFIX) or any((folder / "phantom.json").is_file() for folder in list(mask.parents)[:2])


def varieties(folder: Path) -> dict[str, str]:
    """Variety of each phantom, by case id, in a folder that `write_dataset` made."""
    file = Path(folder) / "phantom.json"
    return read_json(file, PhantomFile, what=str(folder), advice="Remove the folder.").get("varieties", {})


def known_cases(folder: Path, recipe: Mapping[str, Any]) -> int:
    """Number of phantoms of this recipe that a folder was made for; 0 if it does not exist or is empty.

    Raises:
        DataError: The folder has other contents, or phantoms of another recipe.
    """
    description_file = folder / "phantom.json"
    if not folder.exists() or (folder.is_dir() and not entries(folder)):
        return 0
    if folder.is_file():
        raise DataError(f"{folder}: is a file. Expected a folder to write phantoms into. Choose another output.")
    if not description_file.is_file():
        raise DataError(
            f"{folder}: is not empty and holds no phantoms. Expected a new or empty folder, or one that "
            f"`brats-unet phantom` made. Choose another output."
        )
    found = recorded_json(description_file, PhantomFile)
    if found is None:
        raise DataError(f"{description_file}: cannot be read. Remove the folder, or choose another output.")
    count = found["cases"]
    for key, value in recipe.items():
        if (held := found.get(key, EARLIER.get(key))) != value:
            raise DataError(
                f"{folder}: holds phantoms of {key} {words(held)}, not {words(value)}. Choose another "
                f"folder (data.root=…, or output=… of brats-unet phantom), or remove this one."
            )
    return count


def words(value: Any) -> str:
    """A value of a recipe for messages; a list as 240×240×155."""
    numbers = isinstance(value, list) and all(isinstance(one, int | float) and abs(one) < 1e9 for one in value)
    return times(value) if numbers else f"{value!s:.100}"


def files(folder: Path, names: Names, index: int) -> dict[str, Path]:
    """Paths of the scans of a case by modality, and of its mask by "seg"."""
    case = case_id(names, index)
    return {key: folder / case / names.file.format(case, part) for key, part in names.parts.items()}


def is_complete(folder: Path, names: Names, index: int) -> bool:
    """Whether every file of a case exists; a file gets its name only after it is written completely."""
    return all(path.is_file() for path in files(folder, names, index).values())


def write_case(folder: Path, seed: int, scheme: Scheme, names: Names, grid: ScanGrid, scale: float, index: int) -> None:
    """Generate one phantom and write its five files."""
    case = phantom_case(seed, index, scheme=scheme, grid=grid, scale=scale)
    paths = files(folder, names, index)
    paths["seg"].parent.mkdir(exist_ok=True)
    for modality, image in case.images.items():
        nifti.write_volume(paths[modality], Volume(image, case.affine))
    nifti.write_volume(paths["seg"], Volume(convention_of(scheme).encode(case.labels), case.affine))


def write_mapping(path: Path, scheme: Scheme, names: Names, cases: int) -> None:
    """Write `name_mapping.csv`, which lists the grade of each case."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(MAPPING_COLUMNS)
    kind = kind_of(scheme)
    for index in range(cases):
        rows.writerow([kind.grades[kind.variety(index)], "NA", "NA", "NA", "NA", case_id(names, index)])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
