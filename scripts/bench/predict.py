"""Measure the time to predict a case, reading and writing included, and compare it with nnU-Net's predictor.

    python scripts/bench/predict.py [--case FOLDER] [--device cpu] [--threads 2] [--precision auto] [--peer-json FILE]

Both run nnU-Net's plain 3D network (32-64-128-256-320-320, random weights) on one case of four scans, 240×240×155
voxels: --case, the first case of $BRATS_UNET_REAL/BraTS2021 or ../shared/real/BraTS2021, or else a new phantom.
brats-unet predicts the cropped brain in three ways: in one pass, in one pass with mirroring (8 passes), and in tiles of
128³ that overlap by half, as is its default. Its precision is that of training. nnU-Net's predictor (nnunetv2 in
.venv-peers, built by `make peers`) uses the same tiles.

Mirroring in tiles takes a quarter of an hour on a CPU. It is not run, but computed as 8 times the time of the tiles,
and marked so. With --device gpu both compute on the first GPU, nnU-Net in float16, its default there. Each predicts the
case twice and the second time counts, since the first one chooses the kernels; brats-unet then also runs mirroring in
tiles.

Every measurement is a process of its own. Starting it, imports and building the network are not timed; tracing the
graph is. Peak memory is that of the process of brats-unet, imports included.

Prints a table and, as the last line, JSON:
  ratio_plain, ratio_mirrored   brats-unet in one pass / nnU-Net, without and with mirroring.
  ratio_tiles                   brats-unet in tiles / nnU-Net, without mirroring.
  peak_gib                      peak memory of brats-unet, the largest of all ways.
  ours_seconds, peer_seconds    seconds without mirroring; brats-unet in one pass.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FEATURES = [32, 64, 128, 256, 320, 320]


def ours(case: Path, output: Path, mode: str, mirror: str, precision: str, device: str) -> dict[str, Any]:
    """Predict one case in this process; its seconds and peak memory."""
    if device == "cpu":
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    from brats_unet.hardware import set_tensorflow_environment

    set_tensorflow_environment()
    from brats_unet import models
    from brats_unet.anatomy import Modality
    from brats_unet.data.labels.convention import CONVENTIONS
    from brats_unet.data.prepare.preprocess import Preparation
    from brats_unet.data.readers.discovery import find_cases
    from brats_unet.inference.keras_network import network_of
    from brats_unet.inference.network import recipe
    from brats_unet.inference.postprocess import Postprocessing
    from brats_unet.inference.predicting import predict_cases
    from brats_unet.parts import build
    from brats_unet.training.strategy import choose_devices

    devices = choose_devices(device=device, precision=precision, jit="auto", replicas=None)
    settings = {"name": "unet3d", "features": FEATURES, "convolutions": 2, "strides": None, "deep_supervision": True}
    model = build("model", models.known(), settings, channels=4, outputs=3, dtype=devices.policy, seed=0)
    plan = models.describe("unet3d", {key: value for key, value in settings.items() if key != "name"})
    network_recipe = recipe(
        model=settings,
        outputs="regions",
        logits=3,
        stride=plan.stride,
        preparation=Preparation(tuple(Modality)),
        inference={"mode": mode, "tile": [128] * 3, "overlap": 0.5, "tile_batch": 1, "mirror": mirror},
        convention="brats2017",
        precision=devices.precision,
    )
    messages: list[str] = []
    network = network_of(model, network_recipe, messages.append)
    for place in [output] if device == "cpu" else [output / "before", output / "counted"]:
        begin = time.perf_counter()
        predict_cases(
            [network],
            find_cases(case, modalities=list(Modality)).cases,
            place,
            CONVENTIONS["brats2017"],
            rules=Postprocessing(),
            origin={},
            log=messages.append,
            progress=lambda done, total: None,
        )
        seconds = time.perf_counter() - begin
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {
        "seconds": seconds,
        "peak_gib": peak_gib,
        "precision": devices.precision,
        "weights": int(model.count_params()),
        "messages": messages,
    }


def phantom_case(folder: Path) -> Path:
    """Write a full-size phantom."""
    from brats_unet.data.phantom.phantoms import write_dataset

    write_dataset(folder, cases=1, seed=0)
    return next(path for path in sorted(folder.iterdir()) if path.is_dir())


def default_case(folder: Path) -> Path:
    """The first real case, or else a phantom."""
    real = Path(os.environ.get("BRATS_UNET_REAL") or ROOT.parent / "shared" / "real") / "BraTS2021"
    return sorted(real.iterdir())[0] if real.is_dir() else phantom_case(folder / "phantom")


def result_of(command: list[str]) -> dict[str, Any]:
    """The JSON on the last line that a command prints; exits with its error message if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])} … failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, help="folder of one case")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where both predictors run")
    parser.add_argument("--threads", type=int, default=2, help="number of CPU threads")
    parser.add_argument("--precision", default="auto", help="hardware.precision of brats-unet")
    parser.add_argument("--peer-json", type=Path, help="JSON of an earlier run of nnU-Net, instead of running it again")
    parser.add_argument("--child", nargs=4, metavar=("CASE", "OUTPUT", "MODE", "MIRROR"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: args.threads]
    os.sched_setaffinity(0, cores)  # inherited
    if args.child:
        case, output, mode, mirror = args.child
        print(json.dumps(ours(Path(case), Path(output), mode, mirror, args.precision, args.device)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        case = args.case or default_case(folder)
        common = ["--threads", str(args.threads), "--precision", args.precision, "--device", args.device]
        child = [sys.executable, __file__, *common, "--child"]
        ways = {"plain": ("whole", "none"), "mirrored": ("whole", "all"), "tiles": ("tiles", "none")}
        if args.device == "gpu":
            ways["tiles mirrored"] = ("tiles", "all")
        mine = {name: result_of([*child, str(case), str(folder / name), *way]) for name, way in ways.items()}
        if args.peer_json:
            peer = json.loads(args.peer_json.read_text())
        else:
            python = ROOT / ".venv-peers" / "bin" / "python"
            if not python.exists():
                sys.exit(f"{python} does not exist. Build the environment of the peers with `make peers`.")
            script = ROOT / "scripts" / "bench" / "peers" / "predict.py"
            peer = result_of(
                [str(python), str(script), str(case), str(folder / "peer"), str(args.threads), args.device]
            )
    show(case, "a GPU" if args.device == "gpu" else f"{args.threads} threads", mine, peer)


def show(case: Path, where: str, mine: dict[str, dict[str, Any]], peer: dict[str, Any]) -> None:
    """Print the table and the JSON line."""
    from rich.console import Console
    from rich.table import Table

    plain, mirrored, tiles = (mine[name]["seconds"] for name in ("plain", "mirrored", "tiles"))
    peak_gib = max(way["peak_gib"] for way in mine.values())
    weights, precision = mine["plain"]["weights"], mine["plain"]["precision"]
    table = Table(title=f"One case of 240×240×155 ({case.name}), {where}, {weights:,} weights")
    for heading in ("", "seconds", "with mirroring", "peak GiB"):
        table.add_column(heading, justify="left" if not heading else "right")
    in_one = max(mine[name]["peak_gib"] for name in ("plain", "mirrored"))
    table.add_row(f"brats-unet, {precision}, in one pass", f"{plain:.1f}", f"{mirrored:.1f}", f"{in_one:.2f}")
    in_full = mine.get("tiles mirrored")
    tiles_mirrored = f"{in_full['seconds']:.1f}" if in_full else f"{8 * tiles:.0f} (8 ×)"
    tiles_gib = f"{mine['tiles']['peak_gib']:.2f}"
    table.add_row(f"brats-unet, {precision}, in tiles", f"{tiles:.1f}", tiles_mirrored, tiles_gib)
    table.add_row(
        f"nnU-Net, {peer['precision']}, {peer['tiles']} tiles of {peer['tile_seconds']:.3g} s",
        f"{peer['seconds']:.1f}",
        f"{peer['mirrored_seconds']:.0f} (8 × tiles)",
        f"{peer['peak_gib']:.2f}",
    )
    ratio_plain, ratio_mirrored = plain / peer["seconds"], mirrored / peer["mirrored_seconds"]
    table.add_row("one pass / nnU-Net", f"{ratio_plain:.3f}", f"{ratio_mirrored:.3f}", "")
    table.add_row("tiles / nnU-Net", f"{tiles / peer['seconds']:.3f}", "", "")
    Console().print(table)
    result = {
        "ratio_plain": round(ratio_plain, 4),
        "ratio_mirrored": round(ratio_mirrored, 4),
        "ratio_tiles": round(tiles / peer["seconds"], 4),
        "peak_gib": round(peak_gib, 3),
        "ours_seconds": round(plain, 2),
        "peer_seconds": round(peer["seconds"], 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
