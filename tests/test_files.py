import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from brats_unet import files
from brats_unet.errors import CheckpointError, MachineError
from brats_unet.files import atomic_path, existing_parent, require_free_space
from brats_unet.json_files import read_json, write_json


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
