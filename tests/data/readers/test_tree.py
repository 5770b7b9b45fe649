"""Listing the NIfTI files of a data folder."""

import gzip
import os
from pathlib import Path

import pytest

from brats_unet.data.readers.tree import walk
from brats_unet.errors import DataError


def put(path: Path, content: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_macos_metadata_and_hidden_folders_are_skipped(tmp_path: Path) -> None:
    put(tmp_path / "x_t1.nii.gz")
    put(tmp_path / "._x_t1.nii.gz")
    put(tmp_path / "__MACOSX" / "y_t1.nii.gz")
    put(tmp_path / ".git" / "z_t1.nii.gz")
    assert [file.stem for file in walk(tmp_path).files] == ["x_t1"]


def test_a_file_in_a_folder_named_like_a_file_takes_the_folder_s_name(tmp_path: Path) -> None:
    inside = put(tmp_path / "x" / "x_t1.nii" / "00000057_brain_t1.nii")
    (file,) = walk(tmp_path).files
    assert (file.path, file.stem, file.folder) == (inside, "x_t1", tmp_path / "x")


def test_a_folder_named_like_a_scan_with_two_files_is_a_defect(tmp_path: Path) -> None:
    put(tmp_path / "x_t1.nii" / "a.nii")
    put(tmp_path / "x_t1.nii" / "b.nii")
    (defect,) = walk(tmp_path).defects
    assert "holds 2 NIfTI files (a.nii, b.nii)" in defect.found


def test_of_a_scan_and_its_decompressed_copy_the_copy_is_used(tmp_path: Path) -> None:
    plain = put(tmp_path / "x_t1.nii", b"voxels" * 99)
    put(tmp_path / "x_t1.nii.gz", gzip.compress(b"voxels" * 99))
    tree = walk(tmp_path)
    assert [file.path for file in tree.files] == [plain]
    assert tree.notes == ["x_t1.nii and x_t1.nii.gz have the same content: x_t1.nii is used."]
    assert not tree.defects


def test_two_files_of_one_scan_that_differ_are_a_defect(tmp_path: Path) -> None:
    put(tmp_path / "x_t1.nii", b"voxels" * 99)
    put(tmp_path / "x_t1.nii.gz", gzip.compress(b"others" * 99))
    (defect,) = walk(tmp_path).defects
    assert "have the same scan name but different content" in defect.found


def test_a_broken_link_is_a_defect(tmp_path: Path) -> None:
    (tmp_path / "x_t1.nii.gz").symlink_to(tmp_path / "not-fetched")
    (defect,) = walk(tmp_path).defects
    assert "link to a missing file" in defect.found


def test_a_link_to_a_parent_folder_does_not_loop(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x_t1.nii.gz")
    (tmp_path / "a" / "back").symlink_to(tmp_path)
    assert len(walk(tmp_path).files) == 1


def test_links_that_lead_in_a_circle_are_no_folders_and_as_scans_a_defect(tmp_path: Path) -> None:
    put(tmp_path / "a" / "y_t1.nii.gz")
    for name in ("a/circle", "x_t1.nii.gz"):
        (tmp_path / name).symlink_to(tmp_path / name)
    tree = walk(tmp_path)
    (defect,) = tree.defects
    assert "x_t1.nii.gz: is a link to a missing file" in defect.found and [file.stem for file in tree.files] == ["y_t1"]


def test_a_linked_folder_is_followed(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "x_t1.nii.gz")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").symlink_to(tmp_path / "elsewhere")
    assert len(walk(tmp_path / "data").files) == 1


def test_files_five_folders_deep_are_found_and_six_deep_are_not(tmp_path: Path) -> None:
    put(tmp_path / "1/2/3/4/5/x_t1.nii")
    put(tmp_path / "1/2/3/4/5/6/y_t1.nii")
    assert [file.stem for file in walk(tmp_path).files] == ["x_t1"]


def test_a_missing_path_a_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        walk(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a file"):
        walk(put(tmp_path / "x.nii"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="the folder is empty"):
        walk(tmp_path / "empty")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every folder")
def test_an_unreadable_folder_is_a_defect(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    put(tmp_path / "x_t1.nii")
    (defect,) = walk(tmp_path).defects
    assert "Permission denied" in defect.found


def test_a_folder_whose_files_lie_deeper_than_five_levels_is_said_to_be_deeper_not_empty(tmp_path: Path) -> None:
    put(tmp_path / "a/b/c/d/e/f/x_t1.nii.gz")
    with pytest.raises(DataError, match=r"no file up to five folders deep.*such as a/b/c/d/e/f.*Give a folder nearer"):
        walk(tmp_path)
    put(tmp_path / "y_t1.nii.gz")
    assert walk(tmp_path).notes == ["1 folder lies more than five levels deep: not searched (first: a/b/c/d/e/f)."]
    put(tmp_path / "a/b/c/d/e/g/z_t1.nii.gz")
    assert walk(tmp_path).notes[0].startswith("2 folders lie more than five levels deep")
