"""Measure what a change does to accuracy: train variants with several seeds, and compare their Dice.

    python scripts/recipe_gain.py OUTPUT [--root DATA_ROOT] [--variant 'LABEL: override override …']… [--fold K]…
        [--seed S]… [--set key=value]… [--changes 'as it is' …] [--only-original] [--only-trained] [--mode tiles]

A variant is a label with settings of `train`; without settings, `LABEL`. The script trains `experiment=quick` with each
variant, fold and seed, on phantoms or on the cases under DATA_ROOT. A run is `OUTPUT/LABEL-fFOLD-sSEED`. A run that is
complete (it has `model.keras`) is used as it is. So put the runs of another version of the code there under a label of
their own, and give --only-trained, which stops if a run is missing. For example, to compare two versions on cases that
each version trained on in two folds:

    python scripts/recipe_gain.py OUTPUT --root DATA_ROOT --variant before --variant after --set data.folds=2 \\
        --fold 0 --fold 1 --only-original --only-trained

Without --variant, it compares the augmentations. Settings in which the runs differ from those of the first variant are
printed.

Each run predicts its held-out cases: the originals, and disturbed copies as another scanner or head might give them:
rotated, with another gamma, with noise, or without one modality. A missing modality is filled with zeros, which
`predict` refuses for a network trained without modality dropout. Dice is computed on the grid of the case: 1 if both
masks are empty, 0 if one is (protocol brats2020). `OUTPUT/RUN.scores.csv` keeps the scores of a run, so a repeated call
predicts only what is missing. It is made anew if the weights, the recipe or the mode change.

Prints two tables and, as the last line, JSON. The first has the mean Dice of each variant: WT, TC, ET, the mean of the
three, ET over the cases that have it, and the standard deviation of the mean over seeds. The second has the difference
from the first variant, paired by case and seed, with a 95 % interval for other cases and other seeds (a two-way
bootstrap, see gain_table.py); "within noise" means that the interval contains 0. An interval needs 5 cases and 3 seeds.
`OUTPUT/gain.csv` has the Dice of every seed, fold, case, change, variant and region.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from disturbed_cases import CHANGES, ORIGINAL
from gain_scores import Trained, rows_of
from gain_table import METHOD, show, summarised, write_rows

from brats_unet.errors import BratsError, SettingsError
from brats_unet.run import Run

AUGMENTATIONS = (
    "mirror: augmentation=mirror",
    "nnunet: augmentation=nnunet",
    "da_star: augmentation=da_star",
    "da_star-dropout: augmentation=da_star augmentation.modality_dropout=0.15",
)
OWN = ("name", "tag", "runs", "seed", "overwrite", "json", "data.root", "data.cache", "data.fold")  # differ anyway


def variant_of(text: str) -> tuple[str, list[str]]:
    """Label and overrides of `LABEL: override override …`.

    Raises:
        ValueError: The label has other characters than letters, digits, `.`, `_`, `+` and `-`, or an override has
            no `=`.
    """
    label, _, rest = text.partition(":")
    overrides = shlex.split(rest)
    if not re.fullmatch(r"[\w+][\w.+-]*", label):
        raise ValueError(
            f"--variant {text!r}: the label is {label!r}. Expected letters, digits, '.', '_', '+' or '-', as in "
            f"'mirror: augmentation=mirror'."
        )
    if wrong := [override for override in overrides if "=" not in override]:
        raise ValueError(f"--variant {text!r}: {wrong[0]!r} is not a setting. Expected key=value.")
    return label, overrides


def trained(args: argparse.Namespace, variants: Mapping[str, Sequence[str]]) -> list[Trained]:
    """One complete run per variant, fold and seed; those that are not complete yet are trained.

    Raises:
        SettingsError: With --only-trained, runs are missing; or a run has another seed or fold than its name says.
    """
    wanted = [
        Trained(variant, fold, seed, Run(args.output / f"{variant}-f{fold}-s{seed}"))
        for variant in variants
        for fold in args.fold
        for seed in args.seed
    ]
    missing = [one for one in wanted if not one.run.model_file.exists()]
    if missing and args.only_trained:
        names = ", ".join(one.run.name for one in missing)
        raise SettingsError(
            f"{args.output}: {len(missing)} runs of {len(wanted)} are missing or not complete: {names}. Put them "
            f"there, choose others with --fold and --seed, or leave out --only-trained to train them."
        )
    command = [str(Path(sys.executable).with_name("brats-unet")), "train", "experiment=quick"]
    data = ["data=brats", f"data.root={args.root}"] if args.root else ["data=phantom"]
    if not args.root:
        data.append(f"data.root={args.output / 'phantoms'}")
    for one in missing:
        where = [f"runs={args.output}", f"name={one.run.name}", f"data.cache={args.output / 'cache'}"]
        which = [f"data.fold={one.fold}", f"seed={one.seed}"]
        train = [*command, *data, *where, *which, *args.set, *variants[one.variant]]
        if code := subprocess.run(train, check=False).returncode:
            sys.exit(code)  # the command has said why
    for one in wanted:
        settings = one.run.settings()
        found = settings["data"]["fold"], settings["seed"]
        if found != (one.fold, one.seed):
            raise SettingsError(
                f"{one.run.folder} was trained with data.fold={found[0]} seed={found[1]}. Expected "
                f"data.fold={one.fold} seed={one.seed}, as its name says. Rename it."
            )
    return wanted


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested settings as (dotted key, value)."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def differences(first: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings of two runs that differ, as (first, other); None where a run has no such setting."""
    before, after = dict(flat(first)), dict(flat(other))
    keys = [key for key in {**before, **after} if key not in OWN]
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def print_differences(runs: Sequence[Trained]) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Print the settings in which each variant differs from the first; the same by variant."""
    first_of: dict[str, Trained] = {}
    for one in runs:
        first_of.setdefault(one.variant, one)
    first, *others = first_of.values()
    found = {one.variant: differences(first.run.settings(), one.run.settings()) for one in others}
    for variant, changed in found.items():
        what = "; ".join(f"{key} {before!r} -> {after!r}" for key, (before, after) in changed.items())
        print(f"{first.variant} -> {variant}: {what or 'the same settings'}")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for runs, scores, cache and gain.csv")
    parser.add_argument("--root", type=Path, help="folder of cases; default: phantoms")
    parser.add_argument("--variant", action="append", help="'LABEL: override …'; repeatable, baseline first")
    parser.add_argument("--fold", action="append", type=int, help="held-out fold; repeatable, default 0")
    parser.add_argument("--seed", action="append", type=int, help="seed of a run; repeatable, default 0, 1 and 2")
    parser.add_argument("--set", action="append", default=[], help="a setting of `train` for all variants; repeatable")
    tested = parser.add_mutually_exclusive_group()
    tested.add_argument("--changes", nargs="+", choices=CHANGES, metavar="CHANGE", help=f"of {', '.join(CHANGES)}")
    tested.add_argument("--only-original", action="store_true", help="test on the original cases only")
    parser.add_argument("--only-trained", action="store_true", help="stop if a run is missing, instead of training it")
    parser.add_argument("--mode", default="auto", help="tiles, whole, or auto: the mode of the run")
    args = parser.parse_args()
    try:
        variants = dict(map(variant_of, args.variant or AUGMENTATIONS))
    except ValueError as problem:
        parser.error(str(problem))
    for key, default in (("fold", [0]), ("seed", [0, 1, 2])):
        setattr(args, key, list(dict.fromkeys(getattr(args, key) or default)))
    if len(variants) < len(args.variant or AUGMENTATIONS):
        parser.error("two variants have the same label. Give each a label of its own.")
    changes = [ORIGINAL] if args.only_original else list(dict.fromkeys(args.changes or CHANGES))
    args.output.mkdir(parents=True, exist_ok=True)
    runs = trained(args, variants)
    settings = print_differences(runs)
    rows = rows_of(runs, changes, args.mode)
    write_rows(args.output / "gain.csv", rows)
    result = summarised(rows, list(variants), changes)
    show(result)
    facts = {"cases": len({row.case for row in rows}), "folds": args.fold, "seeds": args.seed, "settings": settings}
    print(json.dumps({**facts, "changes": result, "interval": METHOD}))


if __name__ == "__main__":
    try:
        main()
    except BratsError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
