"""Each tracker with its own package, stored on this machine without network; skipped where it is not installed."""

import json
from io import BytesIO

import pytest
from PIL import Image

from brats_unet.errors import MachineError
from brats_unet.training.tracker import TrackedRun
from brats_unet.training.trackers import TRACKERS

SETTINGS = {"model.name": "unet3d", "optimizer.learning_rate": 0.01, "model.deep_supervision": True}
# Packages of others, and what they import, warn of their own affairs.
pytestmark = pytest.mark.filterwarnings("ignore")


def png():
    content = BytesIO()
    Image.new("RGB", (30, 20), "red").save(content, "PNG")
    return content.getvalue()


def run_of(memory):
    return TrackedRun("a_run", "tumours", SETTINGS, "steps: 5\n", memory[-1] if memory else None, memory.append)


def track(name, memory, steps, end="done"):
    """Report one start of a training; returns where the run is to be found."""
    tracker = TRACKERS[name]()
    where = tracker.start(run_of(memory))
    for step in steps:
        tracker.scalars({"train/loss": 1 / step, "train/learning_rate": 0.01}, step)
    tracker.picture("held_out/first_case", png(), steps[-1])
    tracker.finish(end)
    return where


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder as the current one and as the home; no package may use the network."""
    monkeypatch.chdir(tmp_path)
    for key, value in {
        "HOME": tmp_path,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "WANDB_MODE": "offline",
        "WANDB_ERROR_REPORTING": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRACKIO_DIR": tmp_path / "trackio",
    }.items():
        monkeypatch.setenv(key, str(value))
    return tmp_path


@pytest.mark.parametrize("store", ["file", "sqlite"])
def test_mlflow_holds_numbers_settings_pictures_and_the_end_of_a_run_that_goes_on(here, monkeypatch, store):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed (pip install mlflow)")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    place = f"file:{here / 'mlruns'}" if store == "file" else f"sqlite:///{here / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", place)
    memory = []
    assert "run a_run of the experiment tumours" in track("mlflow", memory, range(1, 4), end="stopped")
    (number,) = memory
    client = mlflow.MlflowClient(place)
    assert client.get_run(number).info.status == "KILLED"
    track("mlflow", memory, range(3, 6))
    assert memory == [number]
    run = client.get_run(number)
    assert (run.info.run_name, run.info.status) == ("a_run", "FINISHED")
    assert run.data.params == {
        "model.name": "unet3d",
        "optimizer.learning_rate": "0.01",
        "model.deep_supervision": "true",
    }
    losses = [(one.step, one.value) for one in client.get_metric_history(number, "train/loss")]
    assert sorted(losses) == [(1, 1.0), (2, 0.5), (3, 1 / 3), (3, 1 / 3), (4, 0.25), (5, 0.2)]
    assert "settings.yaml" in [file.path for file in client.list_artifacts(number)]
    pictures = [file.path for file in client.list_artifacts(number, "images") if file.path.endswith(".png")]
    assert len(pictures) == 2
    assert "mlflow.user" not in run.data.tags and "mlflow.source.name" not in run.data.tags


def test_mlflow_begins_a_new_run_where_the_store_is_another_one(here, monkeypatch):
    pytest.importorskip("mlflow", reason="mlflow is not installed (pip install mlflow)")
    memory = []
    for name in ("one", "two"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{here / name}.db")
        track("mlflow", memory, range(1, 2))
    assert len(set(memory)) == 2


def test_wandb_holds_a_run_that_goes_on_and_names_neither_user_nor_machine(here, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed (pip install wandb)")
    import socket

    monkeypatch.setenv("USER", "marker-user")
    memory = []
    assert "offline" in track("wandb", memory, range(1, 4), end="stopped")
    track("wandb", memory, range(3, 6))
    assert len(set(memory)) == 1
    starts = sorted((here / "wandb").glob(f"offline-run-*-{memory[0]}"))
    assert starts and list((here / "wandb").rglob("first_case*.png"))
    content = b"".join(file.read_bytes() for file in (here / "wandb").rglob("*.wandb"))
    assert b"train/loss" in content and b"optimizer.learning_rate" in content
    for private in (socket.gethostname(), "marker-user"):
        assert private.encode() not in content


def test_wandb_without_a_login_says_so_and_asks_nothing(here, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed (pip install wandb)")
    import wandb

    monkeypatch.setattr(wandb, "login", lambda prompt: False)
    monkeypatch.setattr(wandb.setup().settings, "mode", "online")
    with pytest.raises(MachineError, match="Run `wandb login` once, or set WANDB_MODE=offline"):
        TRACKERS["wandb"]().start(run_of([]))


def test_trackio_holds_a_run_that_goes_on_and_prints_nothing(here, monkeypatch, capsys):
    pytest.importorskip("trackio", reason="trackio is not installed (pip install trackio)")
    from trackio.sqlite_storage import SQLiteStorage

    memory = []
    assert track("trackio", memory, range(1, 4), end="stopped") == "`trackio show --project tumours` shows it"
    track("trackio", memory, range(3, 6))
    rows = SQLiteStorage.get_logs("tumours", "a_run")
    assert sorted(row["step"] for row in rows if "train/loss" in row) == [1, 2, 3, 3, 4, 5]
    assert "held_out/first_case" in json.dumps(rows)
    assert capsys.readouterr().out == ""
