"""Arguments that are no key=value: every command says what was most likely meant, without a traceback."""

import pytest

from brats_unet.cli import main as cli
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.cli.overrides import PATH_SETTING
from brats_unet.cli.plain_paths import SETTINGS

PATHS = {"folder": "scans", "file": "scan.nii.gz", "missing": "no/such", "run": "runs/demo"}


@pytest.fixture
def paths(empty_folder):
    """A folder, a file and a run folder beside one another."""
    (empty_folder / "scans").mkdir()
    (empty_folder / "scan.nii.gz").touch()
    (empty_folder / "runs" / "demo").mkdir(parents=True)
    (empty_folder / "runs" / "demo" / "settings.json").write_text("{}")


def test_every_command_takes_paths_or_names_the_setting_that_one_is_meant_for():
    assert PATH_SETTING.keys() | SETTINGS.keys() == set(COMMANDS) and not PATH_SETTING.keys() & SETTINGS.keys()
    for meant in (PATH_SETTING, SETTINGS):
        assert all(setting in Conf(command).types for command, setting in meant.items())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("command", PATH_SETTING)
def test_a_bare_path_is_answered_with_the_setting_that_it_is_meant_for(command, path, paths, told, capsys):
    setting = "init" if (command, path) == ("train", "run") else PATH_SETTING[command]
    assert cli.main([command, PATHS[path]]) == 2 and told == []
    expected = f"error: Expected key=value, but found {PATHS[path]}. Did you mean {setting}={PATHS[path]}?\n"
    assert capsys.readouterr().err == expected


def test_a_suggested_path_is_quoted_for_the_shell(empty_folder, told, capsys):
    (empty_folder / "my scans").mkdir()
    cli.main(["train", "my scans"])
    assert "'data.root=my scans'?" in capsys.readouterr().err


ANSWERS = {
    ("train", "=x"): "The key before the equals sign is missing: write seed=1, for example.",
    ("train", "'seed=1'"): "Leave out the quotes: seed=1",
    ("train", "“seed=1”"): "Leave out the quotes: seed=1",
    ("train", "seed:1"): "Write an equals sign instead of the colon: seed=1",
    ("train", "seed: 1"): "Write an equals sign instead of the colon: seed=1",
    ("train", "seed"): "Give it a value: seed=…",
    ("train", "seed", "1"): "Give it a value: seed=1",
    ("train", "seed", "=", "1"): "There is a space after seed. Write seed=1 as one word.",
    ("train", "plan.yaml"): "Did you mean plan=plan.yaml?",
    ("train", "unet2d"): "Did you mean model=unet2d?",
    ("train", ""): "There is an empty argument between quotes. Leave it out.",
    ("train", "-"): "See `brats-unet train --help`.",
    ("train", "help"): "See `brats-unet train --help`.",
    ("phantom", "5"): "See `brats-unet phantom --help`.",
    ("predict", "model.keras"): "model.keras: there is no such file or folder. . holds nothing.",
    ("evaluate", "run", "=", "a"): "There is a space after run. Write run=a as one word.",
    ("evaluate", "mirror"): "Give it a value: mirror=…",
    ("fuse", "glioma"): "Did you mean scheme=glioma?",
}


@pytest.mark.parametrize("argv", ANSWERS)
def test_an_argument_that_is_no_setting_is_answered_with_what_was_meant(argv, told, capsys):
    assert cli.main(list(argv)) == 2
    error = capsys.readouterr().err
    assert ANSWERS[argv] in error and error.count("\n") == 1 and told == []
