import json
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from brats_unet import files
from brats_unet.data.prepare import cache
from brats_unet.data.prepare.cache import PreparedCase, altered, is_whole, prepare_all
from brats_unet.data.prepare.preprocess import Preparation, prepare
from brats_unet.errors import DataError, MachineError
from brats_unet.modality import Modality
from brats_unet.nifti import write_volume
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case, ImageFile, Volume
from tests.glioma import Region

RECIPE = Preparation((Modality.FLAIR, Modality.T2))
BRATS = conventions(builtin())["brats2017"]
SHAPE = (12, 11, 10)


def write_case(root, case_id, seed, *, masked=True):
    """Write a case of noise in a box, with a mask that has every label."""
    rng = np.random.default_rng(seed)
    images = {}
    for modality in RECIPE.modalities:
        scan = np.zeros(SHAPE, np.int16)
        scan[2:10, 2:9, 1:9] = rng.integers(50, 500, size=(8, 7, 8))
        images[modality] = ImageFile(root / f"{case_id}_{modality}.nii")
        write_volume(images[modality].path, Volume(scan))
    if not masked:
        return Case(case_id, images)
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:7, 3:7, 3:7], labels[4:6, 4:6, 4:6], labels[5, 5, 5] = 2, 1, 4
    write_volume(root / f"{case_id}_seg.nii", Volume(labels))
    return Case(case_id, images, root / f"{case_id}_seg.nii")


@pytest.fixture
def data(tmp_path):
    """Two cases on disk, and the path of a cache that does not exist yet."""
    root = tmp_path / "data"
    root.mkdir()
    return SimpleNamespace(
        root=root, folder=tmp_path / "cache" / "prepared", cases=[write_case(root, f"case_{i}", i) for i in (1, 2)]
    )


@pytest.fixture
def built(monkeypatch):
    """Ids of the cases that this process has prepared, in order."""
    ids = []

    def counted(case, *arguments):
        ids.append(case.id)
        return prepare(case, *arguments)

    monkeypatch.setattr(cache, "prepare", counted)
    return ids


def case_folders(folder):
    return {path.name for path in folder.iterdir() if path.is_dir() and path.name != ".locks"}


def open_all(data, recipe=RECIPE, convention=BRATS, cases=None, **options):
    return prepare_all(cases or data.cases, recipe, convention, data.folder, workers=1, **options)


def test_an_opened_case_equals_the_prepared_one(data):
    found = open_all(data)
    assert [case.id for case in found] == ["case_1", "case_2"]
    for case, opened in zip(data.cases, found, strict=True):
        prepared = prepare(case, RECIPE, BRATS)
        assert opened.grid == prepared.grid
        assert isinstance(opened.image, np.memmap) and isinstance(opened.labels, np.memmap)
        assert opened.image.flags.c_contiguous and not opened.image.flags.writeable
        for name in ("image", "labels", "brain"):
            found, expected = getattr(opened, name), getattr(prepared, name)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
        for region in Region:
            np.testing.assert_array_equal(opened.foreground[region], prepared.foreground[region])


def test_the_second_run_verifies_the_hashes_and_the_third_reads_no_content(data, built, monkeypatch):
    open_all(data)
    open_all(data)
    assert built == ["case_1", "case_2"]

    def refuse(path):
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr("brats_unet.data.prepare.content_hash.file_hash", refuse)
    reported = []
    open_all(data, progress=lambda done, total: reported.append((done, total)))
    assert built == ["case_1", "case_2"] and reported == [(2, 2)]


def test_the_progress_of_the_first_run_counts_up(data):
    reported = []
    open_all(data, progress=lambda done, total: reported.append((done, total)))
    assert reported == [(0, 2), (1, 2), (2, 2)]


def test_a_changed_file_gets_a_new_folder(data, built):
    before = open_all(data)
    write_case(data.root, "case_2", 99)
    after = open_all(data)
    assert built == ["case_1", "case_2", "case_2"]
    assert after[0].folder == before[0].folder and after[1].folder != before[1].folder
    assert is_whole(before[1].folder) and not np.array_equal(after[1].image, before[1].image)


def test_touching_or_moving_the_files_prepares_nothing_again(data, built):
    open_all(data)
    for path in data.root.iterdir():
        os.utime(path, (1, 1))
    open_all(data)
    moved = data.root.rename(data.root.with_name("elsewhere"))
    moved_cases = [
        replace(
            case,
            images={m: ImageFile(moved / f.path.name) for m, f in case.images.items()},
            mask=moved / case.mask.name,
        )
        for case in data.cases
    ]
    open_all(data, cases=moved_cases)
    assert built == ["case_1", "case_2"]


@pytest.mark.parametrize(
    "change",
    [{"crop": "none"}, {"normalise": "max"}, {"spacing_mm": (2.0, 2.0, 2.0)}, {"modalities": (Modality.FLAIR,)}],
    ids=str,
)
def test_other_settings_get_another_folder(data, built, change):
    first = open_all(data)
    second = open_all(data, recipe=replace(RECIPE, **change))
    assert len(built) == 4 and {a.folder for a in first}.isdisjoint(b.folder for b in second)
    assert open_all(data)[0].folder == first[0].folder and len(built) == 4


def test_another_convention_mask_or_version_gets_another_folder(data, built, monkeypatch):
    found = {open_all(data)[0].folder, open_all(data, convention=conventions(builtin())["brats2015"])[0].folder}
    found.add(open_all(data, cases=[replace(data.cases[0], mask=None)])[0].folder)
    monkeypatch.setattr("brats_unet.data.prepare.preparation.VERSION", 10**6)
    found.add(open_all(data)[0].folder)
    assert len(found) == 4


def test_a_case_without_a_mask_has_no_labels_and_an_absent_region_no_foreground(data, tmp_path):
    bare = open_all(data, cases=[write_case(data.root, "bare", 5, masked=False)])[0]
    assert bare.labels is None and bare.foreground == {} and bare.brain.any()
    case = data.cases[0]
    labels = np.zeros(SHAPE, np.uint8)
    labels[4, 4, 4] = 2
    write_volume(case.mask, Volume(labels))
    assert list(open_all(data, cases=[case])[0].foreground) == [Region.WT]


@pytest.mark.parametrize(
    "damage", ["truncated", "missing", "no manifest", "invalid manifest", "manifest of another type"]
)
def test_a_damaged_folder_is_rebuilt(data, built, damage):
    folder = open_all(data)[0].folder
    image, manifest = folder / "image.npy", folder / "prepared.json"
    if damage == "truncated":
        image.write_bytes(image.read_bytes()[:-1])
    elif damage == "missing":
        image.unlink()
    elif damage == "no manifest":
        manifest.unlink()
    else:
        manifest.write_bytes(b"\xff\xfe{" if damage == "invalid manifest" else b"[]")
    assert not is_whole(folder)
    again = open_all(data)[0]
    assert again.folder == folder and built == ["case_1", "case_2", "case_1"]
    assert is_whole(folder) and altered(again.folder) == []


def test_files_with_altered_content_are_named_and_the_case_is_rebuilt(data, built):
    opened = open_all(data)[0]
    assert altered(opened.folder) == []
    for name in ("image.npy", "foreground_ET.npy"):
        path = opened.folder / name
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    assert is_whole(opened.folder)
    assert altered(opened.folder) == ["image.npy", "foreground_ET.npy"]
    assert altered(open_all(data)[0].folder) == []
    assert built == ["case_1", "case_2", "case_1"]


@pytest.mark.parametrize("problem", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_interrupted_write_leaves_nothing_and_the_next_one_succeeds(data, monkeypatch, problem):
    save, saved = np.save, []

    def fail_late(path, array):
        save(path, array)
        saved.append(path)
        if len(saved) == 3:
            raise problem

    with monkeypatch.context() as patch, pytest.raises(MachineError if isinstance(problem, OSError) else problem):
        patch.setattr(cache.np, "save", fail_late)
        open_all(data)
    assert case_folders(data.folder) == set()
    assert all(altered(opened.folder) == [] for opened in open_all(data))


def test_temporary_folders_of_a_killed_process_are_removed(data):
    target = open_all(data)[0].folder
    target.rename(target.with_name(f".{target.name}.part"))  # as after a power cut just before the rename
    open_all(data)
    assert case_folders(data.folder) == {case.folder.name for case in open_all(data)}


def test_the_data_folder_is_never_changed(data):
    def state():
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in data.root.rglob("*")}

    before = state()
    for path in data.root.iterdir():
        path.chmod(0o444)
    data.root.chmod(0o555)
    try:
        open_all(data)
        assert state() == before
    finally:
        data.root.chmod(0o755)


def test_one_error_lists_all_defects_and_the_other_cases_stay_prepared(data, built):
    third = write_case(data.root, "case_3", 3)
    for case, name in ((data.cases[0], "flair"), (third, "t2")):
        write_volume(case.images[Modality(name)].path, Volume(np.full(SHAPE, 7, np.int16)))
    with pytest.raises(DataError) as caught:
        open_all(data, cases=[*data.cases, third])
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["case_1", "case_3"]
    assert {name.split("-")[0] for name in case_folders(data.folder)} == {"case_2"}


def test_a_full_disk_is_refused_before_anything_is_prepared(data, built, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(MachineError, match="the prepared volumes need about"):
        open_all(data)
    assert built == [] and case_folders(data.folder) == set()


def test_cases_already_in_the_cache_need_no_free_space(data, monkeypatch):
    open_all(data)
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: SimpleNamespace(free=0))
    open_all(data)


@pytest.mark.parametrize(
    ("change", "voxels"),
    [({}, 0.45 * 1320), ({"crop": "none"}, 1320), ({"crop": "none", "spacing_mm": (2.0, 2.0, 2.0)}, 165)],
    ids=str,
)
def test_the_estimated_size_counts_image_labels_and_brain(data, change, voxels):
    expected = 200_000 + int(voxels * (2 * 2 + 1 + 1))  # two channels of 2 bytes, labels and brain of 1 byte each
    assert cache.estimated_bytes(data.cases[0], replace(RECIPE, **change)) == expected


def test_a_cache_folder_that_cannot_be_created_is_refused(data):
    data.folder.parent.write_text("a file")
    with pytest.raises(MachineError, match="cannot be written"):
        open_all(data)


def test_several_workers_write_the_same_files_as_one(data, tmp_path):
    one = open_all(data)
    several = prepare_all(data.cases, RECIPE, BRATS, tmp_path / "other", workers=2)
    for a, b in zip(one, several, strict=True):
        assert a.folder.name == b.folder.name
        assert {p.name: p.read_bytes() for p in a.folder.iterdir()} == {
            p.name: p.read_bytes() for p in b.folder.iterdir()
        }


TWICE = """
import sys, time
from pathlib import Path
from brats_unet.modality import Modality
from brats_unet.data.prepare import cache
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.data.prepare.preprocess import Preparation, prepare
from brats_unet.volume import Case, ImageFile

root, folder, log = map(Path, sys.argv[1:])

def slow(case, *rest):
    with open(log, "a") as file:
        file.write(case.id + "\\n")
    time.sleep(0.3)
    return prepare(case, *rest)

cache.prepare = slow
modalities = (Modality.FLAIR, Modality.T2)
cases = [
    Case(i, {m: ImageFile(root / f"{i}_{m}.nii") for m in modalities}, root / f"{i}_seg.nii") for i in ("case_1", "case_2")
]
print("ready", flush=True)
sys.stdin.readline()
found = cache.prepare_all(cases, Preparation(modalities), conventions(builtin())["brats2017"], folder, workers=1)
assert all(cache.altered(case.folder) == [] for case in found)
"""


def test_two_processes_that_start_together_prepare_each_case_once(data, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", TWICE, str(data.root), str(data.folder), str(log)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert sorted(log.read_text().split()) == ["case_1", "case_2"]
    assert len(case_folders(data.folder)) == 2


def test_a_prepared_case_opens_each_array_once_at_its_first_use(data):
    opened = open_all(data)[0]
    fresh = PreparedCase(opened.id, opened.folder, opened.grid, opened.regions)
    assert "image" not in vars(fresh)
    assert fresh.image is fresh.image


def test_the_manifest_records_the_settings_and_the_files(data):
    opened = open_all(data)[0]
    manifest = json.loads((opened.folder / "prepared.json").read_text())
    assert manifest["case"] == "case_1" and Preparation.from_dict(manifest["preparation"]) == RECIPE
    assert set(manifest["files"]) == {path.name for path in opened.folder.iterdir()} - {"prepared.json"}
