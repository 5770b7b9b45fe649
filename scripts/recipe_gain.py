"""What augmentation buys: the same network trained with each recipe, tested on cases as they are and disturbed.

    python scripts/recipe_gain.py OUTPUT [--root DATA_ROOT] [--recipe NAME[,key=value…]]… [--fold K]… [--set key=value]…

Trains `experiment=quick` with each recipe on the same folds for the same number of steps (runs that are there already
are taken as they are), on phantoms or on the cases under DATA_ROOT. Every held-out case is then written anew with one
thing changed, as another scanner or another head would have it, prepared as any case is, and predicted by every
network: turned in space, brightness bent by a gamma, noise added, one modality missing (zeros in its place, which
`predict` refuses of a network that was trained without modality dropout). Dice at the case's own grid, 1 where both
masks are empty, 0 where one is; each recipe is paired by case with the first.

Prints a table and, as its last line, JSON; OUTPUT/gain.csv holds every case, change, recipe and region.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from brats_unet.anatomy import Modality, Region, region_mask
from brats_unet.assembly.networks import open_networks, with_inference_options
from brats_unet.data.labels.convention import CONVENTIONS
from brats_unet.data.prepare.brain import border_value
from brats_unet.data.prepare.oblique import resliced
from brats_unet.data.prepare.preprocess import prepare
from brats_unet.data.run_cases import held_out_cases
from brats_unet.evaluation.bootstrap import mean_interval
from brats_unet.inference.ensemble import predict_ensemble
from brats_unet.inference.network import Network
from brats_unet.inference.postprocess import Postprocessing
from brats_unet.inference.predicting import outcome_of
from brats_unet.metrics.counts import count, dice
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.nifti import read_integers, read_volume, write_volume
from brats_unet.run import Run
from brats_unet.volume import Case, ImageFile, Volume

Scans = dict[Modality, np.ndarray]
# Scans and labels of a case to those of the disturbed one; a generator for what is drawn.
Change = Callable[[Scans, np.ndarray, np.random.Generator], tuple[Scans, np.ndarray]]
# (case, change, recipe, region) to Dice.
Scores = dict[tuple[str, str, str, Region], float]
RULE = PROTOCOLS["brats2020"].dice


def as_it_is(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
    """Nothing changed."""
    return scans, labels


def turned(*degrees: float) -> Change:
    """Turned about the centre by an angle about each axis; scans linearly, labels by the nearest voxel."""

    def change(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
        turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        centre = (np.array(labels.shape) - 1) / 2
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = turn, centre - turn @ centre
        found = {m: resliced(s, np.eye(4), s.shape, matrix, outside=border_value(s)) for m, s in scans.items()}
        return found, ndimage.affine_transform(labels, turn, matrix[:3, 3], order=0)

    return change


def within_brain(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    """The intensities of each brain changed, voxels in any order."""

    def everywhere(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
        found = {}
        for modality, scan in scans.items():
            brain = scan != border_value(scan)
            found[modality] = scan.astype(np.float32)
            found[modality][brain] = change(found[modality][brain], rng)
        return found, labels

    return everywhere


def bent(exponent: float) -> Change:
    """Intensities of each brain raised to a power between its least and its greatest."""

    def change(inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        low, high = inside.min(), inside.max()
        return low + (high - low) * ((inside - low) / (high - low)) ** exponent

    return within_brain(change)


def noisy(share: float) -> Change:
    """Normal noise within the brain, its deviation a share of that of the scan there."""
    return within_brain(lambda inside, rng: inside + rng.normal(0, share * inside.std(), inside.size))


def without(modality: Modality) -> Change:
    """One scan left out."""

    def change(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
        return {m: scan for m, scan in scans.items() if m != modality}, labels

    return change


CHANGES: dict[str, Change] = {
    "as it is": as_it_is,
    "turned 25°": turned(10, 10, 20),
    "gamma 0.6": bent(0.6),
    "gamma 1.6": bent(1.6),
    "noise 1.0": noisy(1.0),
    "no t1ce": without(Modality.T1CE),
    "no flair": without(Modality.FLAIR),
}


def disturbed(case: Case, change: Change, labels: np.ndarray, folder: Path) -> tuple[Case, np.ndarray]:
    """The case as the change has it, written to a folder, and its labels."""
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


def trained(told: argparse.Namespace) -> dict[tuple[str, int], Run]:
    """The runs by recipe and fold, trained where they are not there yet."""
    command = [str(Path(sys.executable).with_name("brats-unet"))]
    data = ["data=brats", f"data.root={told.root}"] if told.root else ["data=phantom"]
    if not told.root:
        data.append(f"data.root={told.output / 'phantoms'}")
    runs = {}
    for recipe in told.recipe:
        group, *options = recipe.split(",")
        for fold in told.fold:
            name = f"{recipe.replace(',', '-').replace('=', '-')}-fold{fold}"
            settings = [f"augmentation={group}", *(f"augmentation.{option}" for option in options), *told.set]
            where = [f"runs={told.output}", f"name={name}", f"data.cache={told.output / 'cache'}", f"data.fold={fold}"]
            subprocess.run([*command, "train", "experiment=quick", *data, *where, *settings], check=True)
            runs[recipe, fold] = Run(told.output / name)
    return runs


def scored(runs: dict[tuple[str, int], Run], mode: str) -> Scores:
    """Dice of every held-out case, changed in every way, by every recipe."""
    scores: Scores = {}
    for fold in sorted({fold for _, fold in runs}):
        here = {recipe: run for (recipe, at), run in runs.items() if at == fold}
        opened = open_networks([run.folder for run in here.values()], checkpoint="last", device="auto", log=print)
        networks = dict(zip(here, with_inference_options(opened, mode=mode, mirror="auto"), strict=True))
        run = next(iter(here.values()))
        convention = CONVENTIONS[run.recipe()["convention"]]
        for case in held_out_cases(run):
            assert case.mask is not None
            whole = convention.decode(read_integers(case.mask).array, where=case.id)
            for name, change in CHANGES.items():
                with tempfile.TemporaryDirectory() as folder:
                    changed, labels = disturbed(case, change, whole, Path(folder))
                    found = predicted(networks, changed)
                for recipe, masks in found.items():
                    for region in Region:
                        counts = count(region_mask(labels, region), region_mask(masks, region))
                        scores[case.id, name, recipe, region] = dice(counts, RULE)
            print(f"{case.id}: done", file=sys.stderr)
    return scores


def predicted(networks: dict[str, Network], case: Case) -> dict[str, np.ndarray]:
    """Labels on the case's own grid by each network; all take the same preparation."""
    preparation = next(iter(networks.values())).preparation
    prepared = {preparation: prepare(case, preparation, None, fill_missing=True)}
    return {
        recipe: outcome_of(predict_ensemble([network], prepared), (), Postprocessing()).labels
        for recipe, network in networks.items()
    }


def show(scores: Scores, recipes: list[str]) -> dict[str, dict[str, dict[str, object]]]:
    """The table; its figures by change and recipe."""
    from rich.console import Console
    from rich.table import Table

    cases = sorted({case for case, *_ in scores})
    caption = f"gain on {recipes[0]}: mean of the regions, by case; + = -: cases better, alike to 0.005, worse"
    table = Table(title=f"Mean Dice over {len(cases)} held-out cases", caption=caption)
    for heading in ("", "recipe", *Region, "mean", "gain", "95 %", "+ = -"):
        table.add_column(heading, justify="left" if heading in ("", "recipe") else "right")
    result: dict[str, dict[str, dict[str, object]]] = defaultdict(dict)
    for change in CHANGES:
        by_case = {
            recipe: np.array([np.mean([scores[case, change, recipe, region] for region in Region]) for case in cases])
            for recipe in recipes
        }
        for recipe in recipes:
            means = {str(r): float(np.mean([scores[case, change, recipe, r] for case in cases])) for r in Region}
            gain = by_case[recipe] - by_case[recipes[0]]
            interval = mean_interval(gain)
            better, worse = int((gain > 0.005).sum()), int((gain < -0.005).sum())
            counts = (better, len(cases) - better - worse, worse)
            paired = ["", "", ""]
            if recipe != recipes[0]:
                ends = "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}"
                paired = [f"{gain.mean():+.3f}", ends, "/".join(map(str, counts))]
            cells = [f"{value:.3f}" for value in (*means.values(), by_case[recipe].mean())]
            table.add_row(change if recipe == recipes[0] else "", recipe, *cells, *paired)
            result[change][recipe] = {
                **{region: round(value, 4) for region, value in means.items()},
                "gain": round(float(gain.mean()), 4),
                "interval": interval and [round(end, 4) for end in interval],
                "better_same_worse": counts,
            }
        table.add_section()
    Console(width=120).print(table)
    return result


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("output", type=Path)
    options.add_argument("--root", type=Path, help="folder of cases; without it, phantoms")
    options.add_argument("--recipe", action="append", help="augmentation and its options; the first is compared with")
    options.add_argument("--fold", action="append", type=int, help="held out, one after another; 0")
    options.add_argument("--set", action="append", default=[], help="any other setting of `train`")
    options.add_argument("--mode", default="auto", help="whole, tiles, or auto: as the run was made")
    told = options.parse_args()
    told.recipe = told.recipe or ["mirror", "nnunet", "da_star", "da_star,modality_dropout=0.15"]
    told.fold = told.fold or [0]
    told.output.mkdir(parents=True, exist_ok=True)
    scores = scored(trained(told), told.mode)
    with (told.output / "gain.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", "change", "recipe", "region", "dice"])
        writer.writerows((*key, value) for key, value in scores.items())
    result = show(scores, told.recipe)
    print(json.dumps({"cases": len({case for case, *_ in scores}), "changes": result}))


if __name__ == "__main__":
    main()
