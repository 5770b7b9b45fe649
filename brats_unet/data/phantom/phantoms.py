"""Phantoms: synthetic brains with gliomas, generated from a seed and written in the layout of BraTS 2020."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from brats_unet import nifti
from brats_unet.anatomy import Modality
from brats_unet.data.phantom.contrast import appearances, paint
from brats_unet.data.phantom.fields import MIDLINE, ORIGIN_MM, PITCH_MM, FieldSampler, lattice_axes, random_field
from brats_unet.data.phantom.head import Anatomy, grow_head
from brats_unet.data.phantom.tumour import (
    CYCLE,
    GRADES,
    Tumour,
    Variety,
    draw_lesions,
    grow_tumour,
    without_mass_effect,
)
from brats_unet.errors import DataError
from brats_unet.files import atomic_path, require_free_space, write_json
from brats_unet.processes import in_processes
from brats_unet.volume import Volume

VERSION = 2  # version of the generator; increase it when the voxels change
FULL_SHAPE = (240, 240, 155)
SECONDS_EACH = 2.5  # time to make one case at full size
MAPPING_COLUMNS = (
    "Grade", "BraTS_2017_subject_ID", "BraTS_2018_subject_ID", "TCGA_TCIA_subject_ID", "BraTS_2019_subject_ID",
    "BraTS_2020_subject_ID",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """One phantom.

    Attributes:
        images: Scans by modality, int16, shape (X, Y, Z) along L, P, S; 0 outside the brain.
        labels: Labels, uint8 values of `Label`, same shape.
        affine: Affine, voxel to R-A-S+ millimetres.
        variety: Kind of tumour.
        grade: Tumour grade, "HGG" or "LGG".
    """

    images: dict[Modality, np.ndarray]
    labels: np.ndarray
    affine: np.ndarray
    variety: Variety
    grade: str


def case_id(index: int) -> str:
    """Case id of case `index` (from 0) in the form of BraTS 2020."""
    return f"BraTS20_Training_{index + 1:03d}"


def phantom_case(seed: int, index: int, *, scale: float = 1.0) -> PhantomCase:
    """Generate one phantom. The same arguments always give the same voxels.

    Args:
        seed: Seed of the dataset.
        index: Index of the case, from 0; its variety is `CYCLE[index % 6]`.
        scale: Voxels per millimetre: 1 for 240×240×155 voxels, 0.4 for the same head in 96×96×62 voxels of 2.5 mm.

    Raises:
        ValueError: `scale` is not in (0, 1], or seed or index is negative.
    """
    if not 0 < scale <= 1 or seed < 0 or index < 0:
        raise ValueError(f"Expected 0 < scale <= 1, seed >= 0 and index >= 0, not {scale}, {seed}, {index}.")
    shape = tuple(round(n * scale) for n in FULL_SHAPE)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([VERSION, seed, index])))
    variety = CYCLE[index % len(CYCLE)]
    anatomy, tumour = head_with_tumour(rng, variety)
    appearance = appearances(rng, variety is Variety.TINY_ET, variety in (Variety.NO_ET, Variety.TINY_ET))
    box = box_around(anatomy.head, shape, scale)
    images, labels = paint(rng, anatomy, tumour, appearance, box, scale)
    full_labels = np.zeros(shape[::-1], np.uint8)
    slices = tuple(slice(a, b) for a, b in zip(box.start, box.stop, strict=True))
    full_labels[slices] = labels
    scans = {}
    for modality, image in images.items():
        scan = np.zeros(shape[::-1], np.int16)
        scan[slices] = image
        scans[modality] = scan.T
    spacing = 1 / scale
    affine = np.diag([-spacing, -spacing, spacing, 1.0])
    affine[1, 3] = 239.0
    return PhantomCase(scans, full_labels.T, affine, variety, GRADES[variety])


def head_with_tumour(rng: np.random.Generator, variety: Variety) -> tuple[Anatomy, Tumour]:
    """Draw a head of random size, tilt and shape, and the tumour in it."""
    lesions = draw_lesions(rng, variety)
    z, y, x = lattice_axes()
    size = rng.normal(1, 0.03, 3)
    tilt = rng.normal(0, 0.025, 3)  # radians
    shift = rng.normal(0, 1.5, 3)
    z, y, x = z - 75 + shift[0], y - 130 + shift[1], x + shift[2]
    x, y = x + tilt[0] * y, y - tilt[0] * x
    y, z = y + tilt[1] * z, z - tilt[1] * y
    x, z = x + tilt[2] * z, z - tilt[2] * x
    warp = [2.0 * random_field(rng, 70) for _ in range(3)]
    x, y, z = (
        (p * s + c + w).astype(np.float32) for p, s, c, w in zip((x, y, z), size, (0, 130, 75), warp, strict=True)
    )
    anatomy = grow_head(rng, *without_mass_effect(x, y, z, lesions), atrophy=float(rng.beta(2, 2)))
    return anatomy, grow_tumour(rng, variety, lesions, (x, y, z), anatomy)


def box_around(depth: np.ndarray, shape: tuple[int, ...], scale: float) -> FieldSampler:
    """Sampler for the smallest box that contains all lattice cells of positive depth, plus one cell on each side."""
    start, stop = [], []
    for axis in range(3):
        cells = np.flatnonzero((depth > 0).any(axis=tuple(i for i in range(3) if i != axis)))
        offset = ORIGIN_MM[axis] + (MIDLINE if axis == 2 else 0)
        ends = (offset + PITCH_MM * (c + d) for c, d in ((cells[0], -1), (cells[-1], 2)))
        first, last = ((mm + 0.5) * scale for mm in ends)
        start.append(max(0, int(np.floor(first))))
        stop.append(min(shape[2 - axis], int(np.ceil(last))))
    return FieldSampler(tuple(start), tuple(stop), scale)  # type: ignore[arg-type]


def write_dataset(
    folder: Path,
    *,
    cases: int,
    seed: int,
    workers: int = 0,
    scale: float = 1.0,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Write the first `cases` phantoms in the layout of the BraTS 2020 training set; complete cases are kept.

    Args:
        folder: Output folder; created if it does not exist. If it already holds phantoms of this seed and scale, only
            missing or incomplete cases are written, and additional cases are kept.
        cases: Number of cases.
        seed: Seed of the dataset.
        workers: Number of processes; 0 means one per core.
        scale: Voxels per millimetre; see `phantom_case`.
        progress: Called with (cases done, cases) at the start and after each case.

    Returns:
        Case ids, in order.

    Raises:
        DataError: The folder has other contents, or phantoms of another seed, scale or generator version.
        MachineError: The disk does not have enough free space.
    """
    folder = Path(folder)
    recipe = {"generator": "brats-unet phantom", "version": VERSION, "seed": seed, "scale": scale}
    known = known_cases(folder, recipe)
    total = max(cases, known)
    missing = [i for i in range(cases) if not is_complete(folder, i)]
    require_free_space(folder, int(len(missing) * 12e6 * scale**3), f"{len(missing)} phantoms")
    folder.mkdir(parents=True, exist_ok=True)
    if missing or total != known:
        write_json(folder / "phantom.json", description(recipe, total))
        write_mapping(folder / "name_mapping.csv", total)
    report = progress or (lambda done, total: None)
    done = cases - len(missing)
    report(done, cases)
    write = partial(write_case, folder, seed, scale)
    for _ in in_processes(write, missing, seconds_each=SECONDS_EACH * scale**3, workers=workers):
        done += 1
        report(done, cases)
    return [case_id(i) for i in range(cases)]


def description(recipe: dict[str, Any], cases: int) -> dict[str, Any]:
    """Contents of `phantom.json`."""
    kinds = {case_id(i): str(CYCLE[i % len(CYCLE)]) for i in range(cases)}
    return {**recipe, "cases": cases, "varieties": kinds}


def varieties(folder: Path) -> dict[str, str]:
    """Variety of each phantom, by case id, in a folder that `write_dataset` made."""
    return dict(json.loads((Path(folder) / "phantom.json").read_text(encoding="utf-8"))["varieties"])


def known_cases(folder: Path, recipe: dict[str, Any]) -> int:
    """Number of phantoms of this recipe that a folder was made for; 0 if it does not exist or is empty.

    Raises:
        DataError: The folder has other contents, or phantoms of another recipe.
    """
    description_file = folder / "phantom.json"
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return 0
    if folder.is_file():
        raise DataError(f"{folder}: is a file. Expected a folder to write phantoms into. Choose another output.")
    if not description_file.is_file():
        raise DataError(
            f"{folder}: is not empty and holds no phantoms. Expected a new or empty folder, or one that "
            f"`brats-unet phantom` made. Choose another output."
        )
    try:
        found = json.loads(description_file.read_text(encoding="utf-8"))
        count = int(found["cases"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        raise DataError(f"{description_file}: cannot be read. Remove the folder, or choose another output.") from None
    for key, value in recipe.items():
        if found.get(key) != value:
            raise DataError(
                f"{folder}: holds phantoms of {key} {found.get(key)}, not {value}. "
                f"Choose another output, or remove the folder."
            )
    return count


def files(folder: Path, index: int) -> dict[str, Path]:
    """Paths of the scans and the mask of a case, by the last part of their names."""
    name = case_id(index)
    return {part: folder / name / f"{name}_{part}.nii.gz" for part in (*(str(m) for m in Modality), "seg")}


def is_complete(folder: Path, index: int) -> bool:
    """Whether every file of a case exists; a file gets its name only after it is written completely."""
    return all(path.is_file() for path in files(folder, index).values())


def write_case(folder: Path, seed: int, scale: float, index: int) -> None:
    """Generate one phantom and write its five files."""
    case = phantom_case(seed, index, scale=scale)
    paths = files(folder, index)
    paths["seg"].parent.mkdir(exist_ok=True)
    for modality, image in case.images.items():
        nifti.write_volume(paths[modality], Volume(image, case.affine))
    nifti.write_volume(paths["seg"], Volume(case.labels, case.affine))


def write_mapping(path: Path, cases: int) -> None:
    """Write `name_mapping.csv`, which lists the grade of each case."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(MAPPING_COLUMNS)
    for index in range(cases):
        rows.writerow([GRADES[CYCLE[index % len(CYCLE)]], "NA", "NA", "NA", "NA", case_id(index)])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
