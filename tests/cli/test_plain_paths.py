"""Paths without the name of their setting: runs, folders and globs, quoted or not, for the commands that open them."""

import pytest

from brats_unet.cli import main as cli
from brats_unet.cli.plain_paths import SETTINGS


@pytest.fixture
def place(empty_folder):
    """Three runs, one of them with an equals sign in its name, a folder of scans, two of masks, and a sweep's table."""
    for name in ("fold0", "fold1", "rate=0.1"):
        (empty_folder / "runs" / name).mkdir(parents=True)
        (empty_folder / "runs" / name / "recipe.json").touch()
    for name in ("scans", "my masks", "masks"):
        (empty_folder / name).mkdir()
    (empty_folder / "runs" / "sweep-1a2b3c4d.csv").touch()
    (empty_folder / "model.keras").touch()
    return empty_folder


MEANT = {
    ("evaluate", "runs/fold0"): {"run": "runs/fold0"},
    ("evaluate", "runs/fold0", "runs/fold1", "output=x"): {"run": ["runs/fold0", "runs/fold1"], "output": "x"},
    ("evaluate", "runs/fold*", "output=x"): {"run": ["runs/fold0", "runs/fold1"]},
    ("evaluate", "runs/rate=0.1"): {"run": "runs/rate=0.1"},
    ("evaluate", "runs/fold0", "scans"): {"run": "runs/fold0", "data.root": "scans"},
    ("evaluate", "masks", "scans", "output=x"): {"predictions": "masks", "references": "scans", "run": None},
    ("predict", "runs/fold[01]", "scans", "output=x"): {"run": ["runs/fold0", "runs/fold1"], "input": "scans"},
    ("predict", "scans", "model.keras", "output=x"): {"run": "model.keras", "input": "scans"},
    ("tune", "runs/*0", "runs/fold1", "folds=2"): {"run": ["runs/fold0", "runs/fold1"], "folds": 2},
    ("export", "runs/fold0", "output=x"): {"run": "runs/fold0"},
    ("report", "runs/fold0"): {"run": "runs/fold0"},
    ("fuse", "masks", "my masks", "output=x"): {"inputs": ["masks", "my masks"]},
    ("compare", "runs/*"): {"runs": ["runs/fold0", "runs/fold1", "runs/rate=0.1"]},
    ("compare", "runs/fold0", "my masks"): {"runs": ["runs/fold0", "my masks"]},
}


@pytest.mark.parametrize("argv", MEANT)
def test_paths_are_values_of_the_settings_that_they_are_meant_for(argv, place, told):
    assert cli.main(list(argv)) == 0
    for key, value in MEANT[argv].items():
        found = told[0]
        for name in key.split("."):
            found = getattr(found, name)
        assert found == value


REFUSED = {
    ("evaluate", "runs/fold7"): "runs/fold7: there is no such file or folder. Did you mean runs/fold1?",
    (
        "evaluate",
        "runs/x*",
    ): "runs/x*: there is nothing of that name. runs holds fold0, fold1, rate=0.1, sweep-1a2b3c4d.csv.",
    ("evaluate", "nowhere/a"): "nowhere/a: there is no such file or folder. There is no folder nowhere either.",
    ("tune", "runs/fold0", "scans"): "`brats-unet tune` takes runs. No runs or networks: scans.",
    (
        "evaluate",
        "scans",
    ): "takes runs, or a run and a folder of cases, or two folders of masks, the expert masks last.",
    (
        "predict",
        "scans",
        "masks",
        "output=x",
    ): "takes one or more runs, and one folder of scans. No runs or networks: scans, masks.",
    ("export", "runs/*", "output=x"): "`brats-unet export` takes one path; found 3: runs/fold0, runs/fold1",
    ("evaluate", "run=runs/fold0", "runs/fold1"): "run=runs/fold0 and runs/fold1 name the same. Give one of them.",
}


@pytest.mark.parametrize("argv", REFUSED)
def test_paths_that_match_nothing_or_do_not_fit_are_refused_with_what_there_is(argv, place, told, capsys):
    assert cli.main(list(argv)) == 2 and told == []
    error = capsys.readouterr().err
    assert REFUSED[argv] in error and error.count("\n") == 1


def test_a_number_is_the_name_of_a_run(place, told, capsys):
    assert cli.main(["evaluate", "run=5"]) == cli.main(["evaluate", "run=[5,1.5]"]) == 0
    assert [settings.run for settings in told] == ["5", ["5", "1.5"]]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("evaluate", "run=true"), "run=true does not fit. Expected text, or a list such as [a,b], or null."),
        (("evaluate", "run=[[a]]"), "run[0]=[a] does not fit. Expected text."),
        (("tune", "run={a:1}"), "run={a:1} does not fit. Expected text, or a list such as [a,b], or null."),
        (("compare", "runs=[a,null]"), "runs[1]=null does not fit. Expected text."),
        (("evaluate", "run=a,b"), "run=a,b gives several values. Add -m to run each of them, or write run=[a,b]"),
    ],
)
def test_what_cannot_be_paths_is_refused(argv, sentence, place, told, capsys):
    assert cli.main(list(argv)) == 2 and told == []
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "phantom"])
def test_commands_that_make_runs_and_scans_never_take_paths(command, place, told, capsys):
    assert command not in SETTINGS
    assert cli.main([command, "scans"]) == 2 and told == []
    assert "Expected key=value, but found scans." in capsys.readouterr().err
