"""Compare protocol=brats2026 with the official scorer, BraTS-evaluation 0.0.10, on made pairs and the real ones.

    .venv/bin/python scripts/parity/brats2026_parity.py [--keep FOLDER]

The scorer runs as it is in the environment of scripts/brats_evaluation.sh. The pairs are label masks of BraTS-GLI (with
cavities), -PED and -MET: blobs, many and touching instances, one voxel, empty masks on either side, whole labels
missing, odd shapes and long voxels; and the two public pairs of BraTS-MET, if they are there. The exit code is 1 if a
score differs by more than 1e-6.

The scorer measures global distances in voxels, whatever the header says, and its surface Dice within 0.5 voxels. Both
sides are therefore compared at voxels of 1 mm, where they mean the same; `brats-unet evaluate` measures in millimetres.
It measures instances in millimetres, but with the edges of a voxel in reversed order, and their surface Dice within the
shortest edge: these two are compared with our edges reversed too, at that tolerance. Where several matchings have the
same sum of Dice, it may take another one than we do: a distance that differs counts as a tie only if one of these
matchings gives its very number, and as a difference otherwise.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from brats_unet.evaluation.score import score_case  # noqa: E402
from brats_unet.metrics.components import numbered_components  # noqa: E402
from brats_unet.metrics.surface import Surfaces  # noqa: E402
from brats_unet.nifti import read_integers, write_volume  # noqa: E402
from brats_unet.schemes.convention import Convention, conventions  # noqa: E402
from brats_unet.schemes.scheme_file import builtin  # noqa: E402
from brats_unet.volume import Volume  # noqa: E402

REAL = Path(os.environ.get("BRATS_UNET_REAL") or ROOT.parent / "shared" / "real") / "BraTS-MET"
SERIES = {
    "gli": ("glioma_post", "brats2024"),
    "ped": ("paediatric", "ped2024"),
    "mets": ("metastasis_post", "brats2024"),
}
DRAWS = 300  # among matchings with the same sum of Dice
EACH = 80  # made pairs of each series
FAR = 373.0
# Metric of brats-unet -> name in the scorer's result.
NAMES = {
    "dice": "global_bin_dsc",
    "nsd_0.5mm": "global_bin_nsd",
    "hd95": "global_bin_hd95",
    "instances_found": "tp",
    "instances_missed": "fn",
    "instances_false": "fp",
    "instance_f1": "rq",
    "instance_dice": "sq_dsc",
}
DISTANCES = {"instance_hd95": "sq_hd95", "instance_nsd": "sq_nsd"}  # compared at the edges of the header
Pair = tuple[np.ndarray, np.ndarray, tuple[float, float, float]]


def made(convention: Convention, seed: int) -> Iterator[Pair]:
    """Pairs of integer masks and their spacing, by a fixed seed."""
    random = np.random.default_rng(seed)
    integers = np.array(sorted(convention.to_label), np.uint8)
    for index in range(EACH):
        shape = tuple(int(n) for n in random.integers(8, 36, 3))
        spacing = (1.0, 1.0, 1.0) if index % 2 else tuple(float(s) for s in random.uniform(0.4, 4, 3))
        reference, prediction = (_labels(random, shape, integers, index % 5) for _ in range(2))
        if index % 4 == 0:  # close to the reference
            prediction = np.where(random.random(shape) < 0.9, reference, prediction)
        if index % 7 == 0:
            reference[reference == random.choice(integers)] = 0
        if index % 9 == 0:
            prediction[prediction == random.choice(integers)] = 0
        yield reference, prediction, spacing
    empty, voxel = np.zeros((9, 10, 11), np.uint8), np.zeros((9, 10, 11), np.uint8)
    voxel[4, 5, 6] = 3
    for pair in ((empty, empty), (voxel, empty), (empty, voxel), (voxel, voxel)):
        yield (*pair, (1.0, 2.0, 3.0))
    touching = np.zeros((12, 12, 12), np.uint8)
    touching[0:4, 0:4, 0:4], touching[4:8, 4:8, 4:8] = 3, 1  # at a corner: one instance of the core, two labels
    yield touching, np.roll(touching, 1, axis=0), (1.0, 1.0, 1.0)


def _labels(random: np.random.Generator, shape: tuple[int, ...], integers: np.ndarray, kind: int) -> np.ndarray:
    """Label mask of smooth blobs (0, 1), of scattered instances (2, 3) or of single voxels (4)."""
    smooth = (2.0, 1.2, 0.7, 0.9, 0.0)[kind]
    field = ndimage.gaussian_filter(random.standard_normal(shape), smooth)
    inside = field > np.quantile(field, (0.6, 0.8, 0.93, 0.97, 0.995)[kind])
    which = ndimage.gaussian_filter(random.standard_normal(shape), 1.0)
    ranks = np.digitize(which, np.quantile(which, np.linspace(0, 1, len(integers))[1:-1]))
    return np.where(inside, integers[1:][ranks], 0).astype(np.uint8)


def real() -> Iterator[tuple[str, Pair]]:
    """The public pairs of BraTS-MET, cropped to their content; none without the folder of real scans."""
    for case in ("00132-000", "01325-000"):
        reference = REAL / "reference" / f"BraTS-MET-{case}-seg.nii.gz"
        if reference.exists():
            (prediction,) = (REAL / "prediction").glob(f"*{case}.nii.gz")
            masks = [read_integers(path).array.astype(np.uint8) for path in (reference, prediction)]
            where = np.argwhere((masks[0] > 0) | (masks[1] > 0))
            box = tuple(slice(low, high + 1) for low, high in zip(where.min(0), where.max(0), strict=True))
            yield f"real_{case}", (masks[0][box], masks[1][box], (1.0, 1.0, 1.0))


def by_another_matching(masks: list[np.ndarray], edges: tuple[float, ...], metric: str, value: float) -> bool:
    """Whether another matching with the largest sum of Dice, found by drawing among ties, has this mean distance."""
    (ours, own), (theirs, others) = (numbered_components(mask) for mask in masks)
    dice, sizes = np.zeros((own, others)), [np.bincount(labels.ravel()) for labels in (ours, theirs)]
    both = masks[0] & masks[1]
    for (i, j), shared in Counter(zip(ours[both].tolist(), theirs[both].tolist(), strict=True)).items():
        dice[i - 1, j - 1] = 2 * shared / (sizes[0][i] + sizes[1][j])
    best, random = dice[linear_sum_assignment(dice, maximize=True)].sum(), np.random.default_rng(0)
    scores: dict[tuple[int, int], float] = {}
    for _ in range(DRAWS):
        drawn = np.where(dice > 0, dice + random.uniform(0, 1e-9, dice.shape), 0)
        pairs = [(i, j) for i, j in zip(*linear_sum_assignment(drawn, maximize=True), strict=True) if dice[i, j]]
        for i, j in pairs:
            if (i, j) not in scores:
                one = Surfaces(ours == i + 1, theirs == j + 1, edges)
                near = metric == "instance_nsd"
                scores[i, j] = one.dice(min(edges), "mean_of_directions") if near else one.hausdorff95_mm("pooled")
        as_good = abs(sum(dice[pair] for pair in pairs) - best) <= 1e-9
        if as_good and abs(np.mean([scores[pair] for pair in pairs]) - value) <= 1e-6:
            return True
    return False


def compared(
    folder: Path, config: str, pairs: dict[str, Pair], convention: Convention
) -> Iterator[tuple[str, str, float, float, bool]]:
    """(pair and region, metric, ours, theirs, whether they differ by a tie) of every score."""
    for name, (reference, prediction, spacing) in pairs.items():
        affine = np.diag([*spacing, 1.0])
        for side, mask in (("r", reference), ("p", prediction)):
            write_volume(folder / f"{name}_{side}.nii.gz", Volume(mask, affine))
    python = Path(os.environ.get("BRATS_EVALUATION") or ROOT / ".venv-brats-evaluation") / "bin" / "python"
    subprocess.run(
        [str(python), str(Path(__file__).parent / "peers" / "brats2026.py"), str(folder), config], check=True
    )
    theirs = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    for name, (reference, prediction, spacing) in pairs.items():
        labels = [convention.decode(mask, where=name) for mask in (reference, prediction)]
        rows = score_case(
            name, *labels, (1.0, 1.0, 1.0), scheme=convention.scheme, protocol="brats2026", tolerances_mm=[0.5]
        )
        rows = [row for row in rows if row.metric in NAMES]
        edges = tuple(float(np.float32(edge)) for edge in reversed(spacing))  # a header holds them in single precision
        rows += [
            replace(row, metric=metric)
            for row in score_case(
                name, *labels, edges, scheme=convention.scheme, protocol="brats2026", tolerances_mm=[min(edges)]
            )
            for metric in DISTANCES
            if row.metric.startswith(metric)
        ]
        for row in rows:
            value = theirs[name][row.region.lower()][(NAMES | DISTANCES)[row.metric]]
            value = math.nan if value is None else FAR if math.isinf(value) else value
            tie = row.metric in DISTANCES and abs(row.value - value) > 1e-6
            if tie:
                masks = [convention.scheme.region_mask(one, row.region) for one in labels]
                tie = by_another_matching(masks, edges, row.metric, value)
            yield f"{config} {name} {row.region}", row.metric, row.value, value, tie


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder that keeps the masks and the scorer's results")
    args = parser.parse_args()
    worst: dict[str, tuple[float, str]] = {}
    counts: Counter[str] = Counter()
    undefined: Counter[str] = Counter()
    ties: Counter[str] = Counter()
    total = 0
    for number, (config, (scheme, name)) in enumerate(SERIES.items()):
        convention = conventions(builtin(scheme))[name]
        pairs = {f"made_{index:03}": pair for index, pair in enumerate(made(convention, seed=number))}
        if config == "mets":
            pairs |= dict(real())
        total += len(pairs)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) if args.keep is None else args.keep / config
            folder.mkdir(parents=True, exist_ok=True)
            for where, metric, ours, theirs, tie in compared(folder, config, pairs, convention):
                counts[metric] += 1
                undefined[metric] += math.isnan(ours)
                ties[metric] += tie
                equal = tie or (math.isnan(ours) and math.isnan(theirs))
                difference = 0.0 if equal else abs(ours - theirs)
                if metric not in worst or not difference <= worst[metric][0]:
                    worst[metric] = (difference, f"{where}: {ours!r} and {theirs!r}")
    without = "" if any(True for _ in real()) else "; the real pairs of BraTS-MET are not there"
    print(f"{total} pairs{without}")
    for metric, (difference, where) in worst.items():
        bad = not difference <= 1e-6
        verdict, told = ("DIFFERS", f"  {where}") if bad else ("agrees ", "")
        many = f"{counts[metric]:5} scores, {undefined[metric]:4} undefined, {ties[metric]:3} ties"
        print(f"{verdict} {metric:17} {many}, {difference:.1e}{told}")
    return int(any(not difference <= 1e-6 for difference, _ in worst.values()))


if __name__ == "__main__":
    sys.exit(main())
