"""Compare an exported ONNX network with its Keras network in float32: difference and speed on one full-size case.

    python scripts/bench/export.py [--run RUN] [--case FOLDER] [--mode tiles] [--threads 2] [--steps 60]

Without --run, `experiment=quick` is first trained on phantoms for a few steps (float32, 2 mm), enough for masks that
are not noise. The case is a new phantom of 240×240×155 voxels, unless --case names the folder of a real one. Both
networks predict it with the same code, in --mode or the mode of the run, and are compared on the grid of the case. The
seconds are those of the network alone on the prepared image: the second of two passes (the first traces the graph),
each network in its own process.

Prints a table and, as the last line, JSON:
  disagreement        share of brain voxels with a different label.
  largest_difference  largest difference in probability, over all regions and voxels.
  keras_seconds, onnx_seconds, ratio   seconds per prediction, and ONNX seconds / Keras seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def predicted(run: Path, case: Path, output: Path, mode: str) -> dict[str, Any]:
    """Predict with one network in this process; write labels, probabilities and brain mask to `output`."""
    import numpy as np

    from brats_unet.assembly.networks import with_inference_options
    from brats_unet.data.readers.incomplete import cases_to_predict
    from brats_unet.inference.ensemble import predict_ensemble
    from brats_unet.inference.loading import open_network
    from brats_unet.inference.postprocess import Postprocessing
    from brats_unet.inference.predicting import outcome_of, prepared_for

    network = open_network(run, which="last", policies={}, device="cpu", log=print)  # no policies: float32
    (network,) = with_inference_options([network], mode=mode, mirror="auto")
    (scan,) = cases_to_predict(case, network.preparation.modalities, fill_missing=network.fills_missing).cases
    prepared = prepared_for([network], scan)
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        answer = predict_ensemble([network], prepared)
        seconds.append(time.perf_counter() - begin)
    outcome = outcome_of(answer, (), Postprocessing(), network.scheme)
    seen = next(iter(prepared.values()))
    brain = seen.grid.to_case(seen.brain.astype(np.float32)) >= 0.5
    np.savez(output, labels=outcome.labels, probabilities=outcome.probabilities, brain=brain)
    return {"seconds": seconds[1], "shape": list(seen.image.shape[:3]), "case": list(outcome.labels.shape)}


def output_of(command: list[str]) -> str:
    """Standard output of a command; exits with its error message if it fails."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} … failed:\n{done.stderr[-3000:]}")
    return done.stdout


def trained(folder: Path, steps: int) -> Path:
    """Train a run on phantoms, in float32."""
    paths = [
        "experiment=quick",
        "data=phantom",
        f"runs={folder / 'runs'}",
        f"data.root={folder / 'phantoms'}",
        f"data.cache={folder / 'cache'}",
    ]
    sizes = ["data.cases=5", f"steps={steps}", "validation.cases=1", "hardware.precision=float32", "name=small"]
    output_of([sys.executable, "-m", "brats_unet", "train", *paths, *sizes])
    return folder / "runs" / "small"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="folder of a trained run")
    parser.add_argument("--case", type=Path, help="folder of one case")
    parser.add_argument("--mode", default="auto", help="tiles, whole, or auto: the mode of the run")
    parser.add_argument("--threads", type=int, default=2, help="number of CPU threads")
    parser.add_argument("--steps", type=int, default=60, help="training steps if no run is given")
    parser.add_argument("--child", nargs=3, metavar=("RUN", "CASE", "OUTPUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])  # inherited
    if args.child:
        print(json.dumps(predicted(*map(Path, args.child), args.mode)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = args.run.resolve() if args.run else trained(folder, args.steps)
        case = args.case.resolve() if args.case else phantom_case(folder / "case")
        exported = folder / "exported"
        output_of([sys.executable, "-m", "brats_unet", "export", f"run={run}", f"output={exported}"])
        found = {}
        for kind, path in (("keras", run), ("onnx", exported)):
            child = [sys.executable, __file__, "--threads", str(args.threads), "--mode", args.mode, "--child"]
            printed = output_of([*child, str(path), str(case), str(folder / f"{kind}.npz")])
            found[kind] = json.loads(printed.strip().splitlines()[-1])
        show(run, case, args.threads, found, folder)


def phantom_case(folder: Path) -> Path:
    """Write a full-size phantom that is not among the training phantoms."""
    from brats_unet.data.phantom.phantoms import write_dataset
    from brats_unet.schemes.scheme_file import builtin

    write_dataset(folder, cases=1, seed=99, scheme=builtin())
    return next(path for path in sorted(folder.iterdir()) if path.is_dir())


def show(run: Path, case: Path, threads: int, found: dict[str, Any], folder: Path) -> None:
    """Print the table and the JSON line."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    with (
        np.load(folder / "keras.npz", allow_pickle=False) as keras,
        np.load(folder / "onnx.npz", allow_pickle=False) as onnx,
    ):
        brain = keras["brain"]
        differ = int((keras["labels"] != onnx["labels"]).sum())
        largest = float(np.abs(keras["probabilities"] - onnx["probabilities"]).max())
        tumour = int((keras["labels"] > 0).sum())
    seconds = {kind: found[kind]["seconds"] for kind in ("keras", "onnx")}
    title = f"{run.name} on {case.name}: {'×'.join(map(str, found['keras']['case']))}, float32, {threads} threads"
    table = Table(title=title)
    for heading, justify in (("", "left"), ("seconds", "right")):
        table.add_column(heading, justify=justify)
    table.add_row("Keras on TensorFlow", f"{seconds['keras']:.2f}")
    table.add_row("ONNX on onnxruntime", f"{seconds['onnx']:.2f}")
    console = Console()
    console.print(table)
    console.print(
        f"{differ} of {int(brain.sum()):,} brain voxels have a different label ({tumour:,} are tumour). The largest "
        f"difference in probability is {largest:.2g}. Network input: {'×'.join(map(str, found['keras']['shape']))}."
    )
    result = {
        "disagreement": differ / int(brain.sum()),
        "largest_difference": largest,
        "keras_seconds": round(seconds["keras"], 3),
        "onnx_seconds": round(seconds["onnx"], 3),
        "ratio": round(seconds["onnx"] / seconds["keras"], 3),
        "labels_differ": differ,
        "brain_voxels": int(brain.sum()),
        "tumour_voxels": tumour,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
