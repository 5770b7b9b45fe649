"""Show how Dice 0.95 comes about: one network, split by slice and by patient, scored as papers and as notebooks do.

    python scripts/leak_lesson.py --data DATA_ROOT [--output runs/leak_lesson] [--folds 5] [--fold 0 1 2 3 4]
        [--seed 0] [--steps 2000] [--set key=value]…

DATA_ROOT is the folder of the LGG MRI Segmentation data set (kaggle_3m). The script trains a 2-D U-Net twice for each
fold and seed, with the same settings, the same number of steps and the same number of training slices:

  by slice    held-out slices are drawn from all patients, so the network has seen their neighbours, as in most
              notebooks on these data (train_test_split over files)
  by patient  all slices of the held-out patients are held out, by the folds of `brats-unet train`

With all folds, both hold out every slice once, so the scores are of the same slices. Each network scores what it held
out. Dice is computed in five ways:

  mean over patients    one Dice of all held-out slices of a patient; with all folds that is the whole volume
  all pixels pooled     one Dice of all slices together, in which large tumours count most
  mean over slices      one Dice for each slice; a slice without tumour counts 1 if nothing is predicted in it, else 0
  mean over batches     one Dice of all pixels of 16 slices, of probabilities, with 1 or 100 added above and below, as
                        Keras prints it while training

and once more for a predictor that marks nothing. An empty mask follows the BraTS 2020 rule, where no number is added:
1 if both masks are empty, 0 if one is. Prints the table as Markdown, the numbers of patients and slices, and the
difference between the splits, paired by patient.

A training is a folder of OUTPUT. A repeated call resumes what was stopped and reads `slices.csv` of what is scored, so
the table can be printed again at once. --set passes settings on to `train`; the split by slice exists here only.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from leak_scores import Slice, counted, gap, read_slices, table, write_slices

from brats_unet.assembly.resume import prepare_run_folder
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.commands.display import Display, open_display
from brats_unet.data.study import Study, open_study
from brats_unet.errors import BratsError, SettingsError
from brats_unet.hardware import quiet_tensorflow
from brats_unet.json_files import read_json, write_json
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.settings import Train

SLICE, PATIENT = "slice", "patient"
# Weak augmentation, no neighbouring slices, and every slice drawn equally often, as notebooks do.
NETWORK = (
    "experiment=none",
    "data=lgg",
    "model=unet2d",
    "model.features=[16,32,64,128,256]",
    "+model.strides=[2,2,2,2,2]",
    "loss=region_dice_bce",
    "loss.batch_dice=true",
    "augmentation=mirror",
    "augmentation.axes=[0]",
    "optimizer=adam",
    "optimizer.learning_rate=1e-3",
    "optimizer.ema=0.99",
    "sampling.patch=[192,224,1]",
    "sampling.batch=16",
    "sampling.foreground=0",
)


def held_out_by_patient(slices: Mapping[str, Sequence[str]], fold_of: Mapping[str, int], folds: int) -> list[list[str]]:
    """The slices that each fold holds out: all of its patients.

    Args:
        slices: Ids of the slices of each patient.
        fold_of: Fold of each patient, from 0 to `folds` - 1.
        folds: Number of folds.
    """
    return [
        [one for patient in sorted(slices) if fold_of[patient] == fold for one in slices[patient]]
        for fold in range(folds)
    ]


def held_out_by_slice(by_patient: Sequence[Sequence[str]], seed: int) -> list[list[str]]:
    """The same slices in random order, as many in each fold: a patient then has slices on both sides.

    Args:
        by_patient: Slices that each fold of the split by patient holds out.
        seed: Seed of the order.
    """
    every = [one for held_out in by_patient for one in held_out]
    order = np.random.default_rng(seed).permutation(len(every))
    ends = np.cumsum([len(held_out) for held_out in by_patient])[:-1]
    return [sorted(every[i] for i in part) for part in np.split(order, ends)]


def settings_of(args: argparse.Namespace) -> Train:
    """Settings of the first training, as `brats-unet train` gets them."""
    where = [f"data.root={args.data}", f"data.cache={args.output / 'cache'}", f"runs={args.output}"]
    which = [f"data.folds={args.folds}", f"data.fold={args.fold[0]}", f"seed={args.seed[0]}", f"steps={args.steps}"]
    request = arguments.split(["train", *NETWORK, *where, *which, *args.set])
    return bind(Train, hydra.settings_of(request, checks.checked(request)))


def settings_for(first: Train, split: str, fold: int, seed: int) -> Train:
    """Settings of another training; its folder is named after what differs."""
    name = f"{split}-fold{fold}-seed{seed}-steps{first.steps}"
    return replace(first, name=name, seed=seed, data=replace(first.data, fold=fold))


def held_out_slices(study: Study, slices: Mapping[str, Sequence[str]], settings: Train) -> dict[str, list[list[str]]]:
    """For each split, the slices that each fold holds out.

    Args:
        study: The data.
        slices: Ids of the slices of each patient.
        settings: Settings of any of the trainings.

    Raises:
        SettingsError: The data are not divided into folds.
    """
    if "assignment" not in study.folds or settings.data.folds is None:
        raise SettingsError(
            "The patients are not divided into folds. Leave out --set data.splits and --set data.validation_root."
        )
    by_patient = held_out_by_patient(slices, study.folds["assignment"], settings.data.folds)
    return {SLICE: held_out_by_slice(by_patient, settings.data.fold_seed), PATIENT: by_patient}


def refuse_other_slices(run: Run, division: Mapping[str, Sequence[str]]) -> None:
    """Raise SettingsError if the folder holds a training on other slices."""
    if run.folds_file.exists() and read_json(run.folds_file, what=str(run.folder)) != division:
        raise SettingsError(
            f"{run.folder} was trained on other slices: the patients or their scans have changed since. Give another "
            f"--output, or remove the folder."
        )


def lesson(args: argparse.Namespace, display: Display) -> dict[str, list[list[Slice]]]:
    """Train and score what is missing; returns the held-out slices of each split by seed, all folds together.

    Raises:
        SettingsError: A folder of OUTPUT holds a training with other settings or on other slices.
    """
    with quiet_tensorflow():
        from leak_training import measured_slices, slices_of, train_on_slices

    first = settings_of(args)
    scheme = scheme_of(first.scheme)
    study = open_study(**vars(first.data), scheme=scheme, log=display.log, progress=display.progress)
    by_patient = {case_id: slices_of(case) for case_id, case in study.prepared.items()}
    cases = {one.id: one for slices in by_patient.values() for one in slices}
    largest = [max(one.grid.shape[axis] for one in cases.values()) for axis in range(3)]
    held_out = held_out_slices(study, {p: [one.id for one in slices] for p, slices in by_patient.items()}, first)
    found: dict[str, list[list[Slice]]] = {split: [[] for _ in args.seed] for split in held_out}
    for index, seed in enumerate(args.seed):
        for fold in args.fold:
            for split, of_fold in held_out.items():
                settings = settings_for(first, split, fold, seed)
                run = Run(args.output / str(settings.name))
                division = {"train": sorted(set(cases) - set(of_fold[fold])), "validation": of_fold[fold]}
                prepare_run_folder(run, settings)
                refuse_other_slices(run, division)
                file = run.folder / "slices.csv"
                if not file.exists():
                    write_json(run.settings_file, asdict(settings))
                    write_json(run.folds_file, division)
                    chosen = [cases[name] for name in division["train"]]
                    train_on_slices(settings, run, study.convention, chosen, largest, display)
                    chosen = [cases[name] for name in division["validation"]]
                    write_slices(file, measured_slices(run, chosen, display))
                found[split][index] += read_slices(file)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="DATA_ROOT", help="folder of the patients")
    parser.add_argument("--output", type=Path, default=Path("runs/leak_lesson"), help="folder of the trainings")
    parser.add_argument("--folds", type=int, default=5, help="number of folds")
    parser.add_argument("--fold", type=int, nargs="+", default=[0], help="folds to hold out in turn")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="seeds to train with; scores are their mean")
    parser.add_argument("--steps", type=int, default=2000, help="updates of the weights of each training")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="setting of `train`")
    args = parser.parse_args(words)
    args.fold, args.seed = sorted(set(args.fold)), sorted(set(args.seed))
    if not 0 <= args.fold[0] <= args.fold[-1] < args.folds:
        parser.error(f"--fold {' '.join(map(str, args.fold))}: expected numbers from 0 to {args.folds - 1}.")
    try:
        with open_display(json=False) as display:
            found = lesson(args, display)
    except BratsError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return problem.exit_code
    print(table(found))
    print()
    for split, seeds in found.items():
        print(counted(split, seeds[0]))
    print(gap(found[SLICE], found[PATIENT]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
