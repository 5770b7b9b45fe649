"""The example package, installed: it trains, is resumed, evaluated and exported; without it the run is refused."""

import json
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from brats_unet import metrics
from brats_unet.cli.main import main
from brats_unet.run import Run

EXAMPLE = Path(__file__).resolve().parents[1] / "example_package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the example package, installed by pip without a network."""
    folder = tmp_path_factory.mktemp("example")
    shutil.copytree(EXAMPLE, folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    options = ["--no-build-isolation", "--no-index", "--target", str(folder / "site"), str(folder / "source")]
    subprocess.run([*pip, *options], check=True, capture_output=True, text=True)
    return folder / "site"


@contextmanager
def on_the_path(installed):
    """The package on the path, as if it were installed; gone afterwards."""
    metrics.of_packages.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(installed)
        yield
    metrics.of_packages.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[0] == "brats_unet_example"]:
        del sys.modules[name]


@pytest.fixture
def package(installed):
    """The package on the path for one test."""
    with on_the_path(installed):
        yield


@pytest.fixture(scope="module")
def common(tmp_path_factory, phantom_root):
    """The settings of the run, and its folder."""
    folder = tmp_path_factory.mktemp("runs")
    return folder, [
        *("--config-dir", str(EXAMPLE / "conf"), "experiment=none"),
        *("model=shallow", "loss=region_weighted_bce", "augmentation=brighten", "model.features=4"),
        *("data=brats", f"data.root={phantom_root}", f"data.cache={folder / 'cache'}", "data.folds=2"),
        *("data.preparation.spacing_mm=[5,5,5]", "sampling.patch=[16,16,16]", "hardware.precision=float32"),
        *(f"runs={folder}", "name=example", "validation.every=1"),
    ]


@pytest.fixture(scope="module")
def run(installed, common):
    """A run of the package's network, loss and augmentation, trained for two steps, and exported beside itself."""
    folder, settings = common
    run = Run(folder / "example")
    with on_the_path(installed):
        assert main(["train", *settings, "steps=2"]) == 0
        assert main(["export", f"run={run.folder}", f"output={folder / 'exported'}", "format=keras"]) == 0
    return run


def test_a_run_records_which_package_gave_each_part(run):
    recorded = json.loads(run.environment_file.read_text())["plugins"]
    assert {kind: part["name"] for kind, part in recorded.items()} == {
        "model": "shallow",
        "loss": "region_weighted_bce",
        "augmentation": "brighten",
    }
    assert {(part["package"], part["version"]) for part in recorded.values()} == {("brats-unet-example", "1.0")}
    assert set(json.loads(run.recipe_file.read_text())["model"]) == {"name", "features", "kernel"}


def test_a_run_of_a_package_is_resumed(package, run, common):
    assert main(["train", *common[1], "steps=3"]) == 0
    assert [line["step"] for line in run.journal("step")] == [1, 2, 3]


def test_a_run_of_a_package_is_evaluated_and_its_metric_is_scored_beside_ours(package, run):
    assert main(["evaluate", f"run={run.folder}", "figures=false", "seed_scores=false"]) == 0
    assert ",volume_similarity," in (run.evaluation_folder() / "scores.csv").read_text()
    summary = json.loads((run.evaluation_folder() / "summary.json").read_text())
    assert summary["package_metrics"]["volume_similarity"]["package"] == "brats-unet-example"
    scores = summary["regions"]["WT"]["all_cases"]["volume_similarity"]
    assert scores["n"] == 2 and 0 <= scores["mean"] <= 1


def test_an_option_that_its_loss_lacks_is_refused_by_the_package_s_name(package, common, capsys):
    assert main(["train", *common[1], "steps=2", "+loss.batch_dice=true", "name=other"]) == 2
    error = capsys.readouterr().err
    assert "loss=region_weighted_bce (package brats-unet-example 1.0, entry point brats_unet.losses: " in error
    assert "has no option batch_dice. Known: weight" in error


@pytest.mark.parametrize("command", ["train", "evaluate", "predict", "export"])
def test_without_the_package_the_run_is_refused_by_the_package_s_name(
    command, run, common, phantom_root, tmp_path, capsys
):
    told = {
        "train": [*common[1], "steps=4"],
        "evaluate": [f"run={run.folder}"],
        "predict": [f"run={run.folder}", f"input={phantom_root}", f"output={tmp_path / 'masks'}"],
        "export": [f"run={run.folder}", f"output={tmp_path / 'again'}", "format=keras"],
    }[command]
    assert main([command, *told]) == 2
    error = capsys.readouterr().err
    assert "was trained with model=shallow of the package brats-unet-example 1.0, which is not installed" in error
    assert "Install brats-unet-example==1.0" in error


def test_a_network_exported_as_keras_predicts_without_the_package(run, phantom_root, tmp_path):
    exported, case = run.folder.parent / "exported", phantom_root / "Phantom20_001"
    assert main(["predict", f"run={exported}", f"input={case}", f"output={tmp_path}"]) == 0
    assert (tmp_path / "Phantom20_001.nii.gz").is_file()
    assert "brats_unet_example" not in sys.modules
