"""Content hashes and the memo that stores them."""

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

from brats_unet import nifti
from brats_unet.data.prepare import content_hash
from brats_unet.data.prepare.content_hash import HashMemo, file_hash, voxel_hash
from brats_unet.errors import DataError
from brats_unet.json_files import read_json
from brats_unet.volume import Volume


def test_a_hash_is_32_hexadecimal_digits_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert HashMemo(tmp_path / "m.json").hash(tmp_path / "a") == "cae66941d9efbd404e4d88758ea67670"


def test_a_file_is_read_again_only_after_it_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    monkeypatch.setattr(content_hash, "file_hash", lambda path: read.append(path) or file_hash(path))
    file = tmp_path / "scan"
    file.write_bytes(b"one")
    memo = HashMemo(tmp_path / "cache" / "m.json")
    first = memo.hash(file)
    assert memo.hash(file) == first
    memo.save()
    assert HashMemo(tmp_path / "cache" / "m.json").hash(file) == first
    assert len(read) == 1
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert HashMemo(tmp_path / "cache" / "m.json").hash(file) != first
    assert len(read) == 2


def test_compression_changes_the_file_hash_but_not_the_voxel_hash(tmp_path: Path) -> None:
    array = np.arange(512, dtype=np.int16).reshape(8, 8, 8)
    nifti.write_volume(tmp_path / "a.nii", Volume(array))
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    nifti.write_volume(tmp_path / "c.nii", Volume(array + 1))
    memo = HashMemo(tmp_path / "m.json")
    assert memo.hash(tmp_path / "a.nii") != memo.hash(tmp_path / "b.nii.gz")
    assert memo.voxels(tmp_path / "a.nii") == memo.voxels(tmp_path / "b.nii.gz") == voxel_hash(array)
    assert memo.voxels(tmp_path / "c.nii") != memo.voxels(tmp_path / "a.nii")


def test_each_channel_of_a_file_has_its_own_voxel_hash(tmp_path: Path) -> None:
    array = np.arange(1024, dtype=np.int16).reshape(8, 8, 8, 2)
    nifti.write_volume(tmp_path / "a.nii", Volume(array))
    memo = HashMemo(tmp_path / "m.json")
    assert memo.voxels(tmp_path / "a.nii", 1) == voxel_hash(array[..., 1])
    assert memo.voxels(tmp_path / "a.nii", 0) == voxel_hash(array[..., 0])


def test_the_voxel_hash_depends_on_the_shape_but_not_on_the_memory_order() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    assert voxel_hash(array) == voxel_hash(np.asfortranarray(array))
    assert voxel_hash(array) != voxel_hash(array.reshape(4, 3, 2))


def test_a_broken_memo_counts_as_empty(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("[1, 2")
    (tmp_path / "a").write_bytes(b"a")
    memo = HashMemo(tmp_path / "m.json")
    memo.hash(tmp_path / "a")
    memo.save()
    assert len(read_json(tmp_path / "m.json", what="memo")) == 1


def test_two_memos_that_share_a_file_keep_the_hashes_of_both(tmp_path: Path) -> None:
    one, other = HashMemo(tmp_path / "m.json"), HashMemo(tmp_path / "m.json")
    for memo, name in ((one, "a"), (other, "b")):
        (tmp_path / name).write_text(name)
        memo.hash(tmp_path / name)
        memo.save()
    assert len(read_json(tmp_path / "m.json", what="memo")) == 2


def test_saving_without_new_hashes_writes_no_file(tmp_path: Path) -> None:
    HashMemo(tmp_path / "m.json").save()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        HashMemo(tmp_path / "m.json").hash(tmp_path / "nothing")


def test_the_memo_names_no_folder_and_reads_the_paths_of_earlier_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scan").write_bytes(b"one")
    status = (tmp_path / "scan").stat()
    old = {f"bytes:{tmp_path.resolve() / 'scan'}": [status.st_size, status.st_mtime_ns, "known"]}
    (tmp_path / "m.json").write_text(json.dumps(old))
    memo = HashMemo(tmp_path / "m.json")
    assert memo.hash(tmp_path / "scan") == "known"
    (tmp_path / "other").write_bytes(b"two")
    memo.hash(tmp_path / "other")
    memo.save()
    assert str(tmp_path) not in (tmp_path / "m.json").read_text()
    assert HashMemo(tmp_path / "m.json").hash(tmp_path / "scan") == "known"
