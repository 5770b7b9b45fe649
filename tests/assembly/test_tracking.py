"""Who is told what a training measures, and what they are told."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from brats_unet.assembly import tracking
from brats_unet.assembly.tracking import FirstCase, tracked_run, trackers_of
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli import main as cli
from brats_unet.cli.conf_files import COMMANDS
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from brats_unet.training.background import InBackground
from brats_unet.training.event_file import EventFile


def settings_of(*words):
    request = arguments.split(["train", *words])
    return bind(COMMANDS["train"], hydra.settings_of(request, checks.checked(request)))


# Who is told


@pytest.mark.parametrize("name", ["mlflow", "wandb", "trackio"])
def test_a_tracker_without_its_package_is_refused_with_the_pip_command(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["train", f"tracking={name}", f"data.root={tmp_path / 'no such folder'}"]) == 2
    said = capsys.readouterr().err
    assert f"tracking={name} needs {name}, not installed here: pip install {name}." in said
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_tracker_is_refused_with_the_known_ones(capsys):
    assert cli.main(["train", "tracking=mlfow"]) == 2
    said = capsys.readouterr().err
    assert "tracking=mlfow is not a choice." in said and "mlflow" in said


def test_every_tracker_of_the_settings_is_known_and_only_the_chief_reports(tmp_path):
    for name in tracking.TRACKERS:
        settings = settings_of(f"tracking={name}", "tracking_pictures=false")
        events, other = trackers_of(settings, Run(tmp_path), print).trackers
        assert isinstance(events, EventFile) and isinstance(other, InBackground)
        assert (other.name, other.pictures) == (f"tracking={name}", False)
        assert trackers_of(settings, Run(tmp_path, writes=False), print).trackers == ()
    assert len(trackers_of(settings_of(), Run(tmp_path), print).trackers) == 1


# What they are told


def test_settings_are_told_without_folders_and_case_ids(tmp_path):
    settings = settings_of(
        "experiment=none",
        "data=brats",
        "data.root=/home/jane/scans",
        "data.leave_out=[Doe_Jane]",
        f"runs={tmp_path}",
        "init=/home/jane/runs/a",
    )
    told = tracked_run(settings, Run(tmp_path / "a_run"))
    everything = json.dumps([told.settings, told.text])
    assert "jane" not in everything and "Doe" not in everything and str(tmp_path) not in everything
    text = yaml.safe_load(told.text)
    assert text["data"]["root"] == "scans" and text["scheme"] == "glioma" and text["sampling"]["patch"] == [128] * 3
    assert told.name == "a_run" and told.project == "brats-unet" and told.settings["init"] == "a"


def test_only_settings_that_decide_what_is_computed_are_compared(tmp_path):
    told = tracked_run(settings_of("experiment=none", "minutes=7", "name=x"), Run(tmp_path)).settings
    assert {"steps", "minutes", "model.name", "optimizer.learning_rate", "loss.name", "seed"} <= set(told)
    free = {"name", "runs", "json", "tracking", "trials", "data.cache", "hardware.device", "validation.every"}
    assert not free & set(told)
    assert all(isinstance(value, bool | int | float | str) for value in told.values())
    assert told["sampling.patch"] == "[128, 128, 128]" and told["steps"] == 250000


def test_an_id_is_remembered_for_the_same_tracker_and_project(tmp_path):
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    mlflow = settings_of("tracking=mlflow")
    told = tracked_run(mlflow, run)
    assert told.id is None
    told.remember("abc")
    tracked_run(settings_of("tracking=wandb"), run).remember("def")
    assert tracked_run(mlflow, run).id == "abc"
    assert tracked_run(settings_of("tracking=wandb"), run).id == "def"
    assert tracked_run(settings_of("tracking=mlflow", "tracking_project=other"), run).id is None


# The picture


@pytest.mark.parametrize(("modalities", "channel"), [(["t1", "flair"], 1), (["t1", "t2"], 0)])
def test_the_first_case_is_drawn_with_its_latest_prediction_on_the_scan_that_shows_it_best(
    modalities, channel, monkeypatch
):
    drawn = []
    monkeypatch.setattr(tracking, "case_snapshot", lambda *given, **options: drawn.append((*given, options)) or b"png")
    image = np.stack([np.full((4, 4, 4), 1.5), np.full((4, 4, 4), 2.5)], axis=-1).astype(np.float16)
    grid = SimpleNamespace(prepared_spacing_mm=(1.0, 2.0, 3.0), spacing_known=False)
    first = FirstCase(SimpleNamespace(image=image, labels=np.ones((4, 4, 4)), grid=grid), modalities, builtin())
    for label in (2, 4):
        first.keep(np.full((4, 4, 4), label), {"WT": 0.5, "ET": label / 8})
    assert first.draw(70) == b"png"
    ((scan, reference, prediction, title, options),) = drawn
    assert scan[0, 0, 0] == 1.5 + channel and reference.all() and (prediction == 4).all()
    assert title == "first held-out case, step 70: Dice WT 0.500, ET 0.500"
    assert (options["spacing_mm"], options["spacing_known"]) == ((1.0, 2.0, 3.0), False)
