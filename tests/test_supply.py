"""The lock file and the list of licences name what the constraints pin."""

from email.message import Message

import pytest

from scripts.supply import LICENCES, LOCK, licence, licence_table, lock_text, locked
from tests.test_scripts import ROOT


def pins():
    text = (ROOT / "constraints.txt").read_text()
    return dict(line.lower().replace("_", "-").split("==") for line in text.splitlines() if "==" in line)


def test_every_line_of_the_lock_has_a_version_and_a_hash():
    text = LOCK.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(locked(text)) == len(lines) > 50


def test_the_lock_holds_the_versions_of_the_constraints():
    found = {name.replace("_", "-"): version for name, version in locked(LOCK.read_text()).items()}
    known = pins()
    assert {name: version for name, version in found.items() if known.get(name, version) != version} == {}
    assert {"tensorflow", "keras", "numpy", "nibabel", "hydra-core"} <= found.keys() & known.keys()


def test_every_locked_package_has_a_stated_licence():
    text = LICENCES.read_text()
    rows = {
        line.split(" | ")[0].removeprefix("| "): line.split(" | ")[2]
        for line in text.splitlines()
        if line.startswith("| ")
    }
    assert locked(LOCK.read_text()).keys() <= rows.keys()
    assert [name for name, words in rows.items() if not words or words == "not stated"] == ["namex"]  # of Keras


def test_a_lock_is_written_and_read_back():
    package = {
        "metadata": {"name": "Some_Package", "version": "1.2"},
        "download_info": {"archive_info": {"hashes": {"sha256": "ab" * 32}}},
    }
    own = {"metadata": {"name": "brats-unet", "version": "0"}, "download_info": {}}
    text = lock_text([own, package], "Python 3")
    assert text.splitlines()[1] == f"some_package==1.2 --hash=sha256:{'ab' * 32}" and locked(text) == {
        "some_package": "1.2"
    }


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([("License-Expression", "MIT")], "MIT"),
        ([("Classifier", "License :: OSI Approved :: BSD License"), ("License", "x")], "BSD License"),
        ([("License", "Apache 2.0\nlong text")], "Apache 2.0"),
        ([], "not stated"),
    ],
)
def test_a_licence_is_read_from_what_the_package_states(fields, words):
    about = Message()
    for key, value in fields:
        about[key] = value
    assert licence(about) == words


def test_the_table_says_who_needs_a_package():
    table = licence_table({"numpy": "2", "pytest": "8"}, {"numpy"})
    assert "| numpy | 2 | " in table and table.splitlines()[-1].endswith("| extras, tests |")
