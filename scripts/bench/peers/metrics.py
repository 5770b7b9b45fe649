"""MONAI's Dice and HD95 of three regions, timed on request by scripts/bench/metrics.py.

    .venv-peers/bin/python scripts/bench/peers/metrics.py FOLDER

Each line of standard input is the number i of a case: reference_<i>.npy and prediction_<i>.npy in FOLDER (labels of
BraTS 2017-2021, voxels of 1 mm). It is answered by one line of JSON: the seconds from the labels in memory to the
scores, and the scores.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance

REGIONS = ((1, 2, 4), (1, 4), (4,))


def masks(labels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.isin(labels, region) for region in REGIONS])[None].astype(np.float32))


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        labels = [
            np.load(folder / f"{name}_{int(line)}.npy", allow_pickle=False) for name in ("prediction", "reference")
        ]
        start = time.perf_counter()
        p, y = (masks(one) for one in labels)
        dice = compute_dice(p, y, include_background=True)
        distance = compute_hausdorff_distance(p, y, include_background=True, percentile=95, spacing=[1.0, 1.0, 1.0])
        seconds = time.perf_counter() - start
        print(json.dumps({"seconds": seconds, "scores": [*dice[0].tolist(), *distance[0].tolist()]}), flush=True)


if __name__ == "__main__":
    main()
