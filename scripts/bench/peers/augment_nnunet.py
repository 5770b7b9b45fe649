"""nnU-Net's own augmentation, timed on request by scripts/bench/loader.py.

    .venv-peers/bin/python scripts/bench/peers/augment_nnunet.py THREADS FOLDER

FOLDER has a folder for each case with image.npy, float16 (X, Y, Z, M), and labels.npy. They are kept in memory in the
form that nnU-Net's loader returns: float32, channels first, label -1 outside the brain. Each line of standard input,
{"patch": […], "read": […], "count": n}, is answered by {"seconds": …, "cpu_seconds": …} for n patches, each cropped and
passed through nnUNetTrainer.get_training_transforms.
"""

import json
import os
import sys
import time
import warnings
from pathlib import Path

threads = sys.argv[1]
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = threads
for folder in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(folder, "/nowhere")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: E402


def main() -> None:
    torch.set_num_threads(int(threads))
    cases = []
    for folder in sorted(path for path in Path(sys.argv[2]).iterdir() if path.is_dir()):
        image = np.load(folder / "image.npy", allow_pickle=False)
        labels = np.load(folder / "labels.npy", allow_pickle=False).astype(np.int16)
        labels[(image == 0).all(axis=-1)] = -1
        cases.append((np.ascontiguousarray(np.moveaxis(image, -1, 0)).astype(np.float32), labels[None]))
    rng, transforms = np.random.default_rng(0), {}
    for line in sys.stdin:
        request = json.loads(line)
        patch = tuple(request["patch"])
        if patch not in transforms:
            angle = np.pi / 6
            transforms[patch] = nnUNetTrainer.get_training_transforms(
                patch, (-angle, angle), None, (0, 1, 2), False, use_mask_for_norm=[True] * len(cases[0][0])
            )
        begun, cpu_begun = time.perf_counter(), time.process_time()
        for _ in range(request["count"]):
            image, labels = cases[rng.integers(len(cases))]
            start = [int(rng.integers(0, max(0, n - p) + 1)) for n, p in zip(labels.shape[1:], patch, strict=True)]
            image, labels = (cut(array, start, patch, request["read"]) for array in (image, labels))
            transforms[patch](image=torch.from_numpy(image), segmentation=torch.from_numpy(labels))
        answer = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu_begun}
        print(json.dumps(answer), flush=True)


def cut(array: np.ndarray, start: list[int], patch: tuple[int, ...], read: list[int]) -> np.ndarray:
    """The patch at `start` with its margin; beyond the volume, images are padded with 0 and labels with -1."""
    out = np.full((len(array), *read), 0 if array.dtype == np.float32 else -1, array.dtype)
    source, target = [slice(None)], [slice(None)]
    for first, p, r, n in zip(start, patch, read, array.shape[1:], strict=True):
        begin = first - (r - p) // 2
        a, b = max(0, begin), min(n, begin + r)
        source.append(slice(a, b))
        target.append(slice(a - begin, b - begin))
    out[tuple(target)] = array[tuple(source)]
    return out


if __name__ == "__main__":
    main()
