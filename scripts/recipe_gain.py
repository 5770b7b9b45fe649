"""Measure the gain of augmentation: train the same network with each recipe, test it on original and disturbed cases.

    python scripts/recipe_gain.py OUTPUT [--root DATA_ROOT] [--recipe NAME[,key=value…]]… [--fold K]… [--set key=value]…

A recipe is an augmentation with options. The script trains `experiment=quick` with each recipe on the same folds, for
the same number of steps, on phantoms or on the cases under DATA_ROOT; existing runs are reused. Then it writes
disturbed copies of every held-out case, as another scanner or head might give: rotated, with another gamma, with noise,
or without one modality. Every network predicts every copy after the usual preprocessing. A missing modality is filled
with zeros, which `predict` refuses for a network trained without modality dropout. Dice is computed on the grid of the
case: 1 if both masks are empty, 0 if one is. Every recipe is compared with the first one, paired by case.

Prints a table and, as the last line, JSON. OUTPUT/gain.csv has the Dice of every case, change, recipe and region.
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
# Maps scans and labels of a case to those of the disturbed case; the generator is for random changes.
Change = Callable[[Scans, np.ndarray, np.random.Generator], tuple[Scans, np.ndarray]]
# (case, change, recipe, region) to Dice.
Scores = dict[tuple[str, str, str, Region], float]
RULE = PROTOCOLS["brats2020"].dice


def as_it_is(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
    """The original case."""
    return scans, labels


def turned(*degrees: float) -> Change:
    """Rotation about the centre, in degrees about each axis; scans linearly, labels by the nearest neighbour."""

    def change(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
        turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        centre = (np.array(labels.shape) - 1) / 2
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = turn, centre - turn @ centre
        found = {m: resliced(s, np.eye(4), s.shape, matrix, outside=border_value(s)) for m, s in scans.items()}
        return found, ndimage.affine_transform(labels, turn, matrix[:3, 3], order=0)

    return change


def within_brain(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Change:
    """A change of the intensities within the brain of each scan; `change` gets them as a flat array."""

    def everywhere(scans: Scans, labels: np.ndarray, rng: np.random.Generator) -> tuple[Scans, np.ndarray]:
        found = {}
        for modality, scan in scans.items():
            brain = scan != border_value(scan)
            found[modality] = scan.astype(np.float32)
            found[modality][brain] = change(found[modality][brain], rng)
        return found, labels

    return everywhere


def bent(exponent: float) -> Change:
    """Gamma correction of each scan between the lowest and the highest intensity of the brain."""

    def change(inside: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        low, high = inside.min(), inside.max()
        return low + (high - low) * ((inside - low) / (high - low)) ** exponent

    return within_brain(change)


def noisy(share: float) -> Change:
    """Gaussian noise within the brain; its SD is this share of the scan's SD there."""
    return within_brain(lambda inside, rng: inside + rng.normal(0, share * inside.std(), inside.size))


def without(modality: Modality) -> Change:
    """A case without one modality."""

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
    """Write the disturbed case to a folder; the case and its labels."""
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


def trained(args: argparse.Namespace) -> dict[tuple[str, int], Run]:
    """Runs by recipe and fold; those that do not exist yet are trained."""
    command = [str(Path(sys.executable).with_name("brats-unet"))]
    data = ["data=brats", f"data.root={args.root}"] if args.root else ["data=phantom"]
    if not args.root:
        data.append(f"data.root={args.output / 'phantoms'}")
    runs = {}
    for recipe in args.recipe:
        group, *options = recipe.split(",")
        for fold in args.fold:
            name = f"{recipe.replace(',', '-').replace('=', '-')}-fold{fold}"
            settings = [f"augmentation={group}", *(f"augmentation.{option}" for option in options), *args.set]
            where = [f"runs={args.output}", f"name={name}", f"data.cache={args.output / 'cache'}", f"data.fold={fold}"]
            subprocess.run([*command, "train", "experiment=quick", *data, *where, *settings], check=True)
            runs[recipe, fold] = Run(args.output / name)
    return runs


def scored(runs: dict[tuple[str, int], Run], mode: str) -> Scores:
    """Dice of every held-out case with every change, by every recipe."""
    scores: Scores = {}
    for fold in sorted({fold for _, fold in runs}):
        of_fold = {recipe: run for (recipe, at), run in runs.items() if at == fold}
        opened = open_networks([run.folder for run in of_fold.values()], checkpoint="last", device="auto", log=print)
        networks = dict(zip(of_fold, with_inference_options(opened, mode=mode, mirror="auto"), strict=True))
        run = next(iter(of_fold.values()))
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
    """Labels of each network on the grid of the case; all networks need the same preparation."""
    preparation = next(iter(networks.values())).preparation
    prepared = {preparation: prepare(case, preparation, None, fill_missing=True)}
    return {
        recipe: outcome_of(predict_ensemble([network], prepared), (), Postprocessing()).labels
        for recipe, network in networks.items()
    }


def show(scores: Scores, recipes: list[str]) -> dict[str, dict[str, dict[str, object]]]:
    """Print the table; its numbers by change and recipe."""
    from rich.console import Console
    from rich.table import Table

    cases = sorted({case for case, *_ in scores})
    caption = f"gain over {recipes[0]}: mean over regions and cases; + = -: cases better, equal within 0.005, worse"
    table = Table(title=f"Mean Dice over {len(cases)} held-out cases", caption=caption)
    for heading in ("", "recipe", *Region, "mean", "gain", "95 % interval", "+ = -"):
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for runs, cache and gain.csv")
    parser.add_argument("--root", type=Path, help="folder of cases; default: phantoms")
    parser.add_argument("--recipe", action="append", help="augmentation,option=value…; repeatable, baseline first")
    parser.add_argument("--fold", action="append", type=int, help="held-out fold; repeatable, default 0")
    parser.add_argument("--set", action="append", default=[], help="any other setting of `train`; repeatable")
    parser.add_argument("--mode", default="auto", help="tiles, whole, or auto: the mode of the run")
    args = parser.parse_args()
    args.recipe = args.recipe or ["mirror", "nnunet", "da_star", "da_star,modality_dropout=0.15"]
    args.fold = args.fold or [0]
    args.output.mkdir(parents=True, exist_ok=True)
    scores = scored(trained(args), args.mode)
    with (args.output / "gain.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["case", "change", "recipe", "region", "dice"])
        writer.writerows((*key, value) for key, value in scores.items())
    result = show(scores, args.recipe)
    print(json.dumps({"cases": len({case for case, *_ in scores}), "changes": result}))


if __name__ == "__main__":
    main()
