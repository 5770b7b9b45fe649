"""`brats-unet crossval`: a training for each fold, out-of-fold scores, and an ensemble that other commands take as a run."""

import contextlib
import csv
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton

from brats_unet import load
from brats_unet.cli import main as cli
from brats_unet.cli import sweep
from brats_unet.json_files import read_json
from brats_unet.run import Run
from brats_unet.run_lock import locked
from tests.end_to_end.test_pipeline import TINY

RECIPE = [word for word in TINY if not word.startswith("data.folds")] + ["hardware.precision=float32"]


def crossval(folder, phantom_root, *more):
    where = [f"data.root={phantom_root}", f"data.cache={folder / 'cache'}", f"runs={folder}", "name=cv"]
    return ["crossval", *RECIPE, *where, "folds=2", "steps=3", "validation.every=1", "figures=false", *more]


def start(*command):
    return subprocess.Popen([sys.executable, "-m", "brats_unet", *command], stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, phantom_root):
    """A finished cross-validation, whose jobs ran in this process: its folder, and what it said."""
    place = tmp_path_factory.mktemp("place")
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        patch.setattr(sweep, "child", in_this_process(patch))
        assert cli.main(crossval(place, phantom_root)) == 0
    return place / "cv", said.getvalue()


def in_this_process(patch):
    """Run a job without a process of its own, which would import TensorFlow again."""

    def child(command, variables):
        outer = Singleton.get_state()  # that of the sweep, which Hydra runs
        GlobalHydra.instance().clear()
        try:
            with patch.context() as inner:
                for name, value in variables.items():
                    inner.setenv(name, value)
                return cli.main(command[3:])
        finally:
            Singleton.set_state(outer)

    return child


@pytest.mark.slow
def test_killed_in_its_second_fold_it_goes_on_with_the_same_command(tmp_path, phantom_root):
    second = Run(tmp_path / "cv" / "fold_1")
    with start(*crossval(tmp_path, phantom_root)) as process:
        while not second.journal_file.exists() and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[1]
    assert process.returncode == 75 and "Run the same command again to continue." in said
    assert not (tmp_path / "cv" / "ensemble.json").exists()
    with start(*crossval(tmp_path, phantom_root)) as process:
        said = process.communicate()[1]
    assert process.returncode == 0, said
    assert len(Run(tmp_path / "cv" / "fold_0").journal("step")) == 3
    assert (tmp_path / "cv" / "ensemble.json").exists() and (tmp_path / "cv" / "report.html").exists()


def test_every_case_is_scored_once_by_the_fold_that_left_it_out(finished):
    folder, _ = finished
    with open(folder / "scores.csv", newline="") as file:
        dice = [row["case"] for row in csv.DictReader(file) if (row["region"], row["metric"]) == ("WT", "dice")]
    held_out = [json.loads((folder / f"fold_{k}" / "folds.json").read_text())["validation"] for k in (0, 1)]
    assert sorted(dice) == sorted([*held_out[0], *held_out[1]]) and len(dice) == len(set(dice)) == 4
    for fold in (0, 1):
        masks = {path.name.removesuffix(".nii.gz") for path in (folder / f"fold_{fold}").rglob("predictions/*.nii.gz")}
        assert masks == set(held_out[fold])
    assert read_json(folder / "ensemble.json", what="ensemble") == {"members": ["fold_0", "fold_1"]}
    assert (folder / "report.html").is_file() and (folder / "folds.csv").read_text().count("\n") == 3


def test_it_ends_with_the_table_of_the_folds_and_the_next_command(finished):
    folder, said = finished
    assert "fold=0   done" in said and "fold=1   done" in said
    assert f"Next: brats-unet predict {folder} input=… output=…" in said


def test_the_ensemble_is_taken_as_one_run(finished, phantom_root, tmp_path, capsys):
    folder, _ = finished
    assert cli.main(["predict", str(folder), str(phantom_root), f"output={tmp_path / 'masks'}"]) == 0
    networks = json.loads((tmp_path / "masks" / "predictions.json").read_text())["networks"]
    assert len(networks) == 2
    case = next(path for path in phantom_root.iterdir() if path.is_dir())
    segment = load(folder, log=lambda sentence: None)
    assert len(segment.networks) == 2 and segment(case).case == case.name
    assert cli.main(["tune", str(folder), "folds=2", "rules=[threshold]"]) == 0
    assert (folder / "fold_0/postprocessing.json").read_bytes() == (folder / "fold_1/postprocessing.json").read_bytes()
    assert cli.main(["compare", str(folder), str(folder / "fold_0")]) == 2  # other cases
    assert "Traceback" not in capsys.readouterr().err


def test_the_ensemble_is_exported_as_one_network(finished, phantom_root, tmp_path):
    folder, _ = finished
    out = tmp_path / "exported"
    assert cli.main(["export", str(folder), f"output={out}", "format=keras"]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["ensemble.json", "fold_0", "fold_1"]
    assert cli.main(["predict", str(out), str(phantom_root), f"output={tmp_path / 'masks'}"]) == 0
    assert len(list((tmp_path / "masks").glob("*.nii.gz"))) == 4
    assert cli.main(["export", str(folder), f"output={out}", "format=keras"]) == 2
    assert cli.main(["export", str(folder), f"output={out}", "format=keras", "overwrite=true"]) == 0


def test_an_export_of_an_ensemble_that_was_killed_between_two_networks_is_finished_by_the_same_command(
    finished, tmp_path, capsys
):
    folder, out = finished[0], tmp_path / "exported"
    line = ["export", str(folder), f"output={out}", "format=keras"]
    assert cli.main(line) == 0
    (out / "ensemble.json").unlink()
    shutil.rmtree(out / "fold_1")
    assert cli.main(["export", str(folder), f"output={out}", "format=savedmodel"]) == 2  # another export
    assert "holds an exported network" in capsys.readouterr().err
    assert cli.main(line) == 0
    assert sorted(path.name for path in out.iterdir()) == ["ensemble.json", "fold_0", "fold_1"]


def test_an_ensemble_that_lacks_a_member_or_holds_something_else_is_refused(finished, tmp_path, capsys):
    (tmp_path / "e").mkdir()
    for content, sentence in (
        ('{"members": ["fold_7"]}', "fold_7 is missing, a member of the ensemble. Restore it."),
        ('{"members": ["../x"]}', "expected a list of folders beside it, as members."),
        ('{"members": []}', "expected a list of folders beside it, as members."),
        ("[]", "found an empty list. Expected a JSON object."),
    ):
        (tmp_path / "e" / "ensemble.json").write_text(content)
        assert cli.main(["predict", str(tmp_path / "e"), str(tmp_path), f"output={tmp_path / 'm'}"]) == 2
        assert sentence in capsys.readouterr().err


def test_a_second_cross_validation_in_the_same_folder_is_refused(tmp_path, phantom_root, capsys):
    with start_holding(tmp_path / "cv"):
        assert cli.main(crossval(tmp_path, phantom_root)) == 2
    assert "cv is in use: process" in capsys.readouterr().err


def start_holding(folder):
    code = f"import sys; from pathlib import Path; from {locked.__module__} import locked\n"
    code += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_fold_that_fails_lets_the_others_go_on_and_there_is_no_ensemble(tmp_path, phantom_root, monkeypatch, capsys):
    started = []

    def child(command, variables):
        started.append(command)
        return 2 if "data.fold=0" in command else 0

    monkeypatch.setattr(sweep, "child", child)
    assert cli.main(crossval(tmp_path, phantom_root)) == 1
    assert len(started) == 2 and "No ensemble: fold 0 failed." in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "cv").iterdir()} == {".lock", "folds.csv"}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["data.fold=1"], "data.fold=1: crossval holds out every fold in turn. Leave it out, or use train."),
        (["data.folds=3"], "data.folds=3: the number of folds is set by folds=3."),
        (["-m"], "crossval runs one recipe over all folds. Leave out -m"),
        (["hardware=workers"], "hardware=workers trains one network with several processes."),
        (["data.splits=three.json"], "data.splits=three.json divides into 3 folds, folds=2."),
        (["folds=1"], "folds=1 does not fit. Expected"),
    ],
)
def test_what_does_not_fit_a_cross_validation_is_refused_and_leaves_nothing(
    tmp_path, phantom_root, more, sentence, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "three.json").write_text(json.dumps([{"train": ["a"], "val": ["b"]}] * 3))
    given = [word for word in crossval(tmp_path, phantom_root) if not (more == ["folds=1"] and word == "folds=2")]
    assert cli.main([*given, *more]) == 2
    assert sentence in capsys.readouterr().err and not Path(tmp_path / "cv").exists()
