"""Phantoms: brains with gliomas made from a seed, written in the layout of BraTS 2020."""

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
from brats_unet.data.phantom.fields import (
    MIDLINE,
    ORIGIN_MM,
    PITCH_MM,
    FieldSampler,
    lattice_axes,
    random_field,
)
from brats_unet.data.phantom.head import Anatomy, grow
from brats_unet.data.phantom.tumour import CYCLE, GRADES, Tumour, Variety, lesions, pushed, spread
from brats_unet.errors import DataError
from brats_unet.files import atomic_path, require_free_space, write_json
from brats_unet.processes import in_processes
from brats_unet.volume import Volume

VERSION = 2  # of the generator: another version, other voxels
FULL_SHAPE = (240, 240, 155)
SECONDS_EACH = 2.5  # of a case of full size
MAPPING_COLUMNS = (
    "Grade", "BraTS_2017_subject_ID", "BraTS_2018_subject_ID", "TCGA_TCIA_subject_ID", "BraTS_2019_subject_ID",
    "BraTS_2020_subject_ID",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class PhantomCase:
    """One phantom.

    Attributes:
        images: int16 scans by modality, axes L-P-S, 0 outside the brain.
        labels: uint8, integers of `Label`, on the same grid.
        affine: Voxel to R-A-S+ mm.
        variety: What kind of tumour it has.
        grade: "HGG" or "LGG".
    """

    images: dict[Modality, np.ndarray]
    labels: np.ndarray
    affine: np.ndarray
    variety: Variety
    grade: str


def case_id(index: int) -> str:
    """Name of case `index` (from 0), as BraTS 2020 has it."""
    return f"BraTS20_Training_{index + 1:03d}"


def phantom_case(seed: int, index: int, *, scale: float = 1.0) -> PhantomCase:
    """Make one phantom; the same arguments give the same voxels, however many cases there are.

    Args:
        seed: Of the dataset.
        index: Of the case, from 0; its variety is `CYCLE[index % 6]`.
        scale: 1 for the true size, 240x240x155 voxels of 1 mm; 0.4 for the same head on 96x96x62 voxels of 2.5 mm.

    Raises:
        ValueError: `scale` does not lie in (0, 1], or seed or index is negative.
    """
    if not 0 < scale <= 1 or seed < 0 or index < 0:
        raise ValueError(f"Expected 0 < scale <= 1, seed >= 0 and index >= 0, not {scale}, {seed}, {index}.")
    shape = tuple(round(n * scale) for n in FULL_SHAPE)
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([VERSION, seed, index])))
    variety = CYCLE[index % len(CYCLE)]
    anatomy, tumour = head(rng, variety)
    appearance = appearances(rng, variety is Variety.TINY_ET, variety in (Variety.NO_ET, Variety.TINY_ET))
    box = around(anatomy.head, shape, scale)
    images, labels = paint(rng, anatomy, tumour, appearance, box, scale)
    whole = np.zeros(shape[::-1], np.uint8)
    where = tuple(slice(a, b) for a, b in zip(box.start, box.stop, strict=True))
    whole[where] = labels
    scans = {}
    for modality, image in images.items():
        scan = np.zeros(shape[::-1], np.int16)
        scan[where] = image
        scans[modality] = scan.T
    spacing = 1 / scale
    affine = np.diag([-spacing, -spacing, spacing, 1.0])
    affine[1, 3] = 239.0
    return PhantomCase(scans, whole.T, affine, variety, GRADES[variety])


def head(rng: np.random.Generator, variety: Variety) -> tuple[Anatomy, Tumour]:
    """A head of its own size, tilt and shape, and what grows in it."""
    seats = lesions(rng, variety)
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
    anatomy = grow(rng, *pushed(x, y, z, seats), atrophy=float(rng.beta(2, 2)))
    return anatomy, spread(rng, variety, seats, (x, y, z), anatomy)


def around(depth: np.ndarray, shape: tuple[int, ...], scale: float) -> FieldSampler:
    """The box of voxels that holds every lattice cell of positive depth, and a cell around."""
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
    """Write phantoms 1 to `cases` as BraTS 2020 lays out its training set, or what is missing of them.

    Args:
        folder: Made where it does not exist. A folder that already holds these phantoms is left alone, one that was
            left half-written is completed; more cases than asked for stay.
        cases: How many.
        seed: Of the dataset.
        workers: Processes; 0 takes one a core.
        scale: See `phantom_case`.
        progress: Told (cases done, cases) at the start and after each case.

    Returns:
        Names of the cases, in order.

    Raises:
        DataError: The folder holds something else, or phantoms of another seed, scale or generator version.
        MachineError: The disk is full.
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
    tell = progress or (lambda done, of: None)
    done = cases - len(missing)
    tell(done, cases)
    write = partial(write_case, folder, seed, scale)
    for _ in in_processes(write, missing, seconds_each=SECONDS_EACH * scale**3, workers=workers):
        done += 1
        tell(done, cases)
    return [case_id(i) for i in range(cases)]


def description(recipe: dict[str, Any], cases: int) -> dict[str, Any]:
    """What `phantom.json` says."""
    kinds = {case_id(i): str(CYCLE[i % len(CYCLE)]) for i in range(cases)}
    return {**recipe, "cases": cases, "varieties": kinds}


def varieties(folder: Path) -> dict[str, str]:
    """Variety of each phantom of a folder that `write_dataset` made."""
    return dict(json.loads((Path(folder) / "phantom.json").read_text(encoding="utf-8"))["varieties"])


def known_cases(folder: Path, recipe: dict[str, Any]) -> int:
    """How many phantoms of this recipe a folder was begun for; 0 where it is absent or empty.

    Raises:
        DataError: It holds anything else.
    """
    note = folder / "phantom.json"
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return 0
    if folder.is_file():
        raise DataError(f"{folder}: is a file. Expected a folder to write phantoms into. Choose another output.")
    if not note.is_file():
        raise DataError(
            f"{folder}: is not empty and holds no phantoms. Expected a new or empty folder, or one that "
            f"`brats-unet phantom` made. Choose another output."
        )
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        count = int(found["cases"])
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        raise DataError(f"{note}: cannot be read. Remove the folder, or choose another output.") from None
    for key, value in recipe.items():
        if found.get(key) != value:
            raise DataError(
                f"{folder}: holds phantoms of {key} {found.get(key)}, not {value}. "
                f"Choose another output, or remove the folder."
            )
    return count


def files(folder: Path, index: int) -> dict[str, Path]:
    """Where the scans and the mask of a case lie."""
    name = case_id(index)
    return {part: folder / name / f"{name}_{part}.nii.gz" for part in (*(str(m) for m in Modality), "seg")}


def is_complete(folder: Path, index: int) -> bool:
    """Whether every file of a case is there; each takes its name only once it is whole."""
    return all(path.is_file() for path in files(folder, index).values())


def write_case(folder: Path, seed: int, scale: float, index: int) -> None:
    """Make one phantom and write its five files."""
    case = phantom_case(seed, index, scale=scale)
    paths = files(folder, index)
    paths["seg"].parent.mkdir(exist_ok=True)
    for modality, image in case.images.items():
        nifti.write_volume(paths[modality], Volume(image, case.affine))
    nifti.write_volume(paths["seg"], Volume(case.labels, case.affine))


def write_mapping(path: Path, cases: int) -> None:
    """`name_mapping.csv`, which tells each case's grade."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(MAPPING_COLUMNS)
    for index in range(cases):
        rows.writerow([GRADES[CYCLE[index % len(CYCLE)]], "NA", "NA", "NA", "NA", case_id(index)])
    with atomic_path(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
