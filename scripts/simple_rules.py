"""Measure the Dice of simple rules without learning: a threshold and the largest connected component, per region.

    python scripts/simple_rules.py DATA_ROOT [DATA_ROOT …] [--json] [--folds N]

It scores every case folder in BraTS 2018-2021 naming under a root. Scans are z-scored within the brain. Every rule of
`RULES` (a contrast, a threshold, with or without opening) marks the largest connected component above the threshold. A
case is scored by the rule with the best mean Dice over the other cases (leave-one-out, or the other folds with
--folds), so that no rule is tuned on the case it is scored on. Dice of two empty masks is 1, of one empty mask 0. The
score of marking nothing is printed too. The results are a baseline for networks, and for phantoms, which must not be
easier than real scans.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import cc3d
import numpy as np

from brats_unet import nifti
from brats_unet.errors import BratsError, DataError
from brats_unet.geometry import bounding_box, crop
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin

GLIOMA = builtin()
CONTRASTS: dict[str, tuple[str, ...]] = {
    "WT": ("flair", "t2"),
    "TC": ("t1ce", "t1ce-t1", "t2", "flair"),
    "ET": ("t1ce", "t1ce-t1"),
}
THRESHOLDS = tuple(float(t) for t in np.arange(0.5, 5.01, 0.25))
RULES: dict[str, list[tuple[str, float, bool]]] = {
    region: list(itertools.product(contrasts, THRESHOLDS, (False, True))) for region, contrasts in CONTRASTS.items()
}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice of two masks, 0 to 1; 1 if both are empty, 0 if only one is."""
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 1.0 if total == 0 else 2 * np.count_nonzero(a & b) / total


def opened(mask: np.ndarray) -> np.ndarray:
    """Binary opening of a mask, with the six face neighbours."""
    core = mask.copy()
    for axis in range(3):
        along, source = np.moveaxis(core, axis, 0), np.moveaxis(mask, axis, 0)
        along[1:] &= source[:-1]
        along[:-1] &= source[1:]
        along[[0, -1]] = False
    wide = core.copy()
    for axis in range(3):
        along, source = np.moveaxis(wide, axis, 0), np.moveaxis(core, axis, 0)
        along[1:] |= source[:-1]
        along[:-1] |= source[1:]
    return wide


def contrasts(scans: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Z-scores within the brain (voxels that are not 0 in at least one scan), and T1ce - T1; -9 outside."""
    brain = np.logical_or.reduce([scan != 0 for scan in scans.values()])
    z = {}
    for name, scan in scans.items():
        inside = scan[brain].astype(np.float32)
        z[name] = np.where(brain, (scan - inside.mean()) / inside.std(), -9).astype(np.float32)
    z["t1ce-t1"] = np.where(brain, z["t1ce"] - z["t1"], -9)
    return z


def rule_scores(folder: Path) -> dict[str, np.ndarray]:
    """Dice of every rule on one case, by region, in the order of `RULES`; the last is the Dice of marking nothing."""
    names = [str(m) for m in Modality]
    found = {part: sorted(folder.glob(f"{folder.name}_{part}.nii*")) for part in (*names, "seg")}
    missing = [part for part, paths in found.items() if not paths]
    if missing:
        raise DataError(f"{folder}: no {', '.join(missing)}. Expected {folder.name}_{missing[0]}.nii[.gz].")
    scans = {name: nifti.read_volume(found[name][0]).array for name in names}
    labels = nifti.read_integers(found["seg"][0]).array
    box = bounding_box(np.logical_or.reduce([scan != 0 for scan in scans.values()]))
    z = contrasts({name: crop(scan, box) for name, scan in scans.items()})
    masks = {region: GLIOMA.region_mask(crop(labels, box), region) for region in GLIOMA.predicted}
    outside = {
        region: int(GLIOMA.region_mask(labels, region).sum()) - int(mask.sum()) for region, mask in masks.items()
    }
    if any(outside.values()):
        listed = ", ".join(f"{region} {n}" for region, n in outside.items())
        print(f"{folder.name}: ignored mask voxels outside the brain: {listed}.", file=sys.stderr)
    scores = {region: np.zeros(len(RULES[region]) + 1) for region in GLIOMA.predicted}
    for rule in sorted(set(itertools.chain(*RULES.values()))):
        name, threshold, opening = rule
        mask = z[name] > threshold
        if opening:
            mask = opened(mask)
        mask = cc3d.largest_k(mask, k=1, connectivity=26, binary_image=True) > 0
        for region in GLIOMA.predicted:
            if rule in RULES[region]:
                scores[region][RULES[region].index(rule)] = dice(mask, masks[region])
    for region, mask in masks.items():
        scores[region][-1] = float(not mask.any())
    return scores


def held_out(scores: np.ndarray, folds: int) -> tuple[np.ndarray, list[int]]:
    """Dice of each case by the rule that is best on the other folds, and the index of that rule for each fold.

    Args:
        scores: Dice, shape (cases, rules).
        folds: Number of folds, at most the number of cases; case i is in fold i modulo `folds`.
    """
    fold = np.arange(len(scores)) % folds
    best = [int(np.argmax(scores[fold != k].mean(axis=0))) for k in range(folds)]
    return np.array([scores[i, best[fold[i]]] for i in range(len(scores))]), best


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("roots", nargs="+", type=Path, metavar="DATA_ROOT", help="folder of cases")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    parser.add_argument("--folds", type=int, help="number of folds; default: leave-one-out")
    args = parser.parse_args(arguments)
    report: dict[str, dict[str, Any]] = {}
    for root in args.roots:
        folders = sorted(p.parent for p in root.rglob("*_seg.nii*") if p.name.startswith(p.parent.name))
        if len(folders) < 2:
            raise DataError(
                f"{root}: found {len(folders)} cases with a mask. Expected two or more folders in BraTS naming."
            )
        rows = [rule_scores(folder) for folder in folders]
        report[str(root)] = {"cases": [f.name for f in folders]}
        for region in GLIOMA.predicted:
            scores = np.stack([row[region] for row in rows])
            dices, best = held_out(scores[:, :-1], args.folds or len(folders))
            name, threshold, opening = RULES[region][max(set(best), key=best.count)]
            rule = f"{name} > {threshold:g}" + (", opened" if opening else "")
            report[str(root)][str(region)] = {
                "mean_dice": round(float(dices.mean()), 4),
                "n": len(dices),
                "usual_rule": rule,
                "marking_nothing": round(float(scores[:, -1].mean()), 4),
                "dice": [round(float(d), 4) for d in dices],
            }
    if args.json:
        print(json.dumps(report))
        return 0
    for root, facts in report.items():
        print(root)
        for region in GLIOMA.predicted:
            line = facts[str(region)]
            print(f"  {region}  mean Dice {line['mean_dice']:.3f}  n={line['n']}  {line['usual_rule']}")
            print(f"      marking nothing {line['marking_nothing']:.3f}")
            print("      " + " ".join(f"{d:.2f}" for d in line["dice"]))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BratsError as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)
