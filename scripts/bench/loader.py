"""How many patches a second the data path reads from a warm cache; no GPU, no scans needed.

    taskset -c 0 python scripts/bench/loader.py [--cases 8] [--patch 128] [--batch 2] [--seconds 10]

It prepares nothing: it writes cases of the size of a cropped BraTS brain (144×176×144, 4 modalities, float16) into a
temporary folder, reads them once so that they lie in the page cache, and then takes batches as training does. Prints a
table and, as its last line, the same as JSON. Target: 100 patches of 128³ a second and core.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
from rich.console import Console
from rich.table import Table

from brats_unet.anatomy import Modality
from brats_unet.data.cache import PreparedCase, open_prepared, write
from brats_unet.data.grid import Grid
from brats_unet.data.pipeline import batches, read_batch
from brats_unet.data.preprocess import Preparation, Prepared, foreground_positions
from brats_unet.data.sampling import Sampler
from brats_unet.geometry import Box
from brats_unet.volume import Turn

SHAPE = (144, 176, 144)


def written(folder: Path, index: int) -> PreparedCase:
    """A case of noise with a tumour of three boxes, prepared by hand."""
    rng = np.random.default_rng(index)
    labels = np.zeros(SHAPE, np.uint8)
    for label, reach in ((2, 25), (1, 15), (4, 8)):
        labels[72 - reach : 72 + reach, 88 - reach : 88 + reach, 72 - reach : 72 + reach] = label
    image = rng.standard_normal((*SHAPE, len(Modality)), np.float32).astype(np.float16)
    affine = tuple(tuple(float(v) for v in row) for row in np.diag([-1, -1, 1, 1]))
    grid = Grid(SHAPE, affine, Turn((0, 1, 2), (False, False, False)), Box((0, 0, 0), SHAPE), (1.0, 1.0, 1.0))
    name = f"case_{index}"
    prepared = Prepared(image, np.ones(SHAPE, bool), labels, foreground_positions(labels, name), grid)
    write(prepared, name, Preparation(tuple(Modality)), folder / name)
    return open_prepared(name, folder / name)


def patches_per_second(sampler: Sampler, seconds: float) -> dict[str, float]:
    """Rates of the bare copy and of the whole tf.data path, the first batches of each left out."""
    rates = {}

    def timed(name, take):
        for _ in range(3):
            take()
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            take()
            count += sampler.batch
        rates[name] = count / (time.perf_counter() - begun)

    steps = iter(range(10**9))
    timed("read_batch", lambda: read_batch(sampler, next(steps), np.arange(sampler.batch)))
    dataset = iter(batches(sampler, first_step=0, steps=10**6))
    timed("batches", lambda: next(dataset))
    return rates


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cases", type=int, default=8)
    options.add_argument("--patch", type=int, default=128)
    options.add_argument("--batch", type=int, default=2)
    options.add_argument("--seconds", type=float, default=10)
    told = options.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        cases = [written(Path(folder), index) for index in range(told.cases)]
        for case in cases:
            case.image.sum(dtype=np.float32), case.labels.sum()
        sampler = Sampler(cases, (told.patch,) * 3, told.batch, 1 / 3, None, 0)
        rates = patches_per_second(sampler, told.seconds)
    megabytes = told.patch**3 * (2 * len(Modality) + 1) / 1e6
    table = Table(title=f"{told.patch}³×{len(Modality)} patches, batch {told.batch}, {cores} core(s), warm cache")
    for column in ("path", "patches/s", "MB/s"):
        table.add_column(column, justify="left" if column == "path" else "right")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:.0f}", f"{rate * megabytes:.0f}")
    Console().print(table)
    facts = {"patch": told.patch, "batch": told.batch, "cores": cores, "cases": told.cases}
    print(json.dumps(facts | {f"{name}_patches_per_second": round(rate, 1) for name, rate in rates.items()}))


if __name__ == "__main__":
    main()
