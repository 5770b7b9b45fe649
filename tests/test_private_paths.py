"""Private paths are replaced by their last component, and nothing else is."""

from pathlib import Path

import pytest

from brats_unet.private_paths import short_command, short_path, short_text, short_texts, short_values


@pytest.mark.parametrize(
    ("word", "short"),
    [
        ("/a/run", "run"),
        ("run=/a/run", "run=run"),
        ("run=[/a/x,/b/y]", "run=[x,y]"),
        ("run=['/a b/x',\"/b/y\", z]", "run=['x',\"y\", z]"),
        ("'run=[/a/x]'", "'run=[x]'"),
        ("data.root='/a/Doe, Jane/x'", "data.root='x'"),
        ("data.root=/a/Doe, Jane/x", "data.root=x"),
        ("data.root=Doe/x", "data.root=x"),
        ("data.root=/a/x,/b/y", "data.root=x,y"),
        ("+input=~/Doe/x", "+input=x"),
        ("input=~jane/x", "input=x"),
        ("output=../Doe/x", "output=x"),
        ("--config-dir=/a/b", "--config-dir=b"),
        ("model={init: /a/b,n: 1}", "model={init: b,n: 1}"),
        ("output=out/masks", "output=out/masks"),
        ("~model.norm", "~model.norm"),
        ("tolerances_mm=[1,2]", "tolerances_mm=[1,2]"),
        ("--json", "--json"),
    ],
)
def test_a_word_of_a_command_line_keeps_the_last_component_of_its_paths(word, short):
    assert short_command([word]) == [short]


def test_a_path_that_contains_the_home_folder_is_private(monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane")
    assert short_path("file:///home/jane/x") == "x"
    monkeypatch.setenv("HOME", "/")
    assert short_path("out/masks") == "out/masks"


def test_settings_keep_the_last_component_of_their_paths():
    settings = {"data": {"root": "Doe/scans", "cache": "/a/cache", "folds": 5}, "runs": "out/runs", "init": None}
    short = {"data": {"root": "scans", "cache": "cache", "folds": 5}, "runs": "out/runs", "init": None}
    assert short_values(settings) == short


def test_a_sentence_names_files_from_the_given_folder_on_and_others_by_their_last_component():
    folder = Path("/data/Doe, Jane/scans")
    told = f"{folder}/a/a_t1.nii.gz: broken; 1/2 of it and/or /other/b.nii.gz, in {folder}."
    assert short_text(told, [folder]) == "scans/a/a_t1.nii.gz: broken; 1/2 of it and/or b.nii.gz, in scans."


def test_every_text_of_a_document_is_shortened_and_other_values_stay():
    document = {"a": ["in /x/y/z.nii", {"b": "see https://example.org/a/b"}], "n": 1.5, "none": None}
    short = {"a": ["in z.nii", {"b": "see https://example.org/a/b"}], "n": 1.5, "none": None}
    assert short_texts(document) == short
