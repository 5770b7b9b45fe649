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
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
PRECISIONS = ("float32", "bfloat16")
BRAIN = (144, 176, 144)  # voxels of a cropped BraTS brain; a patch is read at most this large


def features_for(patch: int) -> list[int]:
    """Features of each stage as nnU-Net plans them: the patch is halved down to 4 voxels, with at most six stages."""
    stages = min(6, max(2, (patch // 4).bit_length()))
    return [min(32 * 2**level, 320) for level in range(stages)]


def ours(args: argparse.Namespace) -> None:
    """Answer like scripts/bench/peers/train_step.py, but with the step of brats-unet and for one precision."""
    if args.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from brats_unet.hardware import set_tensorflow_environment

    set_tensorflow_environment()
    import numpy as np
    import tensorflow as tf
    import yaml

    from brats_unet import models
    from brats_unet.cli.conf_files import own_folder
    from brats_unet.data.augment import AUGMENTATIONS
    from brats_unet.data.patches.draws import augmented
    from brats_unet.losses import region_dice_bce
    from brats_unet.losses.compound import deep_supervision
    from brats_unet.parts import build
    from brats_unet.training.optimizers import sgd
    from brats_unet.training.step import build_step
    from brats_unet.training.strategy import choose_devices

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    devices = choose_devices(device=args.device, precision=args.precision, jit=args.jit, replicas=None)
    options = {"name": "unet3d", "features": features_for(args.patch)}
    model = build("model", models.known(), options, channels=4, outputs=3, dtype=devices.policy, seed=0)
    recipe = yaml.safe_load((own_folder() / "augmentation" / f"{args.augmentation}.yaml").read_text())
    augmentation = build("augmentation", AUGMENTATIONS, recipe).for_patches((args.patch,) * 3, BRAIN)
    loss = region_dice_bce(batch_dice=True)
    step = build_step(
        devices=devices,
        model=model,
        loss=lambda logits, labels: deep_supervision(loss, logits, labels),
        optimizer=sgd(),
        augmentation=augmentation,
        seed=0,
        batch=args.batch,
    )
    read = tuple(args.patch + 2 * margin for margin in augmentation.margin)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.standard_normal((args.batch, *read, 4), np.float32).astype(np.float16))
    labels = tf.constant(rng.choice(np.array([0] * 9 + [1, 2, 4], np.uint8), size=(args.batch, *read)))
    samples = tf.range(args.batch, dtype=tf.int64)
    count = 0
    # A transform is compiled when it is first drawn, which can take dozens of steps: draw all of them before timing.
    alone = tf.function(lambda index: augmented(augmentation, 1, index, samples, images, labels))
    for index in range(60 if augmentation.uniforms else 0):
        alone(tf.constant(index, tf.int64))
    print(json.dumps({"parameters": int(model.count_params())}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line.split()[1])):
            begun = time.perf_counter()
            value, _ = step(tf.constant(count, tf.int64), samples, images, labels)
            float(value)
            count += 1
            seconds.append(time.perf_counter() - begun)
        print(json.dumps(seconds), flush=True)


class Contender:
    """A process that takes training steps on request."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.parameters = self.answer()["parameters"]

    def answer(self) -> Any:
        """The next line that it prints, parsed as JSON."""
        line = _pipe(self.process.stdout).readline()
        if not line:
            sys.exit(f"{' '.join(self.command[:2])} stopped early; see its message above.")
        return json.loads(line)

    def seconds(self, precision: str, steps: int) -> list[float]:
        """Take a number of steps; seconds of each."""
        request = _pipe(self.process.stdin)
        request.write(f"{precision} {steps}\n")
        request.flush()
        return self.answer()

    def close(self) -> None:
        _pipe(self.process.stdin).close()
        self.process.wait()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


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
    parser.add_argument("--precision", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])  # inherited
    if args.precision:
        ours(args)
        return
    if args.device == "cpu" and os.getloadavg()[0] > 0.3:
        print(
            "Warning: the machine is busy. Other load slows PyTorch, whose threads spin, more than TensorFlow.",
            file=sys.stderr,
        )
    python = ROOT / os.environ.get("PEERS", ".venv-peers") / "bin" / "python"
    if not python.exists():
        sys.exit(f"{python} does not exist. Build the environment of the peers with `make peers`.")
    numbers = [args.device, *map(str, (args.patch, args.batch, args.threads, *features_for(args.patch)))]
    peer = Contender([str(python), str(ROOT / "scripts" / "bench" / "peers" / "train_step.py"), *numbers])
    mine = {p: Contender([sys.executable, __file__, *sys.argv[1:], "--precision", p]) for p in PRECISIONS}
    everyone = [peer, *mine.values()]
    parameters = {contender.parameters for contender in everyone}
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
    show(args, parameters.pop(), found)


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
