"""Whether a mask depends on the grid that the scans happen to lie on.

    python scripts/other_grids.py RUN CASE_FOLDER [CASE_FOLDER …] [--mode tiles] [--mirror all]

Each case is written anew as another scanner or program would have it: with its axes turned to R-A-S, with other
spacing, tilted, and all of that at once; scans are interpolated linearly. The run predicts the original and the copies,
and what it says of a copy is brought back to the original grid by linear interpolation: once its mask, halves and
more of a voxel, and once its probabilities, cut at one half only there, so that the copy's voxels round nothing.
Beside each, what the geometry alone allows: what it says of the original, carried so to the copy's grid and back.

Prints Dice of each region against the mask of the original, mean and least over the cases where that holds 100 voxels
or more, and as its last line JSON. Of cases with an expert's mask that mask, carried there and back, stands below: a
perfect network would score so, its masks being that one on every grid.
"""

import argparse
import json
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from brats_unet.anatomy import Modality, Region, region_masks
from brats_unet.assembly.networks import open_networks, with_inference_options
from brats_unet.data.labels.convention import CONVENTIONS
from brats_unet.data.prepare.brain import border_value
from brats_unet.data.prepare.oblique import resliced
from brats_unet.data.prepare.preprocess import prepare
from brats_unet.data.readers.discovery import find_cases
from brats_unet.inference.ensemble import predict_ensemble
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.predicting import outcome_of
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.nifti import read_integers, read_volume, write_volume
from brats_unet.volume import Case, ImageFile, Volume

EXPERT = "expert's mask"
FORMS = ("mask", "probabilities", EXPERT)
LEAST_VOXELS = 100
RULE = PROTOCOLS["brats2020"].dice
# Name: degrees about x, y, z by which the axes are tilted from R-A-S, and spacing in mm.
GRIDS = {
    "turned to R-A-S": ((0, 0, 0), (1.0, 1.0, 1.0)),
    "1.2×0.8×1.5 mm": ((0, 0, 0), (1.2, 0.8, 1.5)),
    "tilted by 15°": ((5, 8, 12), (1.0, 1.0, 1.0)),
    "all of it": ((5, 8, 12), (1.2, 0.8, 1.5)),
}
# By grid, form and region, of each case: Dice of the copy's, and of the original's carried there and back.
Scores = dict[tuple[str, str, Region], list[tuple[float, float]]]


def grid_around(volume: Volume, degrees: tuple[float, ...], spacing: tuple[float, ...]) -> Volume:
    """An empty grid in R-A-S order, so tilted and spaced, that covers a volume."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix = turn @ np.diag(spacing)
    ends = np.array(volume.array.shape) - 1
    corners = np.array([[x, y, z, 1] for x in (0, ends[0]) for y in (0, ends[1]) for z in (0, ends[2])])
    seen = np.linalg.inv(matrix) @ (volume.affine @ corners.T)[:3]
    low = np.floor(seen.min(axis=1))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, matrix @ low
    return Volume(np.zeros(tuple(int(n) for n in np.ceil(seen.max(axis=1)) - low + 1), np.uint8), affine)


def carried(said: np.ndarray, start: Volume, end: Volume) -> np.ndarray:
    """Masks or probabilities (X, Y, Z, R) on another grid, as shares of a voxel; 0 beyond them."""
    return resliced(said, start.affine, end.array.shape, end.affine)


def said_of(network: Network, case: Case) -> dict[str, np.ndarray]:
    """What the run says of a case, (X, Y, Z, R) on its own grid: its mask as regions, and their probabilities."""
    answer = predict_ensemble([network], {network.preparation: prepare(case, network.preparation, None)})
    mask = region_masks(outcome_of(answer, (), Postprocessing()).labels)
    return {"mask": mask, "probabilities": answer.probabilities()}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("run", type=Path)
    options.add_argument("case", type=Path, nargs="+")
    options.add_argument("--mode", default="auto")
    options.add_argument("--mirror", default="auto")
    told = options.parse_args()
    networks = open_networks([told.run], checkpoint="last", device="auto", log=lambda text: None)
    (network,) = with_inference_options(networks, mode=told.mode, mirror=told.mirror)
    scores: Scores = {key: [] for key in product(GRIDS, FORMS, Region)}
    for folder in told.case:
        (case,) = find_cases(folder, modalities=list(Modality)).cases
        volumes = {m: read_volume(file.path, file.channel) for m, file in case.images.items()}
        first = volumes[Modality.FLAIR]
        original = said_of(network, case)
        if case.mask is not None:
            convention = CONVENTIONS[network.recipe["convention"]]
            original[EXPERT] = region_masks(convention.decode(read_integers(case.mask).array, where=case.mask.name))
        for name, (degrees, spacing) in GRIDS.items():
            grid = grid_around(first, degrees, spacing)
            with tempfile.TemporaryDirectory() as place:
                files = {}
                for modality, volume in volumes.items():
                    outside = border_value(volume.array)
                    scan = resliced(volume.array, volume.affine, grid.array.shape, grid.affine, outside=outside)
                    files[modality] = ImageFile(Path(place) / f"{modality}.nii")
                    write_volume(files[modality].path, Volume(scan, grid.affine))
                copy = said_of(network, Case(case.id, files))
            for form, said in original.items():
                there = carried(said, first, grid)
                kept = carried(there if form == "probabilities" else there >= 0.5, grid, first) >= 0.5
                back = carried(copy[form], grid, first) >= 0.5 if form in copy else kept
                reference = said if form == EXPERT else original["mask"]
                for index, region in enumerate(Region):
                    here = reference[..., index]
                    if np.count_nonzero(here) >= LEAST_VOXELS:
                        both = [dice(count(here, other[..., index]), RULE) for other in (back, kept)]
                        scores[name, form, region].append((both[0], both[1]))
        print(f"{case.id}: done", file=sys.stderr)
    show(scores)


def show(scores: Scores) -> None:
    """The table and the last line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title="Dice against the mask of the original",
        caption="mean, least, number of cases; in brackets the mean of the original's carried there and back",
    )
    for heading in ("grid", "brought back", *Region):
        table.add_column(heading, justify="right" if heading in set(Region) else "left")
    result: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    shown_forms = [form for form in FORMS if any(scores[name, form, Region.WT] for name in GRIDS)]
    for name, form in product(GRIDS, shown_forms):
        cells = []
        figures = result.setdefault(name, {}).setdefault(form, {})
        for region in Region:
            if not scores[name, form, region]:
                cells.append("–")
                continue
            found, kept = np.array(scores[name, form, region]).T
            mean, least, geometry = float(found.mean()), float(found.min()), float(kept.mean())
            cells.append(f"{mean:.3f}  {least:.3f}  {len(found)}  [{geometry:.3f}]")
            shown = {"mean": mean, "least": least, "carried": geometry}
            figures[str(region)] = {key: round(value, 4) for key, value in shown.items()} | {"cases": len(found)}
        table.add_row(name if form == FORMS[0] else "", form, *cells, end_section=form == shown_forms[-1])
    Console().print(table)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
