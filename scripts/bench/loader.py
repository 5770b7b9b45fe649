"""What a patch costs before the network sees it, beside nnU-Net: read, and augmented as augmentation=nnunet does.

    python scripts/bench/loader.py [--threads 1] [--patches 120] [--rounds 4] [--patch 128] [--batch 2] [--cases 4]

It writes cases of the size of a cropped BraTS brain (144×176×144, 4 modalities, float16) into a temporary folder, reads
them once so that they lie in the page cache, and takes batches as training does, on as many cores as threads; and by
turns, on the same cores, patches of the same cases with nnU-Net's own transforms (nnunetv2 and batchgeneratorsv2 in
.venv-peers, built by `make peers`). Both read a patch with the same margin. Compilation, and nnU-Net's trials of
convolutions, are left out.

Prints a table and, as its last line, JSON:
  ratio_host    CPU time of nnU-Net's patch over that of ours when a GPU augments it: all that the host does is read.
  ratio_cpu     seconds of nnU-Net's patch over ours with everything on the same cores.
  ours_seconds, peer_seconds, host_seconds    of a patch, the last of CPU time.
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

told = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name, value in (("threads", 1), ("patches", 120), ("rounds", 4), ("patch", 128), ("batch", 2), ("cases", 4)):
    told.add_argument(f"--{name}", type=int, default=value)
TOLD = told.parse_args()
CORES = set(sorted(os.sched_getaffinity(0))[: TOLD.threads])
os.sched_setaffinity(0, CORES)  # before TensorFlow counts them; the peer inherits it
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from brats_unet.hardware import set_tensorflow_environment  # noqa: E402

set_tensorflow_environment()

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import yaml  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from brats_unet.anatomy import Modality  # noqa: E402
from brats_unet.data.augment.augmentation import AUGMENTATIONS, Augmentation  # noqa: E402
from brats_unet.data.patches.draws import augmented, uniforms  # noqa: E402
from brats_unet.data.patches.pipeline import batches  # noqa: E402
from brats_unet.data.patches.sampling import Sampler  # noqa: E402
from brats_unet.data.prepare.cache import PreparedCase, open_prepared, write  # noqa: E402
from brats_unet.data.prepare.grid import Grid  # noqa: E402
from brats_unet.data.prepare.preprocess import Preparation, Prepared, foreground_positions  # noqa: E402
from brats_unet.geometry import Box  # noqa: E402
from brats_unet.parts import build  # noqa: E402
from brats_unet.volume import Turn  # noqa: E402

HERE = Path(__file__).parents[2]
SHAPE = (144, 176, 144)


def written(folder: Path, index: int) -> PreparedCase:
    """An ellipsoid of noise with a tumour of three boxes, prepared by hand."""
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
    prepared = Prepared(image, brain, labels, foreground_positions(labels, name), grid)
    write(prepared, name, Preparation(tuple(Modality)), folder / "ours" / name)
    np.save(folder / "peer" / name / "image.npy", image)
    np.save(folder / "peer" / name / "labels.npy", labels)
    return open_prepared(name, folder / "ours" / name)


class Peer:
    """nnU-Net's transforms in a process of their own."""

    def __init__(self, folder: Path, sampler: Sampler) -> None:
        python = HERE / ".venv-peers" / "bin" / "python"
        if not python.exists():
            sys.exit("There is no .venv-peers: build it with `make peers`.")
        script = HERE / "scripts" / "bench" / "peers" / "augment_nnunet.py"
        command = [str(python), str(script), str(TOLD.threads), str(folder / "peer")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.question = {"patch": sampler.patch, "read": sampler.read_shape}

    def patches(self, count: int) -> tuple[float, float]:
        """Seconds and CPU seconds of a patch, the mean over `count`."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(self.question | {"count": count}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return answer["seconds"] / count, answer["cpu_seconds"] / count

    def end(self) -> None:
        self.process.communicate()


def timed(take: Callable[[], tf.Tensor], count: int) -> tuple[float, float]:
    """Seconds and CPU seconds of a patch, the mean over `count`; `take` gives a batch."""
    begun, cpu_begun = time.perf_counter(), time.process_time()
    for _ in range(count // TOLD.batch):
        float(take()[-1, -1, -1, -1, -1])
    taken = count // TOLD.batch * TOLD.batch
    return (time.perf_counter() - begun) / taken, (time.process_time() - cpu_begun) / taken


def compile_all(augmentation: Augmentation, take: Callable[[], tf.Tensor]) -> None:
    """Take batches from the first on until each transform has been drawn, and compiled, once."""
    left, step, samples = {transform.name for transform in augmentation.transforms}, 0, tf.range(TOLD.batch)
    while left:
        take()
        numbers = uniforms(0, tf.constant(step, tf.int64), samples, augmentation.uniforms)
        for transform, drawn in zip(augmentation.transforms, augmentation.draw(numbers), strict=True):
            if bool(tf.reduce_any(drawn["drawn"])):
                left.discard(transform.name)
        step += 1


def main() -> None:
    tf.config.threading.set_intra_op_parallelism_threads(TOLD.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = [written(folder, index) for index in range(TOLD.cases)]
        for case in cases:
            case.image.sum(dtype=np.float32), case.labels.sum()
        patch = (TOLD.patch,) * 3
        told = yaml.safe_load((HERE / "conf" / "augmentation" / "nnunet.yaml").read_text(encoding="utf-8"))
        augmentation = build("augmentation", AUGMENTATIONS, told).for_patches(patch, SHAPE)
        sampler = Sampler(cases, patch, TOLD.batch, 1 / 3, None, 0, augmentation.margin)
        vary = tf.function(lambda step, samples, images, labels: augmented(
            augmentation, 0, step, samples, images, labels)[0])  # fmt: skip
        read = iter(batches(sampler, first_step=0, steps=10**6))
        fed = iter(batches(sampler, first_step=0, steps=10**6))
        peer = Peer(folder, sampler)
        peer.patches(40)
        compile_all(augmentation, lambda: vary(*next(fed)))
        timed(lambda: next(read)[2], 20)
        found = {"read": [], "ours": [], "peer": []}
        for _ in range(TOLD.rounds):
            share = TOLD.patches // TOLD.rounds
            found["read"].append(timed(lambda: next(read)[2], share))
            found["ours"].append(timed(lambda: vary(*next(fed)), share))
            found["peer"].append(peer.patches(share))
        peer.end()
        read = fed = iter(())  # ends the reading ahead
    seconds = {key: tuple(np.mean(value, axis=0)) for key, value in found.items()}
    shape = "×".join(str(n) for n in sampler.read_shape)
    title = f"{TOLD.patch}³×{len(Modality)} patches read as {shape}, {len(CORES)} core(s)"
    table = Table(title=title)
    for column in ("what", "seconds", "CPU seconds", "patches/s"):
        table.add_column(column, justify="left" if column == "what" else "right")
    names = {"read": "ours, read alone", "ours": "ours, read and augmented", "peer": "nnU-Net, cut and augmented"}
    for key, (wall, cpu) in seconds.items():
        table.add_row(names[key], f"{wall:.4f}", f"{cpu:.4f}", f"{1 / wall:.1f}")
    Console().print(table)
    facts = {
        "ratio_host": round(seconds["peer"][1] / seconds["read"][1], 1),
        "ratio_cpu": round(seconds["peer"][0] / seconds["ours"][0], 2),
        "ours_seconds": round(seconds["ours"][0], 4),
        "peer_seconds": round(seconds["peer"][0], 4),
        "host_seconds": round(seconds["read"][1], 4),
        "patches": TOLD.patches,
        "threads": TOLD.threads,
    }
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
