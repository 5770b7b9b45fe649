"""Measure the time to load and augment a patch (augmentation=nnunet), and compare it with nnU-Net.

    python scripts/bench/loader.py [--threads 1] [--patches 120] [--rounds 4] [--patch 128] [--batch 2] [--cases 4]

The script writes cases of the size of a cropped BraTS brain (144×176×144 voxels, 4 modalities, float16) to a temporary
folder and reads them once, so that they are in the page cache. Then it alternates, on the same cores, between batches
from the loader of brats-unet and patches of the same cases from nnU-Net's own transforms (nnunetv2 and
batchgeneratorsv2 in .venv-peers, built by `make peers`). Both read a patch with the same margin. Compilation and
nnU-Net's convolution benchmarks are not timed.

Prints a table and, as the last line, JSON:
  ratio_host    CPU time per patch, nnU-Net / brats-unet, if a GPU augments and the host only reads.
  ratio_cpu     seconds per patch, nnU-Net / brats-unet, with everything on the same cores.
  ours_seconds, peer_seconds   seconds per patch with augmentation, brats-unet and nnU-Net.
  host_seconds  CPU seconds per patch of brats-unet, without augmentation.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name, value, meaning in (
    ("threads", 1, "number of CPU threads"),
    ("patches", 120, "patches to time"),
    ("rounds", 4, "turns of each contender"),
    ("patch", 128, "edge length of a patch, in voxels"),
    ("batch", 2, "patches per batch"),
    ("cases", 4, "cases to write"),
):
    parser.add_argument(f"--{name}", type=int, default=value, help=f"{meaning} (default {value})")
ARGS = parser.parse_args()
CORES = set(sorted(os.sched_getaffinity(0))[: ARGS.threads])
os.sched_setaffinity(0, CORES)  # before TensorFlow counts the cores; the peer process inherits it
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from brats_unet.hardware import set_tensorflow_environment  # noqa: E402

set_tensorflow_environment()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import yaml  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from brats_unet.data.augment import AUGMENTATIONS  # noqa: E402
from brats_unet.data.augment.augmentation import Augmentation  # noqa: E402
from brats_unet.data.patches.draws import augmented, uniforms  # noqa: E402
from brats_unet.data.patches.pipeline import batches  # noqa: E402
from brats_unet.data.patches.sampling import Sampler  # noqa: E402
from brats_unet.data.prepare.cache import PreparedCase, open_prepared, write  # noqa: E402
from brats_unet.data.prepare.grid import Grid  # noqa: E402
from brats_unet.data.prepare.prepared_labels import foreground_positions  # noqa: E402
from brats_unet.data.prepare.preprocess import Preparation, Prepared  # noqa: E402
from brats_unet.geometry import Box  # noqa: E402
from brats_unet.modality import Modality  # noqa: E402
from brats_unet.parts import build  # noqa: E402
from brats_unet.schemes.scheme_file import builtin  # noqa: E402
from brats_unet.volume import Turn  # noqa: E402

ROOT = Path(__file__).parents[2]
SHAPE = (144, 176, 144)


def written(folder: Path, index: int) -> PreparedCase:
    """Write one prepared case: an ellipsoid of noise with a tumour of three boxes."""
    rng = np.random.default_rng(index)
    labels = np.zeros(SHAPE, np.uint8)
    for label, reach in ((2, 25), (1, 15), (4, 8)):
        labels[72 - reach : 72 + reach, 88 - reach : 88 + reach, 72 - reach : 72 + reach] = label
    radius = sum(((np.arange(n) - n / 2) / (n / 2)).reshape([-1 if i == a else 1 for i in range(3)]) ** 2
                 for a, n in enumerate(SHAPE))  # fmt: skip
    brain = radius < 1
    image = np.where(brain[..., None], rng.standard_normal((*SHAPE, len(Modality)), np.float32), 0).astype(np.float16)
    affine = tuple(tuple(float(v) for v in row) for row in np.diag([-1, -1, 1, 1]))
    grid = Grid(SHAPE, affine, Turn((0, 1, 2), (False, False, False)), Box((0, 0, 0), SHAPE), (1.0, 1.0, 1.0))
    name = f"case_{index}"
    for side in ("ours", "peer"):
        (folder / side).mkdir(exist_ok=True)
    (folder / "peer" / name).mkdir()
    prepared = Prepared(image, brain, labels, foreground_positions(labels, name, builtin()), grid)
    write(prepared, name, Preparation(tuple(Modality)), folder / "ours" / name)
    np.save(folder / "peer" / name / "image.npy", image)
    np.save(folder / "peer" / name / "labels.npy", labels)
    return open_prepared(name, folder / "ours" / name)


class Peer:
    """nnU-Net's transforms, in a process of the peers' environment."""

    def __init__(self, folder: Path, sampler: Sampler) -> None:
        python = ROOT / ".venv-peers" / "bin" / "python"
        if not python.exists():
            sys.exit(f"{python} does not exist. Build the environment of the peers with `make peers`.")
        script = ROOT / "scripts" / "bench" / "peers" / "augment_nnunet.py"
        command = [str(python), str(script), str(ARGS.threads), str(folder / "peer")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.question = {"patch": sampler.patch, "read": sampler.read_shape}

    def patches(self, count: int) -> tuple[float, float]:
        """Seconds and CPU seconds per patch, mean over `count` patches."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(self.question | {"count": count}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"] / count, answer["cpu_seconds"] / count

    def end(self) -> None:
        self.process.communicate()


def timed(take: Callable[[], tf.Tensor], count: int) -> tuple[float, float]:
    """Seconds and CPU seconds per patch, mean over `count` patches; `take` returns a batch of images."""
    begun, cpu_begun = time.perf_counter(), time.process_time()
    for _ in range(count // ARGS.batch):
        float(take()[-1, -1, -1, -1, -1])
    taken = count // ARGS.batch * ARGS.batch
    return (time.perf_counter() - begun) / taken, (time.process_time() - cpu_begun) / taken


def compile_all(augmentation: Augmentation, take: Callable[[], tf.Tensor]) -> None:
    """Take batches until every transform has been applied, and so compiled, at least once."""
    left, step, samples = {transform.name for transform in augmentation.transforms}, 0, tf.range(ARGS.batch)
    while left:
        take()
        numbers = uniforms(0, tf.constant(step, tf.int64), samples, augmentation.uniforms)
        for transform, drawn in zip(augmentation.transforms, augmentation.draw(numbers), strict=True):
            if bool(tf.reduce_any(drawn["drawn"])):
                left.discard(transform.name)
        step += 1


def main() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(ARGS.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [written(folder, index) for index in range(ARGS.cases)]
        for case in cases:
            case.image.sum(dtype=np.float32), case.labels.sum()
        patch = (ARGS.patch,) * 3
        options = yaml.safe_load((ROOT / "conf" / "augmentation" / "nnunet.yaml").read_text(encoding="utf-8"))
        augmentation = build("augmentation", AUGMENTATIONS, options).for_patches(patch, SHAPE)
        sampler = Sampler(cases, patch, ARGS.batch, 1 / 3, None, 0, augmentation.margin)
        augment = tf.function(lambda step, samples, images, labels: augmented(
            augmentation, 0, step, samples, images, labels)[0])  # fmt: skip
        read = iter(batches(sampler, first_step=0, steps=10**6))
        fed = iter(batches(sampler, first_step=0, steps=10**6))
        peer = Peer(folder, sampler)
        peer.patches(40)
        compile_all(augmentation, lambda: augment(*next(fed)))
        timed(lambda: next(read)[2], 20)
        found = {"read": [], "ours": [], "peer": []}
        for _ in range(ARGS.rounds):
            share = ARGS.patches // ARGS.rounds
            found["read"].append(timed(lambda: next(read)[2], share))
            found["ours"].append(timed(lambda: augment(*next(fed)), share))
            found["peer"].append(peer.patches(share))
        peer.end()
        read = fed = iter(())  # stops prefetching
    seconds = {key: tuple(np.mean(value, axis=0)) for key, value in found.items()}
    shape = "×".join(str(n) for n in sampler.read_shape)
    title = f"Time per patch of {ARGS.patch}³×{len(Modality)} (read as {shape}), {len(CORES)} core(s)"
    table = Table(title=title)
    for column in ("", "seconds", "CPU seconds", "patches/s"):
        table.add_column(column, justify="right" if column else "left")
    names = {
        "read": "brats-unet, read only",
        "ours": "brats-unet, read and augment",
        "peer": "nnU-Net, crop and augment",
    }
    for key, (wall, cpu) in seconds.items():
        table.add_row(names[key], f"{wall:.4f}", f"{cpu:.4f}", f"{1 / wall:.1f}")
    Console().print(table)
    facts = {
        "ratio_host": round(seconds["peer"][1] / seconds["read"][1], 1),
        "ratio_cpu": round(seconds["peer"][0] / seconds["ours"][0], 2),
        "ours_seconds": round(seconds["ours"][0], 4),
        "peer_seconds": round(seconds["peer"][0], 4),
        "host_seconds": round(seconds["read"][1], 4),
        "patches": ARGS.patches,
        "threads": ARGS.threads,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
