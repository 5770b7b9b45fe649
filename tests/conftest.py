"""What several tests share: real scans where there are any, a few phantoms, a quiet TensorFlow."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from brats_unet.data.cache import PreparedCase

# Before anything imports TensorFlow.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("MPLBACKEND", "agg")

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_scans() -> Path:
    """Folder of real scans, never to be written to; the test is skipped where there is none."""
    folder = Path(os.environ.get("BRATS_UNET_REAL") or CHECKOUT.parent / "shared" / "real")
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}; BRATS_UNET_REAL says where they are")
    return folder


@pytest.fixture(scope="session")
def phantom_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of four small phantoms in BraTS 2020 layout, not to be written to."""
    from brats_unet.data.phantom import write_dataset

    folder = tmp_path_factory.mktemp("phantoms")
    write_dataset(folder, cases=4, seed=7, scale=0.25)
    return folder


@pytest.fixture(scope="session")
def write_prepared() -> Callable[..., "PreparedCase"]:
    """Write a prepared case made by hand: (folder, id, labels, seed=0, channels=2, start=(0, 0, 0)) -> PreparedCase.

    Its image is noise that the labels shine through, so that a network can learn it.
    """
    from brats_unet.anatomy import Modality
    from brats_unet.data.cache import open_prepared, write
    from brats_unet.data.grid import Grid
    from brats_unet.data.preprocess import Preparation, Prepared, foreground_positions
    from brats_unet.geometry import Box
    from brats_unet.volume import Turn

    def made(folder, case_id, labels, *, seed=0, channels=2, start=(0, 0, 0)):
        stop = tuple(a + n for a, n in zip(start, labels.shape, strict=True))
        affine = ((-1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
        turn = Turn((0, 1, 2), (False, False, False))
        grid = Grid(stop, affine, turn, Box(start, stop), (1.0, 1.0, 1.0))
        noise = np.random.default_rng(seed).normal(size=(*labels.shape, channels))
        image = (noise + labels[..., None] / 2).astype(np.float16)
        brain = np.ones(labels.shape, bool)
        prepared = Prepared(image, brain, labels, foreground_positions(labels, case_id), grid)
        write(prepared, case_id, Preparation(tuple(Modality)[:channels]), folder / case_id)
        return open_prepared(case_id, folder / case_id)

    return made
