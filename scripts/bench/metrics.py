"""Measure the time to score a case, and compare it with MONAI: full-size masks, three regions, one core, in turns.

    python scripts/bench/metrics.py [--rounds 3]

Both programs get the same label volumes (240×240×155 voxels, in memory) and compute Dice and HD95 of WT, TC and ET; the
script stops if their scores differ. Then brats-unet alone computes every metric of the protocols brats2020 and
brats2023. The masks are real ones from BRATS_UNET_REAL or ../shared/real: five challenge entries against their fusion,
and each expert mask against a shifted and speckled copy. Without them, synthetic tumours are used. MONAI runs in
.venv-peers, built by `make peers`.

Prints a table and, as the last line, JSON:
  ratio                 brats-unet / MONAI, mean seconds per case for Dice and HD95.
  ours_seconds, peer_seconds   mean seconds per case for Dice and HD95, brats-unet and MONAI.
  seconds_brats2020     mean seconds per case, all metrics of brats2020; seconds_brats2020_worst: slowest case.
  seconds_lesionwise    mean seconds per case, all metrics of brats2023; seconds_lesionwise_worst: slowest case.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--rounds", type=int, default=3, help="how often each case is scored; the fastest time counts")
ARGS = parser.parse_args()
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # the peer process inherits it

import numpy as np  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from scipy import ndimage  # noqa: E402

from brats_unet.evaluation.region_pairs import region_pairs  # noqa: E402
from brats_unet.evaluation.score import score_case  # noqa: E402
from brats_unet.metrics import metrics_of  # noqa: E402
from brats_unet.metrics.protocols import PROTOCOLS  # noqa: E402
from brats_unet.nifti import read_integers  # noqa: E402
from brats_unet.schemes.scheme_file import builtin  # noqa: E402

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("BRATS_UNET_REAL") or ROOT.parent / "shared" / "real")
MM = (1.0, 1.0, 1.0)
SHAPE = (240, 240, 155)
TWO = replace(PROTOCOLS["brats2020"], metrics=("dice", "hd95"))
Labels = tuple[str, np.ndarray, np.ndarray]


def cases() -> Iterator[Labels]:
    """(name, reference, prediction) of the real cases, or of synthetic ones if there are none."""
    entries = sorted(REAL.glob("predictions/*/*.nii.gz"))
    experts = sorted(REAL.glob("BraTS2021/*/*_seg.nii.gz"))
    if not (entries and experts):
        for index in range(6):
            reference = synthetic(index)
            yield f"synthetic {index}", reference, disturbed(reference, index)
        return
    fusion = read_integers(next(path for path in entries if "fusion" in path.name)).array
    for path in entries:
        if "fusion" not in path.name:
            yield path.name.removesuffix(".nii.gz")[-20:], fusion, read_integers(path).array
    for index, path in enumerate(experts):
        reference = read_integers(path).array
        yield f"{path.parent.name}, disturbed", reference, disturbed(reference, index)


def synthetic(seed: int) -> np.ndarray:
    """An irregular tumour of up to 400 mL: a core with an enhancing rim, surrounded by oedema."""
    random = np.random.default_rng(seed)
    lumps = ndimage.zoom(ndimage.gaussian_filter(random.standard_normal((60, 60, 39)), 2), 4, order=1)[:, :, :155]
    grid = np.ogrid[tuple(slice(n) for n in SHAPE)]
    radius2 = sum(((axis - n * random.uniform(0.4, 0.6)) / 28) ** 2 for axis, n in zip(grid, SHAPE, strict=True))
    field = radius2 + lumps / lumps.std() * 0.3
    labels = np.zeros(SHAPE, np.uint8)
    for level, label in ((1.2, 2), (0.6, 4), (0.3, 1)):
        labels[field < level * (0.5 + seed / 4)] = label
    return labels


def disturbed(labels: np.ndarray, seed: int) -> np.ndarray:
    """A mediocre prediction: shifted by 3, -2 and 1 voxels, 10 % wrong voxels near the surface, two false islands."""
    random = np.random.default_rng(seed)
    found = np.roll(labels, (3, -2, 1), (0, 1, 2)).copy()
    rim = ndimage.binary_dilation(found > 0, iterations=2) & (random.random(found.shape, np.float32) < 0.1)
    found[rim] = np.roll(found, 4, 0)[rim]
    found[40:44, 60:64, 30:34], found[190:200, 180:186, 110:118] = 2, 4
    return found


def seconds(reference: np.ndarray, prediction: np.ndarray) -> tuple[float, list[float]]:
    """Seconds to compute Dice and HD95 of the three regions, and the six scores."""
    start = time.perf_counter()
    pairs = [pair for _, pair in region_pairs(reference, prediction, MM, TWO, builtin())]
    values = [metric.function(pair) for metric in metrics_of(TWO).values() for pair in pairs]
    return time.perf_counter() - start, values


def protocol_seconds(protocol: str, reference: np.ndarray, prediction: np.ndarray) -> float:
    """Seconds to compute every metric of a protocol."""
    start = time.perf_counter()
    score_case("case", reference, prediction, MM, scheme=builtin(), protocol=protocol)
    return time.perf_counter() - start


def main() -> None:
    every = list(cases())
    ours, theirs, all2020, all2023 = (np.zeros((ARGS.rounds, len(every))) for _ in range(4))
    with tempfile.TemporaryDirectory() as folder:
        for index, (_, reference, prediction) in enumerate(every):
            np.save(Path(folder) / f"reference_{index}.npy", reference)
            np.save(Path(folder) / f"prediction_{index}.npy", prediction)
        command = [str(ROOT / ".venv-peers/bin/python"), str(ROOT / "scripts/bench/peers/metrics.py"), folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
            assert peer.stdin is not None and peer.stdout is not None
            for turn in range(ARGS.rounds):
                for index, (name, reference, prediction) in enumerate(every):
                    print(index, file=peer.stdin, flush=True)
                    answer = json.loads(peer.stdout.readline())
                    theirs[turn, index] = answer["seconds"]
                    ours[turn, index], values = seconds(reference, prediction)
                    for mine, other in zip(values, answer["scores"], strict=True):
                        # for an empty mask, MONAI returns NaN or infinity, and brats-unet follows the protocol
                        assert not np.isfinite(other) or abs(mine - other) <= 1e-4 * max(1, other), (name, mine, other)
                    all2020[turn, index] = protocol_seconds("brats2020", reference, prediction)
                    all2023[turn, index] = protocol_seconds("brats2023", reference, prediction)
            peer.stdin.close()
    columns = [times.min(axis=0) for times in (ours, theirs, all2020, all2023)]
    table = Table(title=f"Seconds per case, best of {ARGS.rounds}, one core")
    table.add_column("case")
    for name in ("Dice + HD95", "MONAI, the same", "brats2020", "brats2023"):
        table.add_column(name, justify="right")
    for index, (name, _, _) in enumerate(every):
        table.add_row(name, *[f"{column[index]:.3f}" for column in columns])
    table.add_section()
    table.add_row("mean", *[f"{column.mean():.3f}" for column in columns])
    Console().print(table)
    found = {
        "ratio": columns[0].mean() / columns[1].mean(),
        "ours_seconds": columns[0].mean(),
        "peer_seconds": columns[1].mean(),
        "seconds_brats2020": columns[2].mean(),
        "seconds_brats2020_worst": columns[2].max(),
        "seconds_lesionwise": columns[3].mean(),
        "seconds_lesionwise_worst": columns[3].max(),
    }
    print(json.dumps({name: round(float(value), 4) for name, value in found.items()}))


if __name__ == "__main__":
    main()
