"""Measure how much a predicted mask depends on the grid of the scans.

    python scripts/other_grids.py RUN CASE_FOLDER [CASE_FOLDER …] [--mode tiles] [--mirror all]

Each case is resampled (linear interpolation) to the grids that another scanner or program might use: axes reoriented to
R-A-S, other spacing, tilted, and all of these together. The run predicts the original and the copies. The prediction of
a copy is resampled back to the original grid in two ways: as a mask, thresholded at 0.5 after interpolation, and as
probabilities, which are thresholded at 0.5 only on the original grid, so that the copy's voxels round nothing. For
comparison, the prediction of the original is resampled to the grid of the copy and back: this is the Dice that the
geometry alone allows.

Prints the Dice of each region against the mask of the original: mean and minimum over the cases in which that mask has
100 voxels or more; as the last line, JSON. For cases with an expert mask, the expert mask is resampled there and back
too: a perfect network would have this score, because its masks would be the expert mask on every grid.
"""

import argparse
import json
import sys
import tempfile
from itertools import product
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from brats_unet.assembly.networks import open_networks, with_inference_options
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
from brats_unet.modality import Modality
from brats_unet.nifti import read_integers, read_volume, write_volume
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin, scheme_in
from brats_unet.volume import Case, ImageFile, Volume

GLIOMA = builtin()
EXPERT = "expert's mask"
FORMS = ("mask", "probabilities", EXPERT)
LEAST_VOXELS = 100
RULE = PROTOCOLS["brats2020"].dice
# By name: rotation of the axes from R-A-S, in degrees about x, y, z, and spacing in mm.
GRIDS = {
    "turned to R-A-S": ((0, 0, 0), (1.0, 1.0, 1.0)),
    "1.2×0.8×1.5 mm": ((0, 0, 0), (1.2, 0.8, 1.5)),
    "tilted by 15°": ((5, 8, 12), (1.0, 1.0, 1.0)),
    "all of it": ((5, 8, 12), (1.2, 0.8, 1.5)),
}
# By grid, form and region, for each case: Dice of the copy, and of the original resampled there and back.
Scores = dict[tuple[str, str, str], list[tuple[float, float]]]


def grid_around(volume: Volume, degrees: tuple[float, ...], spacing: tuple[float, ...]) -> Volume:
    """Empty volume that covers another one, with R-A-S axes, this tilt and this spacing."""
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix = turn @ np.diag(spacing)
    ends = np.array(volume.array.shape) - 1
    corners = np.array([[x, y, z, 1] for x in (0, ends[0]) for y in (0, ends[1]) for z in (0, ends[2])])
    seen = np.linalg.inv(matrix) @ (volume.affine @ corners.T)[:3]
    low = np.floor(seen.min(axis=1))
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix, matrix @ low
    return Volume(np.zeros(tuple(int(n) for n in np.ceil(seen.max(axis=1)) - low + 1), np.uint8), affine)


def resampled(maps: np.ndarray, start: Volume, end: Volume) -> np.ndarray:
    """Masks or probabilities (X, Y, Z, R) resampled linearly from one grid to another; 0 outside the first grid."""
    return resliced(maps, start.affine, end.array.shape, end.affine)


def predicted(network: Network, case: Case) -> dict[str, np.ndarray]:
    """Region masks and region probabilities of a case on its own grid, each of shape (X, Y, Z, R)."""
    answer = predict_ensemble([network], {network.preparation: prepare(case, network.preparation, None)})
    mask = GLIOMA.predicted_masks(outcome_of(answer, (), Postprocessing(), network.scheme).labels)
    return {"mask": mask, "probabilities": answer.probabilities()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a trained run")
    parser.add_argument("case", type=Path, nargs="+", help="folder of a case")
    parser.add_argument("--mode", default="auto", help="tiles, whole, or auto: the mode of the run")
    parser.add_argument("--mirror", default="auto", help="mirroring, or auto: that of the run")
    args = parser.parse_args()
    networks = open_networks([args.run], checkpoint="last", device="auto", log=lambda text: None)
    (network,) = with_inference_options(networks, mode=args.mode, mirror=args.mirror)
    scores: Scores = {key: [] for key in product(GRIDS, FORMS, GLIOMA.predicted)}
    for folder in args.case:
        (case,) = find_cases(folder, modalities=list(Modality)).cases
        volumes = {m: read_volume(file.path, file.channel) for m, file in case.images.items()}
        first = volumes[Modality.FLAIR]
        original = predicted(network, case)
        if case.mask is not None:
            convention = conventions(scheme_in(network.recipe))[network.recipe["convention"]]
            original[EXPERT] = GLIOMA.predicted_masks(
                convention.decode(read_integers(case.mask).array, where=case.mask.name)
            )
        for name, (degrees, spacing) in GRIDS.items():
            grid = grid_around(first, degrees, spacing)
            with tempfile.TemporaryDirectory() as place:
                files = {}
                for modality, volume in volumes.items():
                    outside = border_value(volume.array)
                    scan = resliced(volume.array, volume.affine, grid.array.shape, grid.affine, outside=outside)
                    files[modality] = ImageFile(Path(place) / f"{modality}.nii")
                    write_volume(files[modality].path, Volume(scan, grid.affine))
                copy = predicted(network, Case(case.id, files))
            for form, maps in original.items():
                there = resampled(maps, first, grid)
                limit = resampled(there if form == "probabilities" else there >= 0.5, grid, first) >= 0.5
                back = resampled(copy[form], grid, first) >= 0.5 if form in copy else limit
                reference = maps if form == EXPERT else original["mask"]
                for index, region in enumerate(GLIOMA.predicted):
                    mask = reference[..., index]
                    if np.count_nonzero(mask) >= LEAST_VOXELS:
                        both = [dice(count(mask, other[..., index]), RULE) for other in (back, limit)]
                        scores[name, form, region].append((both[0], both[1]))
        print(f"{case.id}: done", file=sys.stderr)
    show(scores)


def show(scores: Scores) -> None:
    """Print the table and the JSON line."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title="Dice against the mask of the original",
        caption="mean, minimum, number of cases; [mean of the original resampled there and back]",
    )
    for heading in ("grid", "resampled back", *GLIOMA.predicted):
        table.add_column(heading, justify="right" if heading in set(GLIOMA.predicted) else "left")
    result: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    shown_forms = [form for form in FORMS if any(scores[name, form, "WT"] for name in GRIDS)]
    for name, form in product(GRIDS, shown_forms):
        cells = []
        figures = result.setdefault(name, {}).setdefault(form, {})
        for region in GLIOMA.predicted:
            if not scores[name, form, region]:
                cells.append("–")
                continue
            found, limits = np.array(scores[name, form, region]).T
            mean, least, geometry = float(found.mean()), float(found.min()), float(limits.mean())
            cells.append(f"{mean:.3f}  {least:.3f}  {len(found)}  [{geometry:.3f}]")
            shown = {"mean": mean, "least": least, "carried": geometry}
            figures[str(region)] = {key: round(value, 4) for key, value in shown.items()} | {"cases": len(found)}
        table.add_row(name if form == FORMS[0] else "", form, *cells, end_section=form == shown_forms[-1])
    Console().print(table)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
