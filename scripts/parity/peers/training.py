"""PyTorch originals of two pieces of training: SGD with nnU-Net's falling rate, and the labels of coarser heads.

    .venv-peers/bin/python scripts/parity/peers/training.py FOLDER

scripts/parity/training_parity.py writes FOLDER/in.npz and runs it; the results go to FOLDER/out.npz.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler


def after_sgd(start, gradients):
    """Weights after one update for each gradient, with the optimizer and schedule of nnUNetTrainer."""
    weights = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = torch.optim.SGD([weights], 1e-2, weight_decay=3e-5, momentum=0.99, nesterov=True)
    schedule = PolyLRScheduler(optimizer, 1e-2, len(gradients))
    for step, gradient in enumerate(gradients):
        schedule.step(step)
        weights.grad = torch.from_numpy(gradient)
        optimizer.step()
    return weights.detach().numpy()


def coarse_labels(labels, strides):
    """Labels (X, Y, Z) on the grid of a head whose voxels are `strides` voxels wide along x, y, z."""
    transform = DownsampleSegForDSTransform([[1 / stride for stride in strides]])
    return transform(segmentation=torch.from_numpy(labels[None]))["segmentation"][0][0].numpy()


def main():
    folder = Path(sys.argv[1])
    given = np.load(folder / "in.npz", allow_pickle=False)
    coarse = {f"labels_{i}": coarse_labels(given["labels"], s) for i, s in enumerate(given["strides"].tolist())}
    np.savez(folder / "out.npz", weights=after_sgd(given["start"], given["gradients"]), **coarse)


main()
