"""scheme= on the command line: a name, a file of the user's own, a file beside other choices of theirs."""

import json
import shlex

import pytest

from brats_unet.binding import flat
from brats_unet.cli import arguments, checks, hydra, sweep
from brats_unet.cli.conf_files import Conf
from brats_unet.errors import SettingsError
from brats_unet.schemes.scheme_file import builtin

MINE = "labels: {A: 1, B: 2}\nregions: {both: [A, B], A: [A]}\n"


def scheme_of_line(line):
    request = arguments.split(shlex.split(line))
    return hydra.settings_of(request, checks.checked(request))["scheme"]


@pytest.fixture
def mine(tmp_path):
    (tmp_path / "a folder").mkdir()
    path = tmp_path / "a folder" / "mine, too.yaml"
    path.write_text(MINE)
    return path


@pytest.mark.parametrize("command", ["train", "plan", "doctor", "check data.root=/x", "phantom"])
def test_glioma_is_the_default(command):
    assert scheme_of_line(command) == builtin("glioma").as_dict()


@pytest.mark.parametrize("command", ["evaluate", "fuse inputs=[a,b] output=o"])
def test_commands_that_can_decide_have_no_default(command):
    assert scheme_of_line(command) is None
    assert scheme_of_line(f"{command} scheme=lesion") == builtin("lesion").as_dict()


def test_a_file_of_ones_own_is_a_choice_wherever_it_lies(tmp_path, monkeypatch):
    for folder in (tmp_path, tmp_path / "sub"):
        folder.mkdir(exist_ok=True)
        (folder / "mine.yaml").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "mine.yaml", "mine.yaml", "./mine.yaml", "sub/mine.yaml", "sub/../mine.yaml"):
        found = scheme_of_line(f"train scheme={path}")
        assert found["name"] == "mine" and found["predicted"] == ["both", "A"]


def test_the_path_may_hold_spaces(mine):
    path = mine.rename(mine.with_name("my scheme.yaml"))
    assert scheme_of_line(f"check data.root=/x 'scheme={path}'")["name"] == "my scheme"


def test_a_file_in_ones_own_conf_folder_is_a_choice_by_its_name(tmp_path):
    (tmp_path / "scheme").mkdir()
    (tmp_path / "scheme" / "theirs.yaml").write_text(MINE)
    assert scheme_of_line(f"train --config-dir {tmp_path} scheme=theirs")["name"] == "theirs"


def test_a_broken_file_is_refused_with_its_line_and_a_typo_with_the_nearest_name(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("labels: {A: 1}\nregions: {R: [B]}\n")
    with pytest.raises(SettingsError, match=r"mine\.yaml, line 2, regions\.R\.labels: There is no label B\."):
        scheme_of_line(f"train scheme={path}")
    with pytest.raises(SettingsError, match=r"There is no scheme=gliom\. Did you mean glioma\?"):
        scheme_of_line("train scheme=gliom")
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: no such file"):
        scheme_of_line("evaluate scheme=nowhere.yaml")


def test_help_lists_the_schemes_and_none_of_their_inner_keys(capsys):
    from brats_unet.cli.main import main

    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    assert "* glioma " in text and "glioma_post" in text and "scheme.labels" not in text


def test_a_sweep_takes_several_schemes_also_by_path(tmp_path, monkeypatch, capfd):
    (tmp_path / "mine.yaml").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    started = []
    monkeypatch.setattr(sweep, "child", lambda command, variables: started.append(command) or 0)
    request = arguments.split(["train", "-m", "scheme=lesion,mine.yaml"])
    assert sweep.sweep(request, checks.checked(request)) == 0
    schemes = [next(word for word in command if word.startswith("scheme=")) for command in started]
    assert schemes == ["scheme=lesion", "scheme=mine.yaml"]


def test_settings_of_a_scheme_are_json():
    assert json.loads(json.dumps(scheme_of_line("train scheme=glioma_post")))["name"] == "glioma_post"


def test_every_choice_of_the_group_opens_with_a_summary():
    assert all(Conf("train").choices("scheme").values())


@pytest.mark.parametrize(
    ("line", "key", "folder"),
    [
        ("train", "data.root", "phantoms"),
        ("train scheme=lesion", "data.root", "phantoms-lesion"),
        ("train scheme=lesion data.root=/x", "data.root", "/x"),
        ("phantom scheme=glioma_post", "output", "phantoms-glioma_post"),
        ("phantom scheme=lesion output=o", "output", "o"),
    ],
)
def test_phantoms_of_another_scheme_have_a_folder_of_their_own(line, key, folder):
    request = arguments.split(shlex.split(line))
    assert flat(hydra.settings_of(request, checks.checked(request)))[key] == folder
