"""A run is bound to its cases, not to their place: trained in one folder, it is opened and resumed in another."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from brats_unet.cli.main import main
from brats_unet.json_files import write_json
from brats_unet.nifti import read_volume, write_volume
from brats_unet.run import Run
from brats_unet.volume import Volume
from tests.end_to_end.test_pipeline import TINY

FIXED = [*TINY, "validation.every=0.5", "hardware.precision=float32", "name=mine"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, phantom_root):
    """A folder with `scans/` and a run of 2 of 4 steps, trained there with relative paths, and one of all 4."""
    place = tmp_path_factory.mktemp("cluster")
    shutil.copytree(phantom_root, place / "scans")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(["train", *FIXED, "data.root=scans", "steps=2"]) == 0
        assert main(["train", *FIXED, "data.root=scans", "steps=4", "runs=straight"]) == 0
    return place


@pytest.fixture
def home(trained, tmp_path, monkeypatch):
    """A copy of the data and the unfinished run in other folders than they were made in, and no way back to these."""
    shutil.copytree(trained / "scans", tmp_path / "data")
    run = Run(shutil.copytree(trained / "runs" / "mine", tmp_path / "results" / "mine"))
    settings = run.settings()
    for key in ("root", "cache"):
        settings["data"][key] = str(tmp_path / "gone")
    write_json(run.settings_file, settings)
    monkeypatch.chdir("/")
    return tmp_path


def test_the_same_folder_spelled_otherwise_resumes_the_run(trained, monkeypatch, capsys):
    monkeypatch.chdir(trained)
    assert main(["train", *FIXED, "data.root=./scans/", "data.cache=./cache", "steps=2"]) == 0
    assert "Trained 2 steps" in capsys.readouterr().out


def test_a_run_is_evaluated_and_tuned_from_another_folder_without_saying_where_its_data_are(trained, monkeypatch):
    run = trained / "straight" / "mine"
    monkeypatch.chdir("/")
    assert main(["evaluate", f"run={run}", "figures=false"]) == 0
    assert main(["tune", f"run={run}", "folds=2", "rules=[threshold]"]) == 0


def test_a_run_that_moved_with_its_data_is_evaluated_tuned_and_reported_there(home, capsys):
    moved = [f"run={home / 'results' / 'mine'}", f"data.root={home / 'data'}", f"data.cache={home / 'cache'}"]
    assert main(["evaluate", f"run={home / 'results' / 'mine'}"]) == 2
    assert f"{home / 'gone'}: there is no such folder" in (said := capsys.readouterr().err) and "data.root=…" in said
    assert main(["evaluate", *moved, "figures=false"]) == 0
    assert "data holds the cases of mine: the 2 that it held out are scored." in capsys.readouterr().out
    assert main(["tune", *moved, "folds=2", "rules=[threshold]"]) == 0
    assert main(["report", f"run={home / 'results' / 'mine'}", "viewer=1"]) == 0
    assert "1 cases to scroll" in capsys.readouterr().out


def test_scans_that_moved_after_they_were_scored_are_shown_on_the_page(home, trained, capsys):
    run = shutil.copytree(trained / "straight" / "mine", home / "scored")
    assert main(["evaluate", f"run={run}", "figures=false"]) == 0
    settings = json.loads((run / "settings.json").read_text())
    settings["data"]["root"] = str(home / "gone")
    write_json(run / "settings.json", settings)
    assert main(["report", f"run={run}", "viewer=1"]) == 0
    assert "0 cases to scroll" in capsys.readouterr().out
    assert main(["report", f"run={run}", "viewer=1", f"data.root={home / 'data'}"]) == 0
    assert "1 cases to scroll" in capsys.readouterr().out
    assert main(["report", f"run={run}", f"data.root={home / 'nowhere'}"]) == 2


def test_a_run_that_moved_with_its_data_goes_on_to_the_bits_of_one_that_stayed(home, trained):
    where = [f"data.root={home / 'data'}", f"data.cache={home / 'cache'}", f"runs={home / 'results'}"]
    assert main(["train", *FIXED, *where, "steps=4"]) == 0
    found, expected = (
        load_file(folder / "mine/checkpoints/last.safetensors") for folder in (home / "results", trained / "straight")
    )
    for key, tensor in expected.items():
        np.testing.assert_array_equal(found[key], tensor, err_msg=key)


def _lacking(data):
    shutil.rmtree(data / "Phantom20_002")
    return "1 missing (Phantom20_002)"


def _with_a_new_one(data):
    (data / "Phantom20_009").mkdir()
    for file in (data / "Phantom20_001").iterdir():
        shutil.copy(file, data / "Phantom20_009" / file.name.replace("001", "009"))
    return "1 new (Phantom20_009)"


def _with_another_scan(data, suffix="t2.nii.gz"):
    for number in (1, 3):
        (scan,) = (data / f"Phantom20_00{number}").glob(f"*{suffix}")
        volume = read_volume(scan)
        write_volume(scan, Volume(volume.array.astype(np.int16) + np.int16(1), volume.affine))
    return "2 with other content (Phantom20_001, Phantom20_003)"


@pytest.mark.parametrize("change", [_lacking, _with_a_new_one, _with_another_scan])
def test_other_data_than_the_run_s_do_not_resume_it_and_are_named(home, change, capsys):
    expected = change(home / "data")
    before = (home / "results/mine/journal.jsonl").read_bytes()
    where = [f"data.root={home / 'data'}", f"data.cache={home / 'cache'}", f"runs={home / 'results'}"]
    assert main(["train", *FIXED, *where, "steps=4"]) == 2
    said = capsys.readouterr().err
    assert f"{home / 'data'} does not hold the cases that {home / 'results/mine'} was trained with: {expected}." in said
    assert (home / "results/mine/journal.jsonl").read_bytes() == before


def test_tune_refuses_other_data_than_the_run_s_and_names_the_cases(home, capsys):
    run = Run(home / "results" / "mine")
    (missing, *_) = json.loads(run.folds_file.read_text())["validation"]
    shutil.rmtree(home / "data" / missing)
    _with_a_new_one(home / "data") if missing != "Phantom20_001" else None
    assert main(["tune", f"run={run.folder}", f"data.root={home / 'data'}", "folds=2"]) == 2
    said = capsys.readouterr().err
    assert f"{home / 'data'} does not hold the data of {run.folder}: 1 missing ({missing})" in said


@pytest.mark.parametrize("setting", ["data.cache", "runs"])
def test_nothing_is_written_into_the_data(home, setting, capsys):
    inside = home / "data" / "sub"
    told = {"data.cache": str(home / "cache"), "runs": str(home / "new")} | {setting: str(inside)}
    given = [f"{key}={value}" for key, value in told.items()]
    assert main(["train", *FIXED, f"data.root={home / 'data'}", *given, "steps=1"]) == 2
    assert f"{setting}={inside} lies in the data, {home / 'data'}, which are only read." in capsys.readouterr().err
    assert not inside.exists()
