"""A dataset made ready for training."""

import dataclasses
import shutil

import numpy as np
import pytest

from brats_unet.data.study import open_study
from brats_unet.errors import SettingsError
from brats_unet.nifti import read_integers, read_volume, write_volume
from brats_unet.schemes.scheme_file import builtin, scheme_of
from brats_unet.volume import Volume


def study_of(root, cache, **changed):
    given = {
        "name": "brats",
        "root": str(root),
        "labels": "auto",
        "modalities": ["flair", "t1ce"],
        "leave_out": [],
        "cache": str(cache),
        "preparation": {"spacing_mm": [4, 4, 4], "crop": "brain", "normalise": "zscore"},
        "folds": 2,
        "fold": 0,
        "fold_seed": 1,
        "splits": None,
        "validation_root": None,
        "grid": None,
        "spacing_mm": None,
        "cases": 1,
        "seed": 0,
        "scheme": builtin(),
    }
    silent = {"log": lambda text: None, "progress": lambda what, done, total: None}
    return open_study(**{**given, **silent, **changed})


def test_fold_all_divides_nothing_and_needs_no_number_of_folds(phantom_root, tmp_path):
    divided = study_of(phantom_root, tmp_path)
    every = sorted(divided.split.train + divided.split.validation)
    for folds in (None, 0, 1000):
        study = study_of(phantom_root, tmp_path / str(folds), fold="all", folds=folds)
        assert dataclasses.astuple(study.split) == (tuple(every), ())
        recorded = dict(study.folds)
        assert sorted(recorded.pop("contents")) == every and len(study.train) == len(every)
        assert recorded == {"train": tuple(every), "validation": ()}
        assert not list((tmp_path / str(folds)).glob("folds-*.json"))


def test_a_region_that_no_mask_shows_is_said(phantom_root, tmp_path):
    said = []
    post = builtin("glioma_post").as_dict()
    scheme = scheme_of(post | {"integers": {"brats2017": {"NCR": 1, "ED": 2, "ET": 4}}})
    study_of(phantom_root, tmp_path, scheme=scheme, log=said.append)
    assert any(text.startswith("No RC (resection cavity) in any of the") for text in said)
    said.clear()
    study_of(phantom_root, tmp_path, log=said.append)
    assert not any("No " in text for text in said)


def test_data_lgg_of_nifti_files_is_refused(phantom_root, tmp_path):
    with pytest.raises(SettingsError, match=r"data=lgg reads folders of TIFF slices, .* Set data=brats"):
        study_of(phantom_root, tmp_path, name="lgg")


def test_a_label_in_no_region_is_said(phantom_root, tmp_path):
    said = []
    scheme = scheme_of({"labels": {"A": 1, "B": 2, "C": 4}, "regions": {"R": ["B"], "Q": ["C"]}})
    study_of(phantom_root, tmp_path, scheme=scheme, log=said.append)
    assert any(text.startswith("Label 1 (A) lies in no region of the scheme own and counts as back") for text in said)


def test_masks_with_a_channel_for_each_region_are_prepared_like_others(phantom_root, tmp_path):
    expected = study_of(phantom_root, tmp_path / "plain")
    shutil.copytree(phantom_root, tmp_path / "channels")
    for file in sorted((tmp_path / "channels").rglob("*_seg.nii*")):
        mask = read_integers(file)
        regions = [np.isin(mask.array, integers) for integers in ((1, 4), (1, 2, 4), (4,))]  # TC, WT, ET
        write_volume(file, Volume(np.stack(regions).astype(np.uint8), mask.affine))
    said = []
    study = study_of(tmp_path / "channels", tmp_path / "cache", log=said.append)
    assert "Labels: TC+WT+ET (each channel lies in the one around it)." in said
    assert study.convention.written.name == "brats2017" and study.split == expected.split
    for case_id, case in study.prepared.items():
        np.testing.assert_array_equal(np.asarray(case.labels), np.asarray(expected.prepared[case_id].labels))


@pytest.mark.parametrize(
    ("naming", "files"),
    [
        ("{id}/{part}.mgz", {"flair": "FLAIR", "t1ce": "T1post", "mask": "truth"}),
        ("all/{id}-{part}-x.nii", {"flair": "{case}-FLAIR-x", "t1ce": "{case}-T1post-x", "mask": "{case}-truth-*"}),
        ("{part}/{id}.nii.gz", {"flair": "FLAIR/{case}", "t1ce": "T1post/{case}.nii.gz", "mask": "truth/{case}"}),
    ],
)
def test_phantoms_under_any_names_are_prepared_like_those_of_brats(phantom_root, tmp_path, naming, files):
    parts = {"flair": "FLAIR", "t1ce": "T1post", "seg": "truth"}
    for folder in sorted(phantom_root.glob("Phantom20*")):
        for part, word in parts.items():
            path = tmp_path / "scans" / naming.format(id=folder.name, part=word)
            write_volume(path, read_volume(folder / f"{folder.name}_{part}.nii.gz"))
    plain = study_of(phantom_root, tmp_path / "one")
    study = study_of(tmp_path / "scans", tmp_path / "two", name="files", files=files)
    assert (study.split, study.convention.name) == (plain.split, plain.convention.name)
    for case_id, prepared in plain.prepared.items():
        np.testing.assert_array_equal(study.prepared[case_id].image, prepared.image)
        np.testing.assert_array_equal(study.prepared[case_id].labels, prepared.labels)
