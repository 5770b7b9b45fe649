import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from brats_unet import files
from brats_unet.errors import CheckpointError, MachineError
from brats_unet.files import (
    atomic_folder,
    atomic_path,
    conf_folder,
    entries,
    existing_parent,
    is_leftover,
    remove,
    remove_file,
    remove_leftovers,
    require_free_space,
    size_text,
)
from brats_unet.json_files import read_json, recorded_json, write_json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_json_is_read_as_it_was_written_including_umlauts(tmp_path):
    content = {"name": "Größe", "list": [1, 2.5, None], "nested": {"ok": True}}
    write_json(tmp_path / "made" / "a.json", content)
    assert read_json(tmp_path / "made" / "a.json", what="x") == content
    text = (tmp_path / "made" / "a.json").read_text(encoding="utf-8")
    assert "Größe" in text and text.endswith("}\n")


def test_content_that_is_not_json_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"new": object()})
    assert read_json(tmp_path / "a.json", what="x") == {"old": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_file_gets_its_name_only_when_it_is_complete(tmp_path):
    target = tmp_path / "model.bin"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists() and temporary.parent == tmp_path
    assert target.read_bytes() == b"half" and names(tmp_path) == ["model.bin"]


@pytest.mark.parametrize("problem", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_failed_write_leaves_the_old_file_or_none(tmp_path, problem, before):
    target = tmp_path / "model.bin"
    if before:
        target.write_bytes(before)
    with pytest.raises(problem), atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        raise problem
    assert names(tmp_path) == (["model.bin"] if before else [])
    assert not before or target.read_bytes() == before


def test_a_new_file_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_path(tmp_path / "a") as temporary:
            temporary.write_text("x")
        assert os.umask(0o027) == 0o027  # unchanged
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize(("umask", "mode"), [(0, 0o666), (0o027, 0o640)])
def test_a_new_file_is_never_executable(tmp_path, umask, mode):
    old = os.umask(umask)
    try:
        with atomic_path(tmp_path / "a"):
            pass
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_a_full_disk_is_reported_with_its_free_space(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=3 * 2**29))
    with pytest.raises(MachineError) as caught, atomic_path(tmp_path / "a") as temporary:
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")
    assert str(caught.value) == (
        f"{tmp_path / 'a'}: cannot be written (No space left on device; 1.5 GiB free there). "
        f"Make room, or choose another folder."
    )
    assert names(tmp_path) == []


def test_existing_parent_is_the_nearest_existing_folder(tmp_path, monkeypatch):
    assert existing_parent(tmp_path / "a" / "b") == tmp_path
    assert existing_parent(tmp_path) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert existing_parent(Path("a/b")) == tmp_path


def test_1_1_times_the_needed_space_must_be_free(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=11 * 2**30))
    require_free_space(tmp_path / "cache", 10 * 2**30, "the caches")
    with pytest.raises(MachineError) as caught:
        require_free_space(tmp_path / "cache", 11 * 2**30, "the caches")
    assert str(caught.value) == (
        f"{tmp_path / 'cache'}: 11.0 GiB free, but the caches need about 12.1 GiB. Make room, or choose another folder."
    )


def test_a_json_file_with_a_key_that_stands_twice_is_refused(tmp_path):
    (tmp_path / "rules.json").write_text('{"threshold": {"WT": 0.4}, "threshold": {}}')
    with pytest.raises(CheckpointError, match=r"not readable as JSON \(it holds the key “threshold” twice\)\. Tune\."):
        read_json(tmp_path / "rules.json", what="x", advice="Tune.")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "the run: there is no a.json. Expected a folder that `brats-unet train` made."),
        (b"[1]", "{path}: found a list (1). Expected a JSON object. Train again under another name."),
        (b"{", "{path}: not readable as JSON (.+). Train again under another name."),
    ],
)
def test_a_json_file_that_is_missing_or_no_object_is_refused_in_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    start, _, end = sentence.replace("{path}", str(path)).partition("(.+)")
    with pytest.raises(CheckpointError) as caught:
        read_json(path, what="the run")
    assert str(caught.value).startswith(start) and str(caught.value).endswith(end)


def test_a_folder_in_place_of_a_json_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"Is a directory\. Expected a readable file\."):
        read_json(tmp_path, what="the run")


def test_a_value_of_another_type_is_refused_with_the_advice(tmp_path):
    write_json(tmp_path / "a.json", {"n": "one"})
    with pytest.raises(CheckpointError, match=r"a\.json: .*n.* Tune\.$"):
        read_json(tmp_path / "a.json", dict[str, int], what="x", advice="Tune.")


def test_what_can_be_made_again_is_none_if_it_is_missing_broken_or_of_another_type(tmp_path):
    path = tmp_path / "a.json"
    assert recorded_json(path, dict[str, int]) is None
    path.write_text("{")
    assert recorded_json(path, dict[str, int]) is None
    path.write_text('{"n": "one"}')
    assert recorded_json(path, dict[str, int]) is None
    path.write_text('{"n": 1}')
    assert recorded_json(path, dict[str, int]) == {"n": 1}


def test_json_is_indented_by_two_blanks(tmp_path):
    write_json(tmp_path / "a.json", {"n": [1]})
    assert (tmp_path / "a.json").read_text().startswith('{\n  "n": [\n    1\n  ],\n  "blake2b_of_the_rest": "')


@pytest.mark.parametrize(
    ("name", "of", "expected"),
    [
        (".a.npy.0123abcd.part", None, True),
        (".a.npy.0123abcd.part.npy", None, True),
        (".a.npy.0123abcd.part", "a.npy", True),
        (".a.npy.0123abcd.part", "a", False),
        (".axnpy.0123abcd.part", "a.npy", False),
        ("a.npy.0123abcd.part", None, False),
        (".0123abcd.part", None, False),
        (".a.npy.0123abc.part", None, False),
        (".a.npy.0123abcd", None, False),
        ("a.npy", None, False),
    ],
)
def test_a_temporary_is_known_by_its_name(name, of, expected):
    assert is_leftover(Path("folder") / name, of) is expected


def test_the_entries_of_a_folder_are_those_without_temporaries(tmp_path):
    (tmp_path / ".a.0123abcd.part").touch()
    (tmp_path / "a").touch()
    assert entries(tmp_path) == [tmp_path / "a"] and entries(tmp_path / "none") == []


def test_temporaries_that_no_process_holds_are_deleted(tmp_path):
    (tmp_path / ".a.0123abcd.part").mkdir()
    (tmp_path / ".a.0123abcd.part" / "file").touch()
    (tmp_path / ".b.0123abcd.part").touch()
    (tmp_path / "c").touch()
    (tmp_path / ".d.0123abcd.part").symlink_to(tmp_path / "c")
    remove_leftovers(tmp_path, of="b")
    assert names(tmp_path) == [".a.0123abcd.part", ".d.0123abcd.part", "c"]
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [".d.0123abcd.part", "c"]
    remove_leftovers(tmp_path / "none")


def test_the_temporary_of_a_running_write_stays(tmp_path):
    with atomic_path(tmp_path / "a") as temporary:
        remove_leftovers(tmp_path)
        assert temporary.exists()
        temporary.write_text("whole")
    with atomic_folder(tmp_path / "b", ["x"]) as temporary:
        remove_leftovers(tmp_path)
        assert temporary.is_dir()
    assert names(tmp_path) == ["a", "b"]


def test_what_a_killed_write_of_the_same_file_left_is_deleted(tmp_path):
    for name in (".a.0123abcd.part", ".b.0123abcd.part"):
        (tmp_path / name).touch()
    with atomic_path(tmp_path / "a") as temporary:
        assert names(tmp_path) == sorted([".b.0123abcd.part", temporary.name])
    (tmp_path / ".c.0123abcd.part").touch()
    with atomic_folder(tmp_path / "b", []):
        pass
    assert names(tmp_path) == [".c.0123abcd.part", "a", "b"]


def test_the_name_of_a_temporary_has_eight_digits_and_the_ending_that_a_writer_needs(tmp_path):
    with atomic_path(tmp_path / "a.nii.gz", ending=".npy") as temporary:
        assert is_leftover(temporary, of="a.nii.gz") and temporary.name.endswith(".part.npy")
    with pytest.raises(ValueError, match="stop"), atomic_folder(tmp_path / "deep" / "b", []) as temporary:
        assert is_leftover(temporary, of="b") and temporary.parent == tmp_path / "deep"
        raise ValueError("stop")
    assert names(tmp_path / "deep") == []


def test_a_new_folder_gets_its_name_only_when_it_is_complete(tmp_path):
    folder = tmp_path / "made" / "too"
    with atomic_folder(folder / "b", ["x"]) as temporary:
        (temporary / "x").write_text("new")
        assert names(folder) == [temporary.name]
    assert names(folder) == ["b"] and names(folder / "b") == ["x"]


def test_in_a_folder_that_exists_only_the_named_files_are_replaced(tmp_path):
    for name in ("x", "y", "mine"):
        (tmp_path / name).write_text("old")
    with atomic_folder(tmp_path, ["x", "y", "z"]) as temporary:
        assert temporary.parent == tmp_path
        for name in ("x", "z"):
            (temporary / name).write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x": "new", "z": "new", "mine": "old"}


def test_the_first_name_is_deleted_first_and_written_last(tmp_path, monkeypatch):
    for name in ("x", "y"):
        (tmp_path / name).write_text("old")
    steps = []
    monkeypatch.setattr(files, "remove", lambda path: steps.append(f"-{path.name}"))
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: (steps.append(f"+{to.name}"), replace(self, to))[1])
    with atomic_folder(tmp_path, ["x", "y"]) as temporary:
        for name in ("x", "y"):
            (temporary / name).write_text("new")
    assert steps == ["-x", "-y", "+y", "+x"]


def test_a_failed_write_leaves_the_folder_as_it_was(tmp_path):
    (tmp_path / "x").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path, ["x"]) as temporary:
        (temporary / "x").write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["x"] and (tmp_path / "x").read_text() == "old"


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / "file").touch()
    for write in (atomic_folder(tmp_path / "file" / "b", []), atomic_path(tmp_path / "file" / "b")):
        with pytest.raises(MachineError, match=r"b: cannot be written \(.+ free there\)"), write:
            pass


def test_deleting_what_is_not_there_does_nothing(tmp_path):
    remove(tmp_path / "none")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    remove(tmp_path / "link")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 KiB"),
        (12 * 2**10, "12 KiB"),
        (102 * 2**10, "102 KiB"),
        (0.1 * 2**20, "0.1 MiB"),
        (3.9 * 2**20, "3.9 MiB"),
        (2**30 - 1, "1024.0 MiB"),
        (2**30, "1.0 GiB"),
        (74.1 * 2**30, "74.1 GiB"),
    ],
)
def test_a_size_is_shown_in_kib_mib_or_gib(size, text):
    assert size_text(size) == text


def test_exactly_1_1_times_the_needed_space_is_enough(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=1.1 * 2**30))
    require_free_space(tmp_path, 2**30, "the caches")


def test_conf_stands_in_the_package_if_it_is_installed_and_else_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "__file__", str(tmp_path / "brats_unet" / "files.py"))
    assert conf_folder() == tmp_path / "conf"
    (tmp_path / "brats_unet" / "conf").mkdir(parents=True)
    assert conf_folder() == tmp_path / "brats_unet" / "conf"


def test_a_temporary_folder_that_is_gone_stops_neither_a_write_nor_its_error(tmp_path):
    with atomic_folder(tmp_path, ["x"]) as temporary:
        temporary.rmdir()
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path, ["x"]) as temporary:
        temporary.rmdir()
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_temporary_file_that_is_gone_does_not_hide_why_the_write_failed(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a") as temporary:
        temporary.unlink()
        raise KeyboardInterrupt


def test_deleting_a_file_that_is_not_there_does_nothing(tmp_path):
    remove_file(tmp_path / "none")


def test_the_folders_of_a_new_file_are_made(tmp_path):
    for name in ("a", "b"):
        write_json(tmp_path / "new" / "folder" / name, {})
    assert names(tmp_path / "new" / "folder") == ["a", "b"]


def test_a_file_and_a_folder_are_told_apart_and_a_name_that_is_too_long_is_neither(tmp_path):
    (tmp_path / "file").touch()
    asked = [tmp_path / "file", tmp_path, tmp_path / "none", tmp_path / ("x" * 5000)]
    assert [files.is_file(path) for path in asked] == [True, False, False, False]
    assert [files.is_folder(path) for path in asked] == [False, True, False, False]
    assert [files.exists(path) for path in asked] == [True, True, False, False]
