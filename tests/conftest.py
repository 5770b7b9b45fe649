"""What several tests share: real scans where there are any, a few phantoms, a quiet TensorFlow."""

import os
from pathlib import Path

import pytest

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
