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
  peer                          what --peer-json needs.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts" / "bench"), str(ROOT / "scripts" / "bench" / "timing")]

from contender import Contender, ProgramError, serve  # noqa: E402
from train_step import peers_python  # noqa: E402

FEATURES = [32, 64, 128, 256, 320, 320]
TILE = [128, 128, 128]


def ours(options: dict[str, Any]) -> None:
    """Serve the prediction of one case; the options are those of `child`."""
    if options["device"] == "cpu":
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    from brats_unet.hardware import set_tensorflow_environment

    set_tensorflow_environment()
    import tensorflow as tf

    from brats_unet import models
    from brats_unet.data.prepare.preprocess import Preparation
    from brats_unet.data.readers.discovery import find_cases
    from brats_unet.inference.keras_network import network_of
    from brats_unet.inference.network import recipe
    from brats_unet.inference.postprocess import Postprocessing
    from brats_unet.inference.predicting import predict_cases
    from brats_unet.modality import Modality
    from brats_unet.parts import build
    from brats_unet.schemes.convention import conventions
    from brats_unet.schemes.scheme_file import builtin
    from brats_unet.training.strategy import choose_devices
    from brats_unet.training.tf_experimental import peak_memory_bytes

    devices = choose_devices(device=options["device"], precision=options["precision"], jit="auto", replicas=None)
    settings = {
        "name": "unet3d",
        "features": options["features"],
        "convolutions": 2,
        "strides": None,
        "deep_supervision": True,
    }
    model = build("model", models.known(), settings, channels=4, outputs=3, dtype=devices.policy, seed=0)
    plan = models.describe("unet3d", {key: value for key, value in settings.items() if key != "name"})
    network_recipe = recipe(
        model=settings,
        outputs="regions",
        logits=3,
        stride=plan.stride,
        preparation=Preparation(tuple(Modality), spacing_mm=(options["spacing_mm"],) * 3),
        inference={
            "mode": options["mode"],
            "tile": options["tile"],
            "overlap": 0.5,
            "tile_batch": 1,
            "mirror": options["mirror"],
        },
        scheme=builtin(),
        convention="brats2017",
        precision=devices.precision,
    )
    messages: list[str] = []
    network = network_of(model, network_recipe, messages.append)
    cases = find_cases(Path(options["case"]), modalities=list(Modality)).cases
    with tempfile.TemporaryDirectory() as folder:

        def seconds(precision: str) -> float:
            begin = time.perf_counter()
            predict_cases(
                [network],
                cases,
                Path(folder) / str(begin),  # a case that is predicted already would be skipped
                conventions(builtin())["brats2017"],
                rules=Postprocessing(),
                origin={},
                log=messages.append,
                progress=lambda done, total: None,
            )
            return time.perf_counter() - begin

        def farewell() -> dict[str, Any]:
            gpus = tf.config.list_logical_devices("GPU")
            return {"device_peak_bytes": max(map(peak_memory_bytes, gpus), default=0), "messages": messages}

        serve({"parameters": int(model.count_params()), "precision": devices.precision}, seconds, farewell)


def child(options: dict[str, Any], threads: int) -> list[str]:
    """Command of the process that serves our prediction.

    Args:
        options: case, device, precision, mode, mirror, features, tile and spacing_mm.
        threads: Number of CPU threads.
    """
    return [sys.executable, str(Path(__file__).resolve()), "--threads", str(threads), "--child", json.dumps(options)]


def peer_command(options: dict[str, Any]) -> list[str]:
    """Command of the process that serves the prediction of nnU-Net; the options are those of `child`, and threads."""
    return [str(peers_python()), str(ROOT / "scripts" / "bench" / "peers" / "predict.py"), json.dumps(options)]


def phantom_case(folder: Path, scale: float = 1.0) -> Path:
    """Write a phantom with `scale` voxels per millimetre; 1 is full size."""
    from brats_unet.data.phantom.phantoms import write_dataset
    from brats_unet.schemes.scheme_file import builtin

    write_dataset(folder, cases=1, seed=0, scheme=builtin(), scale=scale)
    return next(path for path in sorted(folder.iterdir()) if path.is_dir())


def default_case(folder: Path) -> Path:
    """The first real case, or else a phantom."""
    real = Path(os.environ.get("BRATS_UNET_REAL") or ROOT.parent / "shared" / "real") / "BraTS2021"
    return sorted(real.iterdir())[0] if real.is_dir() else phantom_case(folder / "phantom")


def measured(command: Sequence[str], precision: str, warm: int) -> dict[str, Any]:
    """Predict once, after `warm` times that do not count: seconds, peak GiB of the process, facts and farewell."""
    contender = Contender(command)
    if warm:
        contender.seconds(precision, warm)
    (seconds,) = contender.seconds(precision, 1)
    farewell = contender.close()
    return {
        **contender.facts,
        **farewell,
        "seconds": seconds,
        "peak_gib": farewell["process_peak_bytes"] / 2**30,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=Path, help="folder of one case")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where both predictors run")
    parser.add_argument("--threads", type=int, default=2, help="number of CPU threads")
    parser.add_argument("--precision", default="auto", help="hardware.precision of brats-unet")
    parser.add_argument("--peer-json", type=Path, help="JSON line of an earlier run: its nnU-Net is not run again")
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[: args.threads]
    os.sched_setaffinity(0, cores)  # inherited
    if args.child:
        ours(args.child)
        return
    warm = int(args.device == "gpu")
    with tempfile.TemporaryDirectory() as name:
        case = args.case or default_case(Path(name))
        network = {"case": str(case.resolve()), "device": args.device, "features": FEATURES, "tile": TILE}
        network["spacing_mm"] = 1.0
        ways = {"plain": ("whole", "none"), "mirrored": ("whole", "all"), "tiles": ("tiles", "none")}
        if args.device == "gpu":
            ways["tiles mirrored"] = ("tiles", "all")
        try:
            mine = {}
            for way, (mode, mirror) in ways.items():
                options = {**network, "precision": args.precision, "mode": mode, "mirror": mirror}
                mine[way] = measured(child(options, args.threads), args.precision, warm)
            if args.peer_json:
                peer = json.loads(args.peer_json.read_text().strip().splitlines()[-1])["peer"]
            else:
                options = {**network, "threads": args.threads, "mirror": "none"}
                peer = measured(peer_command(options), "auto", warm)
        except ProgramError as stop:
            sys.exit(str(stop))
    show(case, "a GPU" if args.device == "gpu" else f"{args.threads} threads", mine, peer)


def show(case: Path, where: str, mine: dict[str, dict[str, Any]], peer: dict[str, Any]) -> None:
    """Print the table and the JSON line."""
    from rich.console import Console
    from rich.table import Table

    plain, mirrored, tiles = (mine[name]["seconds"] for name in ("plain", "mirrored", "tiles"))
    peer_mirrored = peer["seconds"] + 7 * peer["tiles"] * peer["tile_seconds"]
    peak_gib = max(way["peak_gib"] for way in mine.values())
    weights, precision = mine["plain"]["parameters"], mine["plain"]["precision"]
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
        f"{peer_mirrored:.0f} (8 × tiles)",
        f"{peer['peak_gib']:.2f}",
    )
    ratio_plain, ratio_mirrored = plain / peer["seconds"], mirrored / peer_mirrored
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
        "peer": peer,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
