"""Disturb two worker processes on loopback, and compare with a training that nothing disturbed.

    python scripts/worker_proofs.py [PROOF…] [--output runs/worker_proofs] [--times 20] [--steps 200] [--long 2000]
        [--seed 0]

Trains a tiny network on phantoms with `hardware=workers`, in float32, and prints one line for each proof:

  SIGKILL, SIGTERM  one worker, drawn at random, gets the signal at a random moment after the first step; both must have
                    ended within the deadline. The same command is then started again, and must end with the losses of
                    the undisturbed training.
  slow              one worker may use half of a core's time; the losses must be equal.
  memory            memory of both workers after a tenth of a long training and at its end.
  predict           20 cases by one worker and by two: the masks must be equal; seconds of both.

Without a name, all of them. Takes an hour or more on two cores. Exits with 1 if a proof fails.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil

from brats_unet.errors import Interrupted
from brats_unet.nifti import read_integers
from brats_unet.run import Run

DEADLINE_SECONDS = 60
PROOFS = ("SIGKILL", "SIGTERM", "slow", "memory", "predict")
TINY = (
    *("experiment=none", "data=brats", "data.folds=2", "data.preparation.spacing_mm=[5,5,5]", "model.features=[4,8]"),
    *("model.strides=[1,2]", "sampling.patch=[16,16,16]", "sampling.batch=4", "validation.every=0.5"),
    *("hardware.precision=float32", f"hardware.deadline_seconds={DEADLINE_SECONDS}"),
)


def start(*command: str, workers: int = 2) -> list[subprocess.Popen[bytes]]:
    """Start a command in several worker processes on free ports."""
    probes = [socket.create_server(("localhost", 0)) for _ in range(workers)]
    addresses = [f"localhost:{probe.getsockname()[1]}" for probe in probes]
    for probe in probes:
        probe.close()
    started = []
    for index in range(workers):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        variables = {**os.environ, "TF_CONFIG": json.dumps(config)}
        command_line = [sys.executable, "-m", "brats_unet", *command]
        quiet = subprocess.DEVNULL
        started.append(subprocess.Popen(command_line, env=variables, stdout=quiet, stderr=quiet))
    return started


def seconds_to_end(processes: list[subprocess.Popen[bytes]]) -> float:
    """Wait until all have ended."""
    started = time.monotonic()
    for process in processes:
        process.wait()
    return time.monotonic() - started


def losses(run: Run) -> list[float]:
    """Loss of each step."""
    return [line["loss"] for line in run.journal("step")]


def disturbed(command: list[str], run: Run, kind: signal.Signals, draw: random.Random) -> float:
    """Send the signal to a random worker after a random step; both end, and the same command continues.

    Returns:
        Seconds until both have ended; infinite if the other worker did not end with exit code 75.
    """
    processes = start(*command)
    last_step = int(command[-1].removeprefix("steps="))
    moment = draw.randrange(1, last_step * 3 // 4)
    while len(losses(run)) < moment and all(process.poll() is None for process in processes):
        time.sleep(0.05)
    victim = draw.randrange(2)
    processes[victim].send_signal(kind)
    seconds = seconds_to_end(processes)
    seconds_to_end(start(*command))
    return seconds if processes[1 - victim].returncode == Interrupted.exit_code else float("inf")


def slowed(command: list[str]) -> None:
    """Train while one worker is stopped for half of the time, a twentieth of a second at once."""
    processes = start(*command)
    while all(process.poll() is None for process in processes):
        processes[1].send_signal(signal.SIGSTOP)
        time.sleep(0.05)
        processes[1].send_signal(signal.SIGCONT)
        time.sleep(0.05)
    seconds_to_end(processes)


def memory(command: list[str], run: Run, steps: int) -> list[list[int]]:
    """MiB of each worker after a tenth of the steps, and near the end."""
    processes = start(*command)
    found = []
    for share in (0.1, 0.95):
        while len(losses(run)) < share * steps and all(process.poll() is None for process in processes):
            time.sleep(0.5)
        found.append([psutil.Process(process.pid).memory_info().rss >> 20 for process in processes])
    seconds_to_end(processes)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("proofs", nargs="*", choices=[*PROOFS, []], metavar="PROOF", help=f"of {', '.join(PROOFS)}")
    parser.add_argument("--output", type=Path, default=Path("runs/worker_proofs"))
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--long", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    draw, scans = random.Random(args.seed), args.output / "phantoms"
    if args.output.exists():
        shutil.rmtree(args.output)
    phantoms = ["phantom", f"output={scans}", "cases=20", "spacing_mm=[5,5,5]"]
    subprocess.run([sys.executable, "-m", "brats_unet", *phantoms], check=True)
    common = [*TINY, f"data.root={scans}", f"data.cache={args.output / 'cache'}", f"runs={args.output}"]

    def training(name: str, steps: int = args.steps) -> tuple[list[str], Run]:
        return ["train", *common, f"name={name}", "hardware=workers", f"steps={steps}"], Run(args.output / name)

    passed = []

    def told(proof: str, ok: bool, facts: str) -> None:
        passed.append(ok)
        print(f"{proof}: {'passed' if ok else 'FAILED'}; {facts}", flush=True)

    def against_undisturbed(run: Run) -> float:
        """Largest relative difference of a loss; infinite if steps are missing."""
        found, expected = np.array(losses(run)), np.array(losses(undisturbed))
        return float(np.max(np.abs(found / expected - 1))) if found.shape == expected.shape else float("inf")

    wanted = args.proofs or PROOFS
    command, undisturbed = training("undisturbed")
    seconds_to_end(start(*command))
    for kind in (one for one in (signal.SIGKILL, signal.SIGTERM) if one.name in wanted):
        seconds, gaps = [], []
        for turn in range(args.times):
            command, run = training(f"{kind.name}-{turn}")
            seconds.append(disturbed(command, run, kind, draw))
            gaps.append(against_undisturbed(run))
        ok = max(seconds) < DEADLINE_SECONDS and max(gaps) <= 1e-5
        told(kind.name, ok, f"{args.times} times, at most {max(seconds):.1f} s to end, losses within {max(gaps):.1e}")
    if "slow" in wanted:
        command, run = training("slow")
        slowed(command)
        told("slow", against_undisturbed(run) <= 1e-5, f"losses within {against_undisturbed(run):.1e}")
    if "memory" in wanted:
        command, run = training("long", args.long)
        early, late = memory(command, run, args.long)
        grown = max(b - a for a, b in zip(early, late, strict=True))
        told("memory", grown < 64, f"{args.long} steps, {early} MiB early and {late} MiB late")
    if "predict" in wanted:
        times = []
        for count in (1, 2):
            device = ["device=workers"] if count > 1 else ["device=cpu"]
            given = [f"run={undisturbed.folder}", f"input={scans}", f"output={args.output / f'masks{count}'}"]
            times.append(seconds_to_end(start("predict", *given, *device, workers=count)))
        names = sorted(path.name for path in (args.output / "masks1").glob("*.nii.gz"))
        equal = names == sorted(path.name for path in (args.output / "masks2").glob("*.nii.gz")) and all(
            np.array_equal(*(read_integers(args.output / f"masks{count}" / name).array for count in (1, 2)))
            for name in names
        )
        told(
            "predict",
            equal and len(names) == 20,
            f"{len(names)} masks, {times[0]:.1f} s by one, {times[1]:.1f} s by two",
        )
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
