"""What several tests share: real scans where there are any, a few phantoms, a quiet TensorFlow."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from brats_unet.hardware import set_tensorflow_environment
from brats_unet.schemes.scheme_file import builtin

if TYPE_CHECKING:
    from brats_unet.data.prepare.cache import PreparedCase
    from brats_unet.run import Run

set_tensorflow_environment()  # before anything imports it
os.environ.setdefault("MPLBACKEND", "agg")

CHECKOUT = Path(__file__).resolve().parents[1]
# Files that take longest, which workers begin with: else the last one runs alone at the end.
FIRST = ("end_to_end/test_pipeline.py", "training/test_step.py", "commands/test_export.py", "end_to_end/test_tuned.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first (with --no-loadscope-reorder), all others as they were."""

    def place(item: pytest.Item) -> int:
        return next((index for index, name in enumerate(FIRST) if item.path.as_posix().endswith(name)), len(FIRST))

    items.sort(key=place)


@pytest.fixture(scope="session")
def in_new_process() -> Callable[..., Any]:
    """Call a function of a test file in a process of its own, where TensorFlow can still be told its logical devices.

    (file, name of the function, its arguments as text) -> what it returned, by way of JSON.
    """
    script = "import json, runpy, sys; print(json.dumps(runpy.run_path(sys.argv[1])[sys.argv[2]](*sys.argv[3:])))"

    def call(file: str, function: str, *arguments: str) -> Any:
        command = [sys.executable, "-W", "ignore", "-c", script, file, function, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.splitlines()[-1])

    return call


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
    from brats_unet.data.phantom.phantoms import write_dataset

    folder = tmp_path_factory.mktemp("phantoms")
    write_dataset(folder, cases=4, seed=7, scheme=builtin(), scale=0.25)
    return folder


@pytest.fixture(scope="session")
def write_run() -> Callable[..., "Run"]:
    """Write a run folder with an untrained network, float32 at 5 mm: (folder, its model, outputs, scheme, …) -> Run."""
    import keras

    from brats_unet import models
    from brats_unet.data.prepare.preprocess import Preparation
    from brats_unet.inference.network import recipe
    from brats_unet.json_files import write_json
    from brats_unet.modality import Modality
    from brats_unet.models import checkpoint
    from brats_unet.parts import build, options_of
    from brats_unet.run import Run

    def made(folder, *, model=None, outputs="regions", scheme=None, convention=None, seed=0, **inference):
        model = model or {"name": "unet3d", "features": [4, 8], "strides": [1, 2], "deep_supervision": True}
        scheme = scheme or builtin()
        logits = len(scheme.predicted if outputs == "regions" else scheme.class_values)
        network = build("model", models.known(), model, channels=4, outputs=logits, dtype="float32", seed=seed)
        run = Run(folder)
        checkpoint.write(
            run.checkpoint_file("last"), checkpoint.copies(network, keras.optimizers.SGD()), checkpoint.State(step=7)
        )
        told = recipe(
            model=model,
            outputs=outputs,
            logits=logits,
            stride=models.describe(model["name"], options_of(model)).stride,
            preparation=Preparation(tuple(Modality), (5.0, 5.0, 5.0)),
            inference={"mode": "whole", "tile": [16] * 3, "overlap": 0.5, "tile_batch": 2, "mirror": "none"}
            | inference,
            scheme=scheme,
            convention=convention or next(iter(scheme.integers)),
            precision="float32",
        )
        write_json(run.recipe_file, told)
        return run

    return made


@pytest.fixture(scope="session")
def small_run(write_run, tmp_path_factory) -> "Run":
    """A run with an untrained network, not to be written to."""
    return write_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def small_onnx(small_run, tmp_path_factory) -> Path:
    """`small_run`, exported as ONNX; not to be written to."""
    from brats_unet.commands import export
    from brats_unet.settings import Export

    folder = tmp_path_factory.mktemp("exported") / "onnx"
    told = {"format": "onnx", "checkpoint": "last", "postprocess": "auto", "overwrite": False, "json": True}
    assert export.main(Export(run=str(small_run.folder), output=str(folder), **told)) == 0
    return folder


@pytest.fixture(scope="session")
def write_prepared() -> Callable[..., "PreparedCase"]:
    """Write a prepared case made by hand: (folder, id, labels, seed=0, channels=2, start=(0, 0, 0)) -> PreparedCase.

    Its image is noise that the labels shine through, so that a network can learn it.
    """
    from brats_unet.data.prepare.cache import open_prepared, write
    from brats_unet.data.prepare.grid import Grid
    from brats_unet.data.prepare.prepared_labels import foreground_positions
    from brats_unet.data.prepare.preprocess import Preparation, Prepared
    from brats_unet.geometry import Box
    from brats_unet.modality import Modality
    from brats_unet.volume import Turn

    def made(folder, case_id, labels, *, seed=0, channels=2, start=(0, 0, 0)):
        stop = tuple(a + n for a, n in zip(start, labels.shape, strict=True))
        affine = ((-1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
        turn = Turn((0, 1, 2), (False, False, False))
        grid = Grid(stop, affine, turn, Box(start, stop), (1.0, 1.0, 1.0))
        noise = np.random.default_rng(seed).normal(size=(*labels.shape, channels))
        image = (noise + labels[..., None] / 2).astype(np.float16)
        brain = np.ones(labels.shape, bool)
        prepared = Prepared(image, brain, labels, foreground_positions(labels, case_id, builtin()), grid)
        write(prepared, case_id, Preparation(tuple(Modality)[:channels]), folder / case_id)
        return open_prepared(case_id, folder / case_id)

    return made
