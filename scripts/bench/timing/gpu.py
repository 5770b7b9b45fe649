"""Measure training steps and prediction on this machine's GPU, in turns with nnU-Net's own on the same card.

    scripts/bench/gpu.sh [--output FOLDER] [--only WORD] [--json] …     # python scripts/bench/timing/gpu.py …

One row for each configuration:
  step-PRESET-xla_ON-augmentation_ON   the step of `train experiment=PRESET` (nnunet, resenc_m, resenc_l, isensee2020,
                                       nvidia21), with and without XLA, with and without the augmentation
  predict-nnunet-mirror_NONE           one case of 240×240×155 in tiles of 128³, from reading to writing, also mirrored

nnU-Net's step is its own network and loss, compiled, in float16, without augmentation, on images that are ready on the
card. isensee2020 is compared with nnU-Net's trainer with batch normalisation; nnU-Net has no network like nvidia21.
nnU-Net needs an environment with a torch for CUDA, given as PEERS=FOLDER (default: .venv-peers):

    python3 -m venv /some/folder && /some/folder/bin/pip install nnunetv2==2.8.1

Every configuration runs in a process of its own; brats-unet and nnU-Net take blocks of steps in turn. If both do not
fit into memory or time at once, each is measured alone. Lack of memory or time is the result of a row, and the next row
follows. Start-up, compiling and the first block are not timed. Each row is written to FOLDER/KEY.json. Run the same
command again after an interruption: only missing and failed rows are measured. Delete a file to measure its row again.

GiB is the peak that the framework had allocated on the card. TFLOP/s counts the convolutions and their gradients, as
defined by the layers. Matrix rate and copy rate are measured on the same card first. "of copy rate" gives two ends: all
other layers fused into the convolutions (the least that a step moves), and each operation a kernel of its own.

--device cpu --shrink 4 --threads 1 --rounds 1 --steps 2 shows on any machine that the script runs, and nothing else.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

import predict  # noqa: E402
import train_step  # noqa: E402
from contender import ROOT, Contender, ProgramError  # noqa: E402
from rows import PRESETS, Row, differences, finished, rows, shrunk, shrunk_words  # noqa: E402
from table import show, summary  # noqa: E402

from brats_unet.assembly.provenance import commit  # noqa: E402
from brats_unet.hardware import gpus  # noqa: E402


def commands(row: Row, args: argparse.Namespace, case: Path) -> tuple[list[str], list[str] | None, dict[str, Any]]:
    """Our command, the peer's (None if there is none), and facts of the row such as the batch size."""
    if row.kind == "predict":
        tile, features = shrunk(predict.TILE, predict.FEATURES, args.shrink)
        options = {"case": str(case), "device": args.device, "features": features, "tile": tile}
        options |= {"spacing_mm": float(args.shrink), "mode": "tiles", "mirror": row.mirror}
        options |= {"precision": args.precision, "threads": args.threads}
        return predict.child(options, args.threads), predict.peer_command(options) if args.peer else None, {}
    words = [f"experiment={row.preset}", f"hardware={args.device}", f"hardware.jit={row.jit}"]
    words.append(f"hardware.precision={args.precision}")
    words += ["augmentation=none"] if row.augmentation == "off" else []
    words += shrunk_words(train_step.settings_of(words), args.shrink)
    settings = train_step.settings_of(words)
    facts = {"batch": settings.sampling.batch, "patch": list(settings.sampling.patch)}
    peer = train_step.peer_options(settings, args.device, args.threads) if args.peer else None
    ours = train_step.child(words, args.threads, "--work")
    return ours, None if peer is None else train_step.peer_command(peer), facts


def in_turns(sides: dict[str, list[str]], args: argparse.Namespace, block: int) -> dict[str, dict[str, Any]]:
    """Measure programs in turns: outcome, seconds, facts and peak memory of each.

    If one ends early, only that one has an entry. Once 80 % of the time limit have passed, no further block begins.

    Args:
        sides: Command by name.
        args: rounds, minutes and device.
        block: Measurements that each takes in its turn.
    """
    limit = 60 * args.minutes
    begun = time.perf_counter()
    running: dict[str, Contender] = {}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    precision = dict.fromkeys(sides, "float16" if args.device == "gpu" else "float32")  # of nnU-Net's step
    name = ""
    try:
        for name, command in sides.items():
            running[name] = Contender(command, limit_seconds=limit)
            precision[name] = running[name].facts.get("precision", precision[name])
        for index in range(args.rounds + 1):
            for name, contender in running.items():
                taken = contender.seconds(precision[name], block)
                seconds[name] += taken if index else []  # the first round warms up
            if index and time.perf_counter() - begun > 0.8 * limit:
                break
        found = {}
        for name, contender in running.items():
            found[name] = {**contender.facts, "outcome": "measured", "precision": precision[name]}
            found[name] |= {"seconds": seconds[name], **contender.close()}
        return found
    except ProgramError as stop:
        return {name: {"outcome": stop.outcome, "message": str(stop)}}
    finally:
        for contender in running.values():
            contender.kill()


def measured(row: Row, args: argparse.Namespace, case: Path) -> dict[str, Any]:
    """The result of a row: in turns with nnU-Net if both fit, otherwise each alone."""
    ours, peer, facts = commands(row, args, case)
    sides = {"ours": ours} | ({} if peer is None else {"peer": peer})
    block = 1 if row.kind == "predict" else args.steps
    found = in_turns(sides, args, block)
    together = len(found) == len(sides)
    if not together:
        found = {name: in_turns({name: command}, args, block)[name] for name, command in sides.items()}
    for side in found.values():
        side |= facts
    weights = [side["parameters"] for side in found.values() if "parameters" in side]
    if len(set(weights)) > 1:
        message = f"nnU-Net's network has {weights[1]} weights. Expected {weights[0]}, as in ours."
        found["peer"] = {"outcome": "failed", "message": message}
    return {"key": row.key, "ours": found["ours"], "peer": found.get("peer"), "in_turns": together}


def rates(args: argparse.Namespace) -> dict[str, Any]:
    """The rates of the device, from rates.py; exits with its message if it fails."""
    command = [sys.executable, str(Path(__file__).with_name("rates.py")), "--device", args.device]
    small = ["--size", "1024", "--gib", "0.1", "--seconds", "0.2", "float32"]
    command += small if args.device == "cpu" else ["float32", "bfloat16", "float16"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        last_line = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}, no message"])[-1]
        sys.exit(f"The rates of the device cannot be measured: {last_line}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def refuse_peer_without_gpu() -> None:
    """Exit unless the torch of the peers' environment finds a GPU."""
    python = train_step.peers_python()
    code = "import sys, torch; print(torch.__version__); sys.exit(not torch.cuda.is_available())"
    done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    if done.returncode:
        found = done.stdout.strip() or done.stderr.strip().splitlines()[-1]
        sys.exit(
            f"{python}: torch {found} finds no GPU. Expected a torch for CUDA. Give another environment as "
            f"PEERS=FOLDER (pip install nnunetv2), or leave nnU-Net out with --no-peer."
        )


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/bench-gpu"), help="folder of the results")
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS, help="default: all")
    parser.add_argument("--only", default="", metavar="WORD", help="only rows whose name contains this")
    parser.add_argument("--rounds", type=int, default=5, help="blocks of steps that are timed; cases, in a prediction")
    parser.add_argument("--steps", type=int, default=10, help="steps of a block")
    parser.add_argument("--minutes", type=float, default=20, help="time limit of a row, compiling included")
    parser.add_argument("--precision", default="auto", help="hardware.precision of brats-unet")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="number of CPU threads")
    parser.add_argument("--no-peer", dest="peer", action="store_false", help="leave nnU-Net out")
    parser.add_argument("--case", type=Path, help="folder of the case to predict; default: a phantom")
    parser.add_argument("--device", choices=("gpu", "cpu"), default="gpu", help="where both compute")
    parser.add_argument("--shrink", type=int, default=1, help="divide patches and features by this")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    args = parser.parse_args()
    for name in ("rounds", "steps", "threads", "shrink"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}. Expected 1 or more.")
    if args.device == "cpu" and args.precision == "auto":
        args.precision = "float32"  # as nnU-Net on a CPU
    return args


def prepared(args: argparse.Namespace) -> dict[str, Any]:
    """The rates of the device, measured or read; exits if the folder holds results under other conditions."""
    args.output.mkdir(parents=True, exist_ok=True)
    asked = {name: getattr(args, name) for name in ("device", "precision", "threads", "peer", "shrink")}
    asked["commit"] = commit()
    asked["gpus"] = [gpu.name for gpu in gpus()] if args.device == "gpu" else []
    asked["case"] = None if args.case is None else args.case.name
    path = args.output / "card.json"
    if path.exists():
        card = json.loads(path.read_text(encoding="utf-8"))
        if unlike := list(differences(card["conditions"], asked)):
            sys.exit(f"{args.output} holds results of another run ({'; '.join(unlike)}). Give another --output.")
        return card
    if args.peer and args.device == "gpu":
        refuse_peer_without_gpu()
    card = {**rates(args), "conditions": asked, "python": platform.python_version()}
    path.write_text(json.dumps(card, indent=1), encoding="utf-8")
    return card


def main() -> None:
    args = parsed()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])  # inherited
    card = prepared(args)
    wanted = rows(args.presets, args.only)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        case = args.case and args.case.resolve()
        for index, row in enumerate(wanted, 1):
            result = finished(args.output, row.key)
            if result is None:
                if row.kind == "predict" and case is None:
                    case = predict.phantom_case(Path(folder), 1 / args.shrink)
                result = measured(row, args, case)
                (args.output / f"{row.key}.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
            results.append(summary(result, card))
            print(f"{index} of {len(wanted)}, {row.key}: {_in_words(result)}", file=sys.stderr)
    if args.json:
        print(json.dumps({"card": card, "rows": results}, indent=1))
        return
    shrunken = args.device == "cpu" or args.shrink > 1
    where = "CPU" if args.device == "cpu" else "GPU"
    note = f"{where}{', shrunk' if args.shrink > 1 else ''}: shows only that the script runs" if shrunken else ""
    show(results, card, note)


def _in_words(result: dict[str, Any]) -> str:
    texts = []
    for name, side in (("brats-unet", result["ours"]), ("nnU-Net", result["peer"])):
        if side is not None and side["outcome"] == "measured":
            texts.append(f"{name} {statistics.median(side['seconds']):.3g} s")
        elif side is not None:
            why = f" ({side['message'].strip().splitlines()[-1]})" if side["outcome"] == "failed" else ""
            texts.append(f"{name} {side['outcome']}{why}")
    return ", ".join(texts)


if __name__ == "__main__":
    main()
