"""Measure what saving costs a training, and how long a stop takes.

    python scripts/bench/checkpoints.py [--experiment quick] [--device cpu] [--rounds 10] [--steps 10] [--stops 3]

Saving: blocks of training steps (noise in the shape of patches, no data) with and without a checkpoint at their start,
in turns, in one process. A block is long enough for the thread to write the file. The cost of a checkpoint is the
difference of the two medians: copying the tensors, and what the writing thread takes from the steps beside it. Its
share is that cost over the time between two checkpoints of the preset. Start-up and the first steps are not timed.

Stopping: `brats-unet train` on a few phantoms gets SIGTERM some steps after its start; seconds until its process ends.

Prints sentences and, as the last line, JSON:
  share               cost of saving as a share of the training time, from 0 to 1; expected below 0.01.
  cost_seconds        extra seconds of a block with a checkpoint.
  copy_seconds        of these, until `save` returns, median.
  write_seconds       from the start of `save` until the file is complete, median.
  step_seconds        one step without a checkpoint, median.
  every_steps         steps between two checkpoints of the preset.
  bytes               size of a checkpoint.
  stop_seconds        seconds from SIGTERM to the end, of each stop.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "bench"), str(ROOT / "scripts" / "bench" / "timing")]

from train_step import BRAIN, settings_of  # noqa: E402


def saving(words: list[str], rounds: int, steps: int, folder: Path) -> dict[str, Any]:
    """Time blocks with and without a checkpoint in turns."""
    from brats_unet.hardware import quiet_tensorflow

    settings = settings_of(words)
    if settings.hardware.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with quiet_tensorflow():
        from brats_unet.models.checkpoint import State
        from brats_unet.run import Run
        from brats_unet.training.budget import Budget
        from brats_unet.training.last_checkpoints import CheckpointWriter
        from brats_unet.trial.timed_step import step_parts

    parts = step_parts(settings, BRAIN)
    parts.warm()
    run = Run(folder)
    blocks: dict[bool, list[float]] = {False: [], True: []}
    copying, writing = [], []
    with CheckpointWriter(run, settings.checkpoint.keep) as writer:
        for index in range(rounds + 1):
            for saves in (False, True) if index % 2 else (True, False):
                begun = time.perf_counter()
                if saves:
                    writer.save("last", parts.model, parts.optimizer.rule, State(parts.done), None)
                copied = time.perf_counter()
                for _ in range(steps):
                    parts.timed_step()
                ended = time.perf_counter()
                if writer.busy:
                    sys.exit("A checkpoint takes longer than a block. Give more --steps.")
                if index:  # the first round warms up
                    blocks[saves].append(ended - begun)
                if index and saves:
                    copying.append(copied - begun)
                    writing.append(writer.seconds)
    step = statistics.median(blocks[False]) / steps
    cost = statistics.median(blocks[True]) - statistics.median(blocks[False])
    every = Budget.of(settings.steps, 1.0, save_steps=settings.checkpoint.every_steps).save_every
    assert every is not None
    return {
        "share": cost / (every * step),
        "cost_seconds": cost,
        "copy_seconds": statistics.median(copying),
        "write_seconds": statistics.median(writing),
        "step_seconds": step,
        "every_steps": every,
        "bytes": run.checkpoint_file("last").stat().st_size,
    }


def stop_seconds(words: list[str], folder: Path, at_step: int = 5) -> float:
    """Seconds from SIGTERM, sent after some steps of a training, to the end of its process."""
    journal = folder / "runs" / "stopped" / "journal.jsonl"
    data = ["data=phantom", "data.cases=4", "data.folds=2"]
    data += [f"data.root={folder / 'phantoms'}", f"data.cache={folder / 'cache'}"]
    command = [sys.executable, "-m", "brats_unet", "train", *words, *data, f"runs={folder / 'runs'}", "name=stopped"]
    process = subprocess.Popen([*command, "overwrite=true"], stdout=subprocess.DEVNULL, cwd=ROOT)
    while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") >= at_step):
        time.sleep(0.05)
    begun = time.perf_counter()
    process.send_signal(signal.SIGTERM)
    if process.wait() != 75:
        sys.exit(f"The training ended with exit code {process.returncode}. Expected 75.")
    ended = time.perf_counter()
    journal.unlink()
    return ended - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default="quick", help="name in conf/experiment")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where the network is trained")
    parser.add_argument("--rounds", type=int, default=10, help="blocks of each kind")
    parser.add_argument("--steps", type=int, default=10, help="steps per block")
    parser.add_argument("--stops", type=int, default=3, help="trainings to stop; 0 leaves them out")
    args = parser.parse_args()
    if os.getloadavg()[0] > 0.3:
        print("Warning: the machine is busy.", file=sys.stderr)
    words = [f"experiment={args.experiment}", f"hardware={args.device}"]
    with tempfile.TemporaryDirectory() as name:
        found = saving(words, args.rounds, args.steps, Path(name) / "run")
        print(
            f"A checkpoint has {found['bytes']:,} bytes, is copied in {found['copy_seconds']:.4f} s and written after"
        )
        print(
            f"{found['write_seconds']:.4f} s. It costs {found['cost_seconds']:.4f} s every {found['every_steps']} steps"
        )
        print(f"of {found['step_seconds']:.4f} s: {found['share']:.3%} of the time.")
        stops = [round(stop_seconds(words, Path(name)), 2) for _ in range(args.stops)]
    print(f"Seconds from SIGTERM to the end: {', '.join(map(str, stops)) or 'not measured'}.")
    print(json.dumps(found | {"stop_seconds": stops}))


if __name__ == "__main__":
    main()
