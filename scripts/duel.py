"""Train ours and nnU-Net on the same patients, folds, minutes and threads, and compare their scores, paired by case.

    python scripts/duel.py OUTPUT SETTING… [--minutes 20] [--threads 2] [--fold K]… [--nnunet 2d] [--published]
        [--nnunet-batch planned,8] [--steps-ours N] [--steps-nnunet N] [--spacing X Y Z] [--device cpu]

The LGG cohort, 45 patients, five folds of 20 minutes; and the eight BraTS cases, two folds:

    python scripts/duel.py runs/duel-lgg experiment=lgg2d data.root=/data/kaggle_3m --minutes 20 --threads 2 \\
        --nnunet-batch planned,4 --published
    python scripts/duel.py runs/duel-brats experiment=quick data.root=/data/BraTS2021 data.folds=2 \\
        --nnunet 3d_fullres --minutes 20 --threads 2

SETTINGs are those of `brats-unet train`. Each side trains alone, one after the other, fold by fold. A repeated call
goes on where the last one ended (stop it with Ctrl-C or SIGTERM): what is finished is kept, ours resumes its run and
nnU-Net its last epoch. Other settings or terms are refused; more folds, batches or --published may be added.

nnU-Net 2.8.1 (`make peers`) gets the same cases as its raw data, plans and preprocesses them by its defaults, trains
with its own trainer and augmentation, and predicts by its defaults: overlapping tiles, mirrored along all axes. Its
fingerprint is made from all cases, as it does in a cross-validation. --minutes are training alone; its number of
steps comes from 20 timed steps after 3 others, in the first fold. Its rate reaches 0 within them. Where the machine is
busy, give what the minutes hold on an idle one: --steps-ours and --steps-nnunet. Validating, preparing and predicting
are measured beside; ours counts its validations as training, and its seconds are unknown (–) if it ended by its number
of steps. Seconds of the last process are not all of a training that was resumed.
Its planned batch of dozens of slices leaves it few steps on a CPU, so --nnunet-batch also trains with smaller ones; the
verdict is against the variant that scores best. A variant is scored again with the largest components kept if nnU-Net
decides so by its own rule, on these same cases, which favours it. Ours predicts as `brats-unet evaluate run=…` does.

--threads keeps both sides on as many cores, nnU-Net's loaders among them: by default it starts 12, at most one a core.

--published trains the U-Net of Buda et al. 2019 (doi:10.1016/j.compbiomed.2019.05.002) too, for data=lgg, as its author
gives it in mateuszbuda/brain-segmentation-pytorch: see duel_published.py for the differences.

Prints three tables and the verdict. OUTPUT/duel.json has all of it, with steps, seconds, batches, patches and versions.
"""

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from duel_cases import NAME, SLICE_SPACING_MM, all_cases, splits_json, write_raw
from duel_published import LARGEST_ONLY, PUBLISHED
from duel_sides import NnunetSide, OurSide
from duel_table import OURS, best_of, compared, few_steps, sentence, show
from duel_terms import Terms, refuse_change, studies_of, train_settings

from brats_unet.assembly.provenance import commit, processor
from brats_unet.errors import BratsError, MachineError, SettingsError
from brats_unet.evaluation.record import open_evaluation
from brats_unet.json_files import write_json
from brats_unet.modality import Modality

PEERS = Path(__file__).resolve().parents[1] / ".venv-peers" / "bin" / "python"
PLANNED = "planned"
SHARED = ("data.", "seed=", "steps=")  # settings that the published network shares with ours


def batch_of(text: str) -> list[int | None]:
    """The batches of `planned,8,4`; None is the planned one."""
    return [None if one == PLANNED else int(one) for one in text.split(",")]


def cost(side: str, fold: int, facts: Mapping[str, Any], prepared: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table of costs."""
    trained = facts["train"]
    return {
        "side": side,
        "fold": fold,
        "steps": trained["steps"],
        "chosen by": trained["chosen_by"],
        "batch": trained["batch"],
        "patch": "×".join(map(str, trained["patch"])),
        "training s": trained["training_seconds"],
        "validating s": trained["validation_seconds"],
        "last process s": trained["process_seconds"],
        "preparing s": prepared.get("seconds", prepared["process_seconds"]),
        "predicting s": facts["predict"]["seconds"],
    }


def parsed() -> argparse.Namespace:
    """The command line, checked as far as it can be alone."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path, help="folder for everything; repeat the call to go on in it")
    parser.add_argument(
        "settings", nargs="+", help="settings of `brats-unet train`, such as experiment=lgg2d data.root=…"
    )
    parser.add_argument("--minutes", type=float, default=20, help="time limit of each training; default 20")
    parser.add_argument("--threads", type=int, default=cores, help="cores of both sides; default: all")
    parser.add_argument("--fold", action="append", type=int, help="held-out fold; repeatable, default: all")
    parser.add_argument("--nnunet", default="2d", choices=("2d", "3d_fullres"), help="configuration; default 2d")
    parser.add_argument("--nnunet-batch", type=batch_of, default=[None], help=f"batches, such as {PLANNED},8")
    parser.add_argument("--steps-ours", type=int, help="number of steps of ours; default: by the clock")
    parser.add_argument("--steps-nnunet", type=int, help="number of steps of nnU-Net; default: by timed steps")
    parser.add_argument("--spacing", type=float, nargs=3, default=SLICE_SPACING_MM, help="mm, of slices without one")
    parser.add_argument("--published", action="store_true", help="also the U-Net of Buda et al. 2019 (data=lgg)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "gpu"), help="of both sides; default cpu")
    parser.add_argument("--peers", type=Path, default=PEERS, help="python that has nnU-Net; default .venv-peers")
    args = parser.parse_intermixed_args()
    if not (math.isfinite(args.minutes) and args.minutes > 0):
        parser.error(f"--minutes {args.minutes}: expected more than 0.")
    if not 1 <= args.threads <= cores:
        parser.error(f"--threads {args.threads}: expected 1 to {cores}, the cores that can be used.")
    counts = {"--steps-ours": [args.steps_ours], "--steps-nnunet": [args.steps_nnunet]}
    for name, values in {**counts, "--nnunet-batch": args.nnunet_batch}.items():
        if any(value is not None and value < 1 for value in values):
            parser.error(f"{name}: expected 1 or more.")
    if taken := [word for word in args.settings if word.startswith(("data.fold=", "name=", "runs=", "data.cache="))]:
        parser.error(f"{taken[0]}: this script sets it. Leave it out; --fold chooses folds.")
    return args


def duel(args: argparse.Namespace) -> None:
    """Train, predict, score and compare.

    Raises:
        BratsError: Settings, data or the machine do not allow it.
    """
    if not args.peers.exists():
        raise MachineError(f"{args.peers}: no such file. Build the environment of nnU-Net with `make peers`.")
    ending = [] if any(word.startswith("steps=") for word in args.settings) else ["steps=null"]
    ending = [f"minutes={args.minutes}", *ending]
    by_steps = [f"steps={args.steps_ours}", "minutes=null"] if args.steps_ours else ending
    hardware = [] if any(word.startswith("hardware") for word in args.settings) else [f"hardware={args.device}"]
    shared = [*hardware, f"data.cache={args.output / 'cache'}"]
    ours = [*args.settings, *by_steps, *shared]
    settings = train_settings(ours)
    if settings.data.splits is not None and args.fold is None:
        raise SettingsError("data.splits is set. Say which of its folds to hold out: --fold 0 --fold 1 ….")
    every = range(max(args.fold) + 1 if settings.data.splits is not None else settings.data.folds or 0)
    folds = sorted(set(args.fold or every))
    if not folds or folds[-1] not in every:
        raise SettingsError(f"--fold {folds}: expected 0 to {len(every) - 1}, the folds of data.folds.")
    terms = Terms(
        args.output, args.minutes, args.threads, args.device, args.nnunet, args.steps_nnunet, args.peers.absolute()
    )
    asked = {
        "settings": args.settings,
        **{key: getattr(terms, key) for key in ("minutes", "threads", "device", "configuration", "steps_nnunet")},
        "steps_ours": args.steps_ours,
        "slice_spacing_mm": list(args.spacing),
    }
    refuse_change(args.output / "asked.json", asked)

    # Prepare the cases of each side.
    begun = time.perf_counter()
    studies = studies_of(ours, every)
    prepared = {OURS: terms.once("ours-prepare", lambda log: {"seconds": round(time.perf_counter() - begun, 1)})}
    convention, cases = studies[folds[0]].convention, all_cases(studies)
    modalities = [one for one in Modality if one in set(settings.data.modalities)]
    raw = args.output / "nnunet" / "raw" / NAME
    terms.once("nnunet-raw", lambda log: write_raw(raw, cases, modalities, convention, args.spacing) or {})
    splits = splits_json([studies[fold].split for fold in every])
    variants = [NnunetSide(terms, batch, len(modalities), splits) for batch in dict.fromkeys(args.nnunet_batch)]
    prepared["nnunet"] = variants[0].prepare()

    # Train and predict, one side after the other.
    sides: list[OurSide | NnunetSide] = [OurSide(OURS, terms, ours), *variants]
    if args.published:
        file = args.output / "largest_only.json"
        write_json(file, LARGEST_ONLY)
        own = [word for word in args.settings if word.startswith(SHARED)]
        sides.append(OurSide("published", terms, [*PUBLISHED, *own, *ending, *shared], str(file)))
    facts: dict[str, dict[int, Any]] = {side.name: {} for side in sides}
    for fold in folds:
        for side in sides:
            facts[side.name][fold] = side.train_and_predict(fold, studies[fold])

    # Score and compare.
    scores = [scored for side in sides for scored in side.score(folds, studies)]
    result = compared({name: open_evaluation(folder) for name, folder in scores})
    rivals = [name for name in result if name.startswith("nnunet")]
    verdict = sentence(result, best_of(result, rivals), len(rivals))
    costs = [
        cost(name, fold, found, prepared["nnunet" if name.startswith("nnunet") else OURS])
        for name, of_fold in facts.items()
        for fold, found in of_fold.items()
    ]
    show(result, costs)
    for note in few_steps(costs):
        print(note)
    print(verdict)
    machine = {"processor": processor(), "cores": os.cpu_count(), "commit": commit()}
    write_json(
        args.output / "duel.json",
        {
            **asked,
            **machine,
            "cases": sum(len(studies[fold].split.validation) for fold in folds),
            "folds": folds,
            "prepared": prepared,
            "sides": facts,
            "scores": result,
            "verdict": verdict,
        },
    )


def main() -> int:
    """Run the duel; returns the exit code."""
    args = parsed()
    args.output = args.output.absolute()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # stops the training too
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    try:
        duel(args)
    except BratsError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return problem.exit_code
    except KeyboardInterrupt:
        print("Stopped. Run the same command again to go on.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
