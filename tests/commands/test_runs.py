"""The command `brats-unet runs`: the state, length, time and Dice of each training in a folder."""

import csv
import json

import pytest

from brats_unet.cli.main import main
from brats_unet.json_files import write_json
from brats_unet.report.run_facts import facts_of
from brats_unet.run import Run
from brats_unet.run_lock import locked


def write_run(
    folder,
    *lines,
    steps=10,
    files=("model.keras", "recipe.json", "folds.json", "checkpoints/last.safetensors"),
    **settings,
):
    """A run folder with these lines in its journal, each (event, facts)."""
    run = Run(folder)
    write_json(run.settings_file, {"steps": steps, "sampling": {"batch": 2}, **settings})
    for event, facts in lines:
        run.note(event, **facts)
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    return run


def step(number):
    return "step", {"step": number, "loss": 1.0, "patches_per_second": 4.0}


def validation(number, wt, tc):
    return "validation", {"step": number, "dice": {"WT": wt, "TC": tc}, "seconds": 1.5}


def ended(state, at, seconds=60.0, **more):
    return "end", {"state": state, "at": at, "seconds": seconds, **more}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """runs/ with a run of each state, two folds of one name, a folder that is no run, and a file."""
    runs = tmp_path / "runs"
    steps = [step(n) for n in (1, 2)]
    write_run(runs / "good", *steps, validation(2, 0.9, 0.8), ended("done", 2), steps=2, seed=1)
    write_run(
        runs / "worse", *steps, validation(1, 0.7, 0.7), validation(2, 0.5, 0.6), ended("done", 2), steps=2, seed=2
    )
    write_run(runs / "stopped", *steps, ended("stopped", 2), files=["checkpoints/last.safetensors"])
    write_run(
        runs / "failed",
        step(1),
        ended("failed", 1, sentence="The loss is nan."),
        files=["checkpoints/initial.safetensors"],
    )
    write_run(runs / "broken", *steps, ended("done", 2), steps=2, files=["recipe.json", "folds.json"])
    write_run(runs / "lost", *steps, files=[])
    for fold in (0, 1):
        write_run(runs / "cv" / f"fold_{fold}", *steps, validation(2, 0.4, 0.4), ended("done", 2), steps=2)
    (runs / "scans").mkdir()
    (runs / "table.csv").touch()
    monkeypatch.chdir(tmp_path)
    return runs


def listed(capsys, *arguments):
    assert main(["runs", *arguments, "json=true"]) == 0
    return {one["run"]: one for one in json.loads(capsys.readouterr().out)}


def test_every_run_is_listed_with_its_state_and_numbers(place, capsys):
    found = listed(capsys)
    assert {name: one["state"] for name, one in found.items()} == {
        "good": "done",
        "worse": "done",
        "cv/fold_0": "done",
        "cv/fold_1": "done",
        "broken": "broken",
        "failed": "failed",
        "lost": "broken",
        "stopped": "stopped",
    }
    worse = found["worse"]
    assert (worse["best_dice"], worse["final_dice"]) == ({"WT": 0.7, "TC": 0.7}, {"WT": 0.5, "TC": 0.6})
    assert (worse["best_mean_dice"], worse["final_mean_dice"]) == (0.7, 0.55)
    assert (worse["step"], worse["steps"], worse["seconds"]) == (2, 2, 60.0)
    assert found["failed"]["problem"] == "The loss is nan."
    assert "model.keras is missing" in found["broken"]["problem"] and "no checkpoint" in found["lost"]["problem"]


def test_the_best_comes_first_or_what_is_asked_for(place, capsys):
    assert list(listed(capsys))[:2] == ["good", "worse"]
    assert list(listed(capsys, "sort=name"))[:3] == ["broken", "cv/fold_0", "cv/fold_1"]
    assert list(listed(capsys, "state=failed")) == ["failed"]
    assert list(listed(capsys, "match=seed=2")) == ["worse"]
    assert list(listed(capsys, "match=fold_1", str(place))) == ["cv/fold_1"]


def test_a_run_in_which_a_process_works_is_running(place):
    with locked(place / "stopped"):
        assert facts_of(Run(place / "stopped"), "stopped").state == "running"


def test_steps_after_the_last_end_belong_to_a_start_that_was_killed(tmp_path):
    run = write_run(tmp_path / "a", step(1), ended("done", 1), step(2), steps=2)
    assert facts_of(run, "a").state == "stopped"


def test_a_finished_run_of_an_earlier_version_notes_no_end_but_has_its_network(tmp_path):
    assert facts_of(write_run(tmp_path / "a", step(10)), "a").state == "done"
    assert facts_of(write_run(tmp_path / "b", step(4), files=["checkpoints/last.safetensors"]), "b").state == "stopped"


def test_the_time_of_a_killed_start_is_that_of_its_steps_and_validations(tmp_path):
    run = write_run(tmp_path / "a", step(1), step(2), validation(2, 1, 1))
    assert facts_of(run, "a").seconds == 2 * 2 / 4 + 1.5


def test_settings_that_cannot_be_read_make_a_run_broken_and_hide_no_other(place, capsys):
    (place / "worse" / "settings.json").write_text("{")
    found = listed(capsys)
    assert found["worse"]["state"] == "broken" and "not readable as JSON" in found["worse"]["problem"]
    assert found["good"]["state"] == "done"


def test_the_table_names_the_best_run_and_the_next_command(place, capsys):
    assert main(["runs"]) == 0
    text = capsys.readouterr().out
    assert "Best: good, mean Dice 0.850 in the best of its validations." in text
    assert "Next: brats-unet evaluate runs/good" in text and "1 stopped: the same command goes on with it." in text
    assert "failed failed: The loss is nan." in text


def test_the_csv_has_a_column_for_each_setting_that_differs(place, capsys):
    assert main(["runs", "state=done", "match=seed", "output=t.csv"]) == 0
    with open("t.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["seed"], row["best_dice_WT"]) for row in rows] == [
        ("good", "1", "0.9"),
        ("worse", "2", "0.7"),
    ]


@pytest.mark.parametrize(
    ("argument", "sentence"),
    [
        ("sort=beste", "There is no sort=beste. Did you mean best?"),
        ("state=don", "There is no state=don. Did you mean done?"),
        ("folder=nowhere", "nowhere: there is no such folder."),
        ("folder=runs/scans", "runs/scans holds no runs. `brats-unet train runs=runs/scans` puts one there."),
        ("output=t.txt", "output=t.txt: give the name of a CSV file"),
    ],
)
def test_what_does_not_fit_is_refused(place, argument, sentence, capsys):
    assert main(["runs", argument]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("line", ['{"event": "end", "state": "done"}', "[]", '{"event": "step", "step": "two"}'])
def test_a_journal_of_something_else_makes_a_run_broken_and_hides_no_other(place, capsys, line):
    (place / "worse" / "journal.jsonl").write_text(line + "\n")
    found = listed(capsys)
    assert found["worse"]["state"] == "broken" and found["good"]["state"] == "done"
