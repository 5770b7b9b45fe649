"""Time one training step, and compare it with nnU-Net's in PyTorch: same network, patch, batch, loss and optimizer.

    python scripts/bench/train_step.py [--device cpu] [--patch 64] [--batch 2] [--threads 2] [--rounds 4] [--steps 3]
                                       [--augmentation nnunet] [--jit auto]

The network is nnU-Net's 3d_fullres for the patch (32-64-128-256-320 for 64³, down to 4³), with deep supervision; both
must have exactly the same number of weights. The step of brats-unet is the one that `train` takes: it gets float16
patches as in the cache, with the margin that rotation needs, applies the whole augmentation, and makes the masks of
every resolution. nnU-Net's step (scripts/bench/peers/, in the environment of `make peers`) gets finished images and
masks. Every contender runs in its own process. They take blocks of steps in turn, so that other load on the machine
affects all of them. Start-up, tracing and the first steps are not timed.

Prints a table and, as the last line, JSON:
  ratio_best_to_peer_float32     brats-unet in its faster precision / nnU-Net in float32, its default; medians.
  ratio_bfloat16, ratio_float32  brats-unet / nnU-Net in the same precision.
  ours_seconds, peer_seconds     median seconds by precision, brats-unet and nnU-Net.
  parameters                     number of weights of each network.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench" / "timing"))

from contender import Contender, ProgramError, serve  # noqa: E402

if TYPE_CHECKING:
    from brats_unet.settings import Train

PRECISIONS = ("float32", "bfloat16")
BRAIN = (144, 176, 144)  # voxels of a cropped BraTS brain; a patch is read at most this large


def features_for(patch: int) -> list[int]:
    """Features of each stage as nnU-Net plans them: the patch is halved down to 4 voxels, with at most six stages."""
    stages = min(6, max(2, (patch // 4).bit_length()))
    return [min(32 * 2**level, 320) for level in range(stages)]


def settings_of(words: Sequence[str]) -> "Train":
    """Settings of `brats-unet train` with these words on its command line."""
    from brats_unet.binding import bind
    from brats_unet.cli import arguments, checks, hydra
    from brats_unet.settings import Train

    request = arguments.split(["train", *words])
    return bind(Train, hydra.settings_of(request, checks.checked(request)))


def peer_options(settings: "Train", device: str, threads: int) -> dict[str, Any] | None:
    """Options of scripts/bench/peers/train_step.py for the same step; None if nnU-Net has no such network."""
    from brats_unet.assembly.topology import complete_options

    options = complete_options(settings.model)
    network = settings.model["name"]
    if network not in ("unet3d", "resenc_unet") or options["foreground_channel"]:
        return None
    stages = len(options["features"])

    def each(value: int | list[int], count: int) -> list[int]:
        return [value] * count if isinstance(value, int) else list(value)

    decoder = options["decoder_convolutions"]
    return {
        "device": device,
        "threads": threads,
        "patch": list(settings.sampling.patch),
        "batch": settings.sampling.batch,
        "network": network,
        "features": list(options["features"]),
        "encoder": each(options["convolutions" if network == "unet3d" else "blocks"], stages),
        "decoder": each(options["convolutions"] if decoder is None else decoder, stages - 1)[::-1],  # coarsest first
        "norm": options["norm"],
        "batch_dice": settings.loss["batch_dice"],
    }


def ours(words: Sequence[str], threads: int, count_work: bool) -> None:
    """Serve the training step of brats-unet that these words on the command line of `train` describe."""
    from brats_unet.hardware import quiet_tensorflow

    settings = settings_of(words)
    if settings.hardware.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with quiet_tensorflow():
        import tensorflow as tf

        from brats_unet.data.patches.draws import augmented
        from brats_unet.trial.timed_step import step_parts

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    parts = step_parts(settings, BRAIN)
    facts = {"parameters": int(parts.model.count_params()), "precision": parts.devices.precision}
    if count_work:
        from work import step_work

        shape = (settings.sampling.batch, *settings.sampling.patch, len(settings.data.modalities))
        facts |= vars(step_work(parts.model, shape))
    # A transform is compiled when it is first drawn, which can take dozens of steps: draw all of them before timing.
    _, samples, images, labels = parts.shares[0]
    alone = tf.function(lambda index: augmented(parts.augmentation, settings.seed, index, samples, images, labels))
    for index in range(60 if parts.augmentation.uniforms else 0):
        alone(tf.constant(index, tf.int64))
    serve(
        facts,
        lambda precision: parts.timed_step(),
        lambda: {"device_peak_bytes": parts.device_peak_bytes()},
    )


def child(words: Sequence[str], threads: int, *more: str) -> list[str]:
    """Command of the process that serves our training step."""
    return [sys.executable, str(Path(__file__).resolve()), "--threads", str(threads), *more, "--child", *words]


def peer_command(options: dict[str, Any]) -> list[str]:
    """Command of the process that serves nnU-Net's training step."""
    return [str(peers_python()), str(ROOT / "scripts" / "bench" / "peers" / "train_step.py"), json.dumps(options)]


def peers_python() -> Path:
    """Python of the environment of the peers: .venv-peers, or the folder in $PEERS; exits if there is none."""
    python = ROOT / os.environ.get("PEERS", ".venv-peers") / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} does not exist. Build the environment of the peers with `make peers`.")
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where both networks run")
    parser.add_argument("--jit", choices=("auto", "on", "off"), default="auto", help="compile brats-unet with XLA")
    parser.add_argument("--patch", type=int, default=64, help="edge length of a patch, in voxels")
    parser.add_argument("--batch", type=int, default=2, help="patches per step")
    parser.add_argument("--threads", type=int, default=2, help="number of CPU threads")
    parser.add_argument("--rounds", type=int, default=4, help="blocks of steps per contender")
    parser.add_argument("--steps", type=int, default=3, help="steps per block")
    parser.add_argument(
        "--augmentation", default="nnunet", help="augmentation of brats-unet: a name in conf/augmentation"
    )
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])  # inherited
    if args.child:
        ours(args.child, args.threads, args.work)
        return
    if args.device == "cpu" and os.getloadavg()[0] > 0.3:
        print(
            "Warning: the machine is busy. Other load slows PyTorch, whose threads spin, more than TensorFlow.",
            file=sys.stderr,
        )
    words = [
        "experiment=nnunet",
        "loss.batch_dice=true",
        f"augmentation={args.augmentation}",
        f"model.features={features_for(args.patch)}",
        f"sampling.patch={[args.patch] * 3}",
        f"sampling.batch={args.batch}",
        f"hardware={args.device}",
        f"hardware.jit={args.jit}",
    ]
    options = peer_options(settings_of(words), args.device, args.threads)
    assert options is not None
    try:
        peer = Contender(peer_command(options))
        mine = {p: Contender(child([*words, f"hardware.precision={p}"], args.threads)) for p in PRECISIONS}
        show(args, *timed(args, peer, mine))
    except ProgramError as stop:
        sys.exit(str(stop))


def timed(
    args: argparse.Namespace, peer: Contender, mine: dict[str, Contender]
) -> tuple[int, dict[tuple[str, str], list[float]]]:
    """Time the contenders in turns: the number of weights, and the seconds of each step by contender and precision."""
    everyone = [peer, *mine.values()]
    parameters = {contender.facts["parameters"] for contender in everyone}
    if len(parameters) > 1:
        sys.exit(f"The networks have {sorted(parameters)} weights. Expected the same number.")
    found: dict[tuple[str, str], list[float]] = {(who, p): [] for who in ("peer", "ours") for p in PRECISIONS}
    for index in range(args.rounds + 1):
        for precision in PRECISIONS:
            for who, contender in (("peer", peer), ("ours", mine[precision])):
                seconds = contender.seconds(precision, args.steps if index else 2)
                if index:  # the first round warms up
                    found[who, precision] += seconds
    for contender in everyone:
        contender.close()
    return parameters.pop(), found


def show(args: argparse.Namespace, parameters: int, found: dict[tuple[str, str], list[float]]) -> None:
    """Print the table and the JSON line."""
    from rich.console import Console
    from rich.table import Table

    median = {key: statistics.median(seconds) for key, seconds in found.items()}
    base = median["peer", "float32"]
    names = {
        "peer": "nnU-Net, no augmentation",
        "ours": f"brats-unet, {args.augmentation}",
    }
    where = "a GPU" if args.device == "gpu" else f"{args.threads} threads"
    title = f"One training step: {parameters:,} weights, {args.patch}³, batch {args.batch}, {where}"
    table = Table(title=title, caption=f"{len(found['peer', 'float32'])} steps each, in turns")
    for heading in ("", "precision", "median s", "min s", "max s", "/ first row"):
        table.add_column(heading, justify="left" if heading in ("", "precision") else "right")
    for (who, precision), seconds in found.items():
        middle = median[who, precision]
        cells = [f"{value:.3g}" for value in (middle, min(seconds), max(seconds))]
        table.add_row(names[who], precision, *cells, f"{middle / base:.3f}")
    Console().print(table)
    result = {
        "ratio_best_to_peer_float32": round(min(median["ours", p] for p in PRECISIONS) / base, 4),
        "ratio_bfloat16": round(median["ours", "bfloat16"] / median["peer", "bfloat16"], 4),
        "ratio_float32": round(median["ours", "float32"] / base, 4),
        "ours_seconds": {p: round(median["ours", p], 4) for p in PRECISIONS},
        "peer_seconds": {p: round(median["peer", p], 4) for p in PRECISIONS},
        "parameters": parameters,
        "patch": args.patch,
        "batch": args.batch,
        "device": args.device,
        "threads": args.threads,
        "augmentation": args.augmentation,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
