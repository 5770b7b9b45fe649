"""Finding patients in folders of TIFF slices, and what is wrong with them."""

import numpy as np
import pytest
from PIL import Image

from brats_unet.data.readers.discovery import find_cases, find_masks, survey
from brats_unet.data.readers.incomplete import cases_to_predict
from brats_unet.errors import DataError, SettingsError
from brats_unet.modality import Modality
from brats_unet.nifti import write_volume
from brats_unet.scan_files import read_header, read_mask
from brats_unet.volume import ImageFile, Volume
from tests.slices import patient, picture, slice_file

FLAIR, T1, T1CE = Modality.FLAIR, Modality.T1, Modality.T1CE
THREE = (FLAIR, T1, T1CE)
ONE, TWO = "TCGA_CS_4941_19960909", "TCGA_HT_A61A_20000127"


def message(root, modalities=THREE):
    with pytest.raises(DataError) as caught:
        find_cases(root, modalities=modalities)
    return str(caught.value)


def test_each_folder_of_slices_is_a_case_and_a_patient(tmp_path):
    for name in (TWO, ONE):
        patient(tmp_path, name)
    dataset = find_cases(tmp_path, modalities=THREE)
    assert (dataset.layout, [case.id for case in dataset.cases]) == ("lgg", [ONE, TWO])
    case = dataset.cases[0]
    folder = tmp_path / ONE
    assert case.images == {FLAIR: ImageFile(folder, 1), T1: ImageFile(folder, 0), T1CE: ImageFile(folder, 2)}
    assert (case.mask, case.patient, case.absent) == (folder, ONE, ())


def test_the_folder_of_one_patient_is_a_dataset(tmp_path):
    (case,) = find_cases(patient(tmp_path), modalities=THREE).cases
    assert case.id == ONE


def test_a_case_without_masks_is_one_to_predict(tmp_path):
    patient(tmp_path, masks=False)
    for fill_missing in (False, True):
        (case,) = cases_to_predict(tmp_path, THREE, fill_missing=fill_missing).cases
        assert case.mask is None


def test_an_unknown_spacing_is_told_once(tmp_path):
    patient(tmp_path, ONE)
    patient(tmp_path, TWO)
    dataset = find_cases(tmp_path, modalities=THREE)
    assert not dataset.spacing_known
    assert dataset.notes == ("The spacing of the slices is unknown: nothing is measured in mm or ml.",)


def test_a_given_spacing_is_that_of_every_scan(tmp_path):
    patient(tmp_path)
    dataset = find_cases(tmp_path, modalities=THREE, spacing_mm=[1, 1, 5])
    (case,) = dataset.cases
    assert (dataset.spacing_known, dataset.notes) == (True, ())
    assert {file.spacing_mm for file in case.images.values()} == {(1, 1, 5)} == {case.spacing_mm}
    with pytest.raises(SettingsError, match=r"spacing_mm=\[1, 5\] is not three lengths in mm"):
        find_cases(tmp_path, modalities=THREE, spacing_mm=[1, 5])


def test_a_spacing_for_nifti_files_is_refused(tmp_path):
    write_volume(tmp_path / "a_flair.nii", Volume(np.zeros((2, 2, 2), np.uint8)))
    with pytest.raises(SettingsError, match=r"holds NIfTI files, which have their own spacing. Set it to null"):
        find_cases(tmp_path, modalities=[FLAIR], spacing_mm=[1, 1, 5])


def test_nifti_files_are_refused_where_slices_are_expected(tmp_path):
    for name in ("flair", "t1", "t1ce", "t2"):
        write_volume(tmp_path / "nifti" / f"a_{name}.nii", Volume(np.zeros((2, 2, 2), np.uint8)))
    for spacing_mm in (None, [1, 1, 5]):
        with pytest.raises(SettingsError) as refused:
            find_cases(tmp_path / "nifti", modalities=THREE, slices=True, spacing_mm=spacing_mm)
        assert str(refused.value) == (
            f"data=lgg reads folders of TIFF slices, but {tmp_path / 'nifti'} holds 4 NIfTI files and no TIFF files. Set "
            f"data=brats, or give a folder of slices alone."
        )
    patient(tmp_path)
    with pytest.raises(SettingsError, match="holds 4 NIfTI files beside TIFF files"):
        find_cases(tmp_path, modalities=THREE, slices=True)
    assert len(find_cases(tmp_path / ONE, modalities=THREE, slices=True).cases) == 1


def test_a_folder_without_slices_says_which_names_are_expected(tmp_path):
    (tmp_path / "lgg.zip").touch()
    with pytest.raises(DataError, match=r"no TIFF file, but 1 archives \(\.zip\)"):
        find_cases(tmp_path, modalities=THREE, slices=True)
    (tmp_path / "lgg.zip").rename(tmp_path / "lgg.png")
    with pytest.raises(DataError, match=r"no TIFF file up to five .* Expected <patient>/<patient>_<n>\.tif and"):
        find_cases(tmp_path, modalities=THREE, slices=True)


def test_one_patient_without_a_requested_scan_is_told_the_setting(tmp_path):
    patient(tmp_path)
    assert message(tmp_path, tuple(Modality)) == (
        f"{ONE}: no t2 scan. Slices hold t1, flair and t1ce. Set data=lgg, or leave this scan out of data.modalities."
    )


def test_copies_of_flair_are_absent_and_told_in_one_note(tmp_path):
    patient(tmp_path, ONE, copied=(0, 2))
    patient(tmp_path, TWO, copied=(2,))
    patient(tmp_path, "TCGA_FG_1_1")
    dataset = find_cases(tmp_path, modalities=THREE, spacing_mm=[1, 1, 5])
    assert [(list(case.images), case.absent) for case in dataset.cases] == [
        ([FLAIR], (T1, T1CE)),
        ([FLAIR, T1, T1CE], ()),
        ([FLAIR, T1], (T1CE,)),
    ]
    assert dataset.notes == (
        f"2 of 3 cases lack a sequence: its channel is a copy of FLAIR (t1 in 1, t1ce in 2; {ONE}, {TWO}). It counts "
        f"as missing: the network gets zeros.",
    )


def test_one_equal_slice_is_no_copy(tmp_path):
    folder = patient(tmp_path)
    Image.fromarray(picture(2, copied=(0, 2))).save(slice_file(folder, 2))
    (case,) = find_cases(tmp_path, modalities=THREE).cases
    assert case.absent == ()


def test_a_case_whose_only_requested_scan_is_a_copy_is_refused(tmp_path):
    patient(tmp_path, copied=(0,))
    assert message(tmp_path, [T1]) == (
        f"{ONE}: FLAIR stands in place of its t1, so no requested scan is left. Add flair to data.modalities, or list "
        f"the case under data.leave_out."
    )


def test_a_scan_that_the_data_set_lacks_is_named_once(tmp_path):
    patient(tmp_path, ONE)
    patient(tmp_path, TWO)
    assert message(tmp_path, tuple(Modality)) == (
        "None of the 2 cases has a t2 scan. Set data=lgg, or data.modalities=[flair,t1,t1ce]."
    )


def test_strata_are_institution_and_grade(tmp_path):
    for name in (ONE, TWO, "other"):
        patient(tmp_path, name)
    (tmp_path / "data.csv").write_text("Patient,neoplasm_histologic_grade\nTCGA_CS_4941,2\n")
    assert [case.stratum for case in find_cases(tmp_path, modalities=THREE).cases] == ["CS 2", "HT ?", None]


def test_masks_are_found_for_scoring(tmp_path):
    patient(tmp_path, ONE)
    patient(tmp_path, TWO, masks=False)
    assert find_masks(tmp_path) == {ONE: tmp_path / ONE}
    with pytest.raises(DataError, match=r"no mask. Expected <patient>_<n>_mask.tif beside the slices"):
        find_masks(tmp_path / TWO)


@pytest.mark.parametrize(
    ("removed", "expected"),
    [
        (["_2.tif", "_2_mask.tif"], "no slice 2. Expected every number from 1 to 3."),
        (["_1.tif", "_1_mask.tif"], "no slice 1. Expected every number from 1 to 3."),
        (["_3.tif"], "a mask without a slice: 3."),
        (["_2_mask.tif"], "no mask of slice 2. Expected one for each slice, or none at all."),
        (["_1.tif", "_2.tif", "_3.tif"], "3 masks without slices."),
    ],
)
def test_a_missing_file_is_named(tmp_path, removed, expected):
    folder = patient(tmp_path)
    for ending in removed:
        (folder / f"{ONE}{ending}").unlink()
    assert message(tmp_path).startswith(f"{ONE}: {expected}")


def test_everything_wrong_is_named_at_once(tmp_path):
    folder = patient(tmp_path, ONE)
    (folder / f"{ONE}_02.tif").write_bytes(slice_file(folder, 2).read_bytes())
    (folder / "overview.tif").touch()
    other = patient(tmp_path, TWO)
    Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(slice_file(other, 1))
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(slice_file(other, 2))
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(slice_file(other, 3, mask=True))
    slice_file(other, 3).write_bytes(b"")
    slice_file(other, 1, mask=True).write_text("<html>")
    text = message(tmp_path)
    for expected in (
        "6 defects",
        f"{ONE}: overview.tif is not named like a slice.",
        f"{ONE}: two files for one slice: {ONE}_02.tif and {ONE}_2.tif. Expected each slice once.",
        f"{TWO}: {TWO}_3.tif and 1 other file are empty or not readable as TIFF.",
        f"{TWO}: {TWO}_2.tif is stored as L. Expected RGB with 8 bits a channel.",
        f"{TWO}: {TWO}_3_mask.tif is stored as RGB. Expected one grey channel of 8 bits.",
        f"{TWO}: {TWO}_1.tif is of another size (9×8 pixels). Expected 8×8, as the other files.",
    ):
        assert expected in text
    assert len(survey(tmp_path, modalities=THREE).defects) == 6


def test_a_case_left_out_may_be_broken(tmp_path):
    patient(tmp_path, ONE)
    slice_file(patient(tmp_path, TWO), 2).unlink()
    assert [case.id for case in find_cases(tmp_path, modalities=THREE, leave_out=[TWO]).cases] == [ONE]


def test_slices_of_several_patients_in_one_folder_are_refused(tmp_path):
    folder = patient(tmp_path, ONE)
    for path in patient(tmp_path, TWO).iterdir():
        path.rename(folder / path.name)
    assert message(folder) == (
        f"{ONE}: slices of 2 patients ({ONE}, {TWO}). Expected one folder for each. Download the case again, or list "
        f"it under data.leave_out."
    )


def test_the_two_copies_of_the_archive_are_refused(tmp_path):
    patient(tmp_path / "kaggle_3m", ONE)
    patient(tmp_path / "lgg-mri-segmentation" / "kaggle_3m", ONE)
    assert message(tmp_path) == (
        f"{tmp_path}: holds 1 patients more than once ({ONE} in kaggle_3m and lgg-mri-segmentation/kaggle_3m). Set "
        f"data.root to one copy."
    )


def test_other_tiff_files_are_refused(tmp_path):
    for name in ("cells-a.tif", "cells-b.tif"):
        (tmp_path / name).touch()
    assert "2 TIFF files, none named like a slice (first: cells-a.tif). Expected <patient>_<n>.tif" in message(tmp_path)


@pytest.mark.real
def test_the_lgg_data_set_is_read(real_scans):
    dataset = find_cases(real_scans / "kaggle_3m", modalities=THREE)
    assert (len(dataset.cases), dataset.layout, len(dataset.notes)) == (45, "lgg", 2)
    assert "6 of 45 cases lack a sequence: its channel is a copy of FLAIR (t1 in 4, t1ce in 6;" in dataset.notes[1]
    depths = []
    for case in dataset.cases:
        mask = read_mask(case.mask)
        assert set(np.unique(mask.array)) == {0, 255}
        assert read_header(case.images[FLAIR]).shape == mask.array.shape == (256, 256, mask.array.shape[2])
        depths.append(mask.array.shape[2])
    assert (sum(depths), min(depths), max(depths)) == (1564, 20, 88)
    assert {case.stratum for case in dataset.cases} >= {"CS 1", "CS 2", "DU 1", "DU 2", "FG 1", "FG 2", "HT 1", "HT 2"}
