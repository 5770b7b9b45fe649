"""One training step beside nnU-Net's own in PyTorch: same network, patch, batch, loss and optimizer.

    python scripts/bench/train_step.py [--device cpu] [--patch 64] [--batch 2] [--threads 2] [--rounds 4] [--steps 3]
                                       [--augmentation nnunet] [--jit auto]

The network is nnU-Net's 3d_fullres for the patch (32-64-128-256-320 for 64³, down to 4³), with deep supervision; the
number of weights must agree to the last one. Our step is the one that `train` takes: patches as they lie in the cache,
float16 and wider than the patch where augmentation turns them, the whole of nnU-Net's augmentation, and the masks of
every resolution made within the step. nnU-Net's half (scripts/bench/peers/, in the environment of `make peers`) is
handed finished images and masks. Every contender is a process of its own; they take blocks of steps in turn, so that
what else the machine does falls on all alike. Starting, tracing and the first steps are left out.

Prints a table and, as its last line, JSON:
  ratio_best_to_peer_float32     the faster of our precisions over nnU-Net's default float32; medians over all steps.
  ratio_bfloat16, ratio_float32  ours over nnU-Net's in the same precision.
  ours_seconds, peer_seconds     medians by precision.
  parameters                     of both networks.
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

HERE = Path(__file__).resolve().parents[2]
PRECISIONS = ("float32", "bfloat16")
BRAIN = (144, 176, 144)  # voxels of a cropped BraTS brain, which bound how wide a patch is read


def features_for(patch: int) -> list[int]:
    """Features of each stage as nnU-Net plans them: halved until 4 voxels are left, six stages at most."""
    stages = min(6, max(2, (patch // 4).bit_length()))
    return [min(32 * 2**level, 320) for level in range(stages)]


def ours(told: argparse.Namespace) -> None:
    """Our half: as the peer's, for one precision."""
    if told.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    from brats_unet.hardware import set_tensorflow_environment

    set_tensorflow_environment()
    import numpy as np
    import tensorflow as tf
    import yaml

    from brats_unet import models
    from brats_unet.cli.conf_files import own_folder
    from brats_unet.data.augment.augmentation import AUGMENTATIONS
    from brats_unet.data.patches.draws import augmented
    from brats_unet.losses import region_dice_bce
    from brats_unet.losses.compound import deep_supervision
    from brats_unet.parts import build
    from brats_unet.training.optimizers import sgd
    from brats_unet.training.step import build_step
    from brats_unet.training.strategy import choose_devices

    tf.config.threading.set_intra_op_parallelism_threads(told.threads)
    devices = choose_devices(device=told.device, precision=told.precision, jit=told.jit, replicas=None)
    options = {"name": "unet3d", "features": features_for(told.patch)}
    model = build("model", models.known(), options, channels=4, outputs=3, dtype=devices.policy, seed=0)
    recipe = yaml.safe_load((own_folder() / "augmentation" / f"{told.augmentation}.yaml").read_text())
    augmentation = build("augmentation", AUGMENTATIONS, recipe).for_patches((told.patch,) * 3, BRAIN)
    loss = region_dice_bce(batch_dice=True)
    step = build_step(
        devices=devices,
        model=model,
        loss=lambda logits, labels: deep_supervision(loss, logits, labels),
        optimizer=sgd(),
        augmentation=augmentation,
        seed=0,
        batch=told.batch,
    )
    read = tuple(told.patch + 2 * margin for margin in augmentation.margin)
    rng = np.random.default_rng(0)
    images = tf.constant(rng.standard_normal((told.batch, *read, 4), np.float32).astype(np.float16))
    labels = tf.constant(rng.choice(np.array([0] * 9 + [1, 2, 4], np.uint8), size=(told.batch, *read)))
    samples = tf.range(told.batch, dtype=tf.int64)
    count = 0
    # Each of its parts is compiled when it is first drawn, some only after dozens of steps.
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
    """A process that takes steps when it is asked to."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE)
        self.parameters = self.answer()["parameters"]

    def answer(self) -> Any:
        """The next line it prints."""
        line = _pipe(self.process.stdout).readline()
        if not line:
            sys.exit(f"{' '.join(self.command[:2])} ended early; its message is above.")
        return json.loads(line)

    def seconds(self, precision: str, steps: int) -> list[float]:
        """Of each of so many steps."""
        asked = _pipe(self.process.stdin)
        asked.write(f"{precision} {steps}\n")
        asked.flush()
        return self.answer()

    def close(self) -> None:
        _pipe(self.process.stdin).close()
        self.process.wait()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    options.add_argument("--jit", choices=("auto", "on", "off"), default="auto", help="whether XLA compiles ours")
    options.add_argument("--patch", type=int, default=64)
    options.add_argument("--batch", type=int, default=2)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--rounds", type=int, default=4, help="blocks of each contender")
    options.add_argument("--steps", type=int, default=3, help="steps of a block")
    options.add_argument("--augmentation", default="nnunet", help="of ours; a name in conf/augmentation")
    options.add_argument("--precision", help=argparse.SUPPRESS)
    told = options.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: told.threads])  # inherited
    if told.precision:
        ours(told)
        return
    if told.device == "cpu" and os.getloadavg()[0] > 0.3:
        print("Other work is running: it slows PyTorch, whose threads spin, more than TensorFlow.", file=sys.stderr)
    python = HERE / os.environ.get("PEERS", ".venv-peers") / "bin" / "python"
    if not python.exists():
        sys.exit(f"There is no {python}. Build the peers' environment with `make peers`.")
    numbers = [told.device, *map(str, (told.patch, told.batch, told.threads, *features_for(told.patch)))]
    peer = Contender([str(python), str(HERE / "scripts" / "bench" / "peers" / "train_step.py"), *numbers])
    mine = {p: Contender([sys.executable, __file__, *sys.argv[1:], "--precision", p]) for p in PRECISIONS}
    everyone = [peer, *mine.values()]
    parameters = {contender.parameters for contender in everyone}
    if len(parameters) > 1:
        sys.exit(f"The networks differ: {sorted(parameters)} parameters.")
    found: dict[tuple[str, str], list[float]] = {(who, p): [] for who in ("peer", "ours") for p in PRECISIONS}
    for index in range(told.rounds + 1):
        for precision in PRECISIONS:
            for who, contender in (("peer", peer), ("ours", mine[precision])):
                seconds = contender.seconds(precision, told.steps if index else 2)
                if index:  # the first round warms up
                    found[who, precision] += seconds
    for contender in everyone:
        contender.close()
    show(told, parameters.pop(), found)


def show(told: argparse.Namespace, parameters: int, found: dict[tuple[str, str], list[float]]) -> None:
    """The table and the last line."""
    from rich.console import Console
    from rich.table import Table

    median = {key: statistics.median(seconds) for key, seconds in found.items()}
    base = median["peer", "float32"]
    names = {
        "peer": "nnU-Net, no augmentation",
        "ours": f"brats-unet, {told.augmentation}",
    }
    where = "a GPU" if told.device == "gpu" else f"{told.threads} threads"
    title = f"A step: {parameters:,} weights, {told.patch}³, batch {told.batch}, {where}"
    table = Table(title=title, caption=f"{len(found['peer', 'float32'])} steps each, in turns")
    for heading in ("", "precision", "median s", "least", "most", "to first"):
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
        "patch": told.patch,
        "batch": told.batch,
        "device": told.device,
        "threads": told.threads,
        "augmentation": told.augmentation,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
