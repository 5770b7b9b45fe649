"""Arguments that are no key=value: every command says what was most likely meant, without a traceback."""

import pytest

from brats_unet.cli import main as cli
from brats_unet.cli.arguments import GATHERED
from brats_unet.cli.conf_files import COMMANDS, Conf
from brats_unet.cli.overrides import PATH_SETTING, TAKE_SEVERAL

PATHS = {"folder": "scans", "file": "scan.nii.gz", "missing": "no/such", "run": "runs/demo"}


@pytest.fixture
def paths(empty_folder):
    """A folder, a file and a run folder beside one another."""
    (empty_folder / "scans").mkdir()
    (empty_folder / "scan.nii.gz").touch()
    (empty_folder / "runs" / "demo").mkdir(parents=True)
    (empty_folder / "runs" / "demo" / "settings.json").write_text("{}")


def test_every_command_names_the_setting_that_a_bare_path_is_meant_for():
    assert list(PATH_SETTING) and set(PATH_SETTING) == set(COMMANDS)
    assert all(setting in Conf(command).types for command, setting in PATH_SETTING.items())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_bare_path_is_answered_with_its_setting_or_gathered(command, path, paths, told, capsys):
    code = cli.main([command, PATHS[path]])
    if command in GATHERED:
        assert code == 0 and told[0].runs == [PATHS[path]]
        return
    setting = PATH_SETTING[command]
    if path == "run":
        setting = {"train": "init", "predict": "run"}.get(command, setting)
    expected = f"{setting}={PATHS[path]}" if command != "fuse" else f"'inputs=[{PATHS[path]}]'"
    error = capsys.readouterr().err
    assert code == 2 and told == []
    assert error == f"error: Expected key=value, but found {PATHS[path]}. Did you mean {expected}?\n"


@pytest.mark.parametrize("command", TAKE_SEVERAL)
def test_several_bare_paths_become_one_list(command, paths, told, capsys):
    assert cli.main([command, "scans", "no/such", "output=x"]) == 2
    assert f"Did you mean '{PATH_SETTING[command]}=[scans,no/such]'?" in capsys.readouterr().err


def test_a_suggested_path_is_quoted_for_the_shell(empty_folder, told, capsys):
    (empty_folder / "my scans").mkdir()
    cli.main(["train", "my scans"])
    cli.main(["fuse", "my scans", "b"])
    error = capsys.readouterr().err
    assert "'data.root=my scans'?" in error and """"inputs=['my scans','b']"?""" in error


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
    ("predict", "model.keras"): "Did you mean run=model.keras?",
}


@pytest.mark.parametrize("argv", ANSWERS)
def test_an_argument_that_is_no_setting_is_answered_with_what_was_meant(argv, told, capsys):
    assert cli.main(list(argv)) == 2
    error = capsys.readouterr().err
    assert ANSWERS[argv] in error and error.count("\n") == 1 and told == []
