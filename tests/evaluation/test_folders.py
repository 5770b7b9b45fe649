"""Pairing and checking two folders of masks."""

import json

import numpy as np
import pytest

from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.folders import pair_folders
from brats_unet.evaluation.score import read_labels
from brats_unet.modality import Modality
from brats_unet.nifti import write_volume
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume
from tests.slices import DEPTH, SIZE, patient

CASES = ("BraTS20_Training_001", "BraTS20_Training_002", "BraTS20_Training_003")


def mask(*integers, shape=(8, 8, 8)) -> np.ndarray:
    array = np.zeros(shape, np.uint8)
    for index, integer in enumerate(integers):
        array[index] = integer
    return array


@pytest.fixture
def folders(tmp_path):
    """A flat folder of references, <case>_seg.nii.gz, and nested predictions, <case>/<case>.nii.gz."""
    references, predictions = tmp_path / "references", tmp_path / "predictions"
    references.mkdir()
    for case in CASES:
        (predictions / case).mkdir(parents=True)
        write_volume(references / f"{case}_seg.nii.gz", Volume(mask(1, 2, 4)))
        write_volume(predictions / case / f"{case}.nii.gz", Volume(mask(1, 2, 4)))
    return predictions, references


def prediction_of(folders, case):
    return folders[0] / case / f"{case}.nii.gz"


def test_flat_and_nested_folders_are_paired_by_case(folders):
    paired = pair_folders(*folders)
    assert [pair.case_id for pair in paired.pairs] == list(CASES)
    assert [pair.prediction for pair in paired.pairs] == [prediction_of(folders, case) for case in CASES]
    assert paired.convention.name == "brats2017"
    assert (paired.missing, paired.not_scored) == ((), ())


def test_scans_beside_the_references_are_found_for_the_figures(tmp_path, folders):
    predictions, _ = folders
    for case in CASES:
        folder = tmp_path / "data" / case
        folder.mkdir(parents=True)
        write_volume(folder / f"{case}_seg.nii.gz", Volume(mask(1, 2, 4)))
        for modality in ("flair", "t1", "t1ce", "t2"):
            write_volume(folder / f"{case}_{modality}.nii.gz", Volume(mask(7, 7).astype(np.int16)))
    pair = pair_folders(predictions, tmp_path / "data").pairs[0]
    assert pair.images[Modality.T1CE].path.name == f"{CASES[0]}_t1ce.nii.gz"


def test_a_scan_that_other_cases_have_is_absent(tmp_path, folders):
    predictions, _ = folders
    for case, modalities in zip(CASES, ("flair t1", "flair", "flair t1"), strict=True):
        folder = tmp_path / "HGG" / case
        folder.mkdir(parents=True)
        write_volume(folder / f"{case}_seg.nii.gz", Volume(mask(1, 2, 4)))
        for modality in modalities.split():
            write_volume(folder / f"{case}_{modality}.nii.gz", Volume(mask(7, 7).astype(np.int16)))
    pairs = pair_folders(predictions, tmp_path / "HGG").pairs
    assert [pair.absent for pair in pairs] == [(), (Modality.T1,), ()]


def test_the_strata_and_copies_of_flair_of_the_lgg_data_set_are_known(tmp_path):
    names = ("TCGA_CS_4941_19960909", "TCGA_DU_5851_19950428")
    for name, copied in zip(names, ((), (2,)), strict=True):
        patient(tmp_path / "data", name, copied=copied)
        write_volume(tmp_path / "predictions" / f"{name}.nii.gz", Volume(np.zeros((SIZE, SIZE, DEPTH), np.uint8)))
    pairs = pair_folders(tmp_path / "predictions", tmp_path / "data").pairs
    assert [pair.absent for pair in pairs] == [(), (Modality.T1CE,)]
    assert [pair.stratum for pair in pairs] == ["CS ?", "DU ?"]


def test_a_folder_of_masks_alone_has_no_scans(folders):
    (pair, *_) = pair_folders(*folders).pairs
    assert (pair.images, pair.absent, pair.stratum) == (None, None, "")


def test_a_missing_prediction_is_refused_and_the_message_names_the_case_and_the_setting(folders):
    prediction_of(folders, CASES[1]).unlink()
    with pytest.raises(DataError, match=f"{CASES[1]}: no prediction") as refusal:
        pair_folders(*folders)
    assert "allow_missing=true scores missing predictions as empty masks" in str(refusal.value)


def test_an_allowed_missing_prediction_is_counted(folders):
    prediction_of(folders, CASES[1]).unlink()
    paired = pair_folders(*folders, allow_missing=True)
    assert paired.missing == (CASES[1],)
    assert [pair.prediction is None for pair in paired.pairs] == [False, True, False]


def test_a_prediction_without_a_reference_is_reported_but_not_scored(folders):
    (folders[1] / f"{CASES[2]}_seg.nii.gz").unlink()
    paired = pair_folders(*folders)
    assert paired.not_scored == (CASES[2],)
    assert len(paired.pairs) == 2


def test_one_message_lists_all_problems(folders):
    write_volume(prediction_of(folders, CASES[0]), Volume(mask(1, 2, 4, shape=(8, 8, 9))))
    write_volume(prediction_of(folders, CASES[1]), Volume(mask(1, 99)))
    prediction_of(folders, CASES[2]).unlink()
    (folders[1] / f"{CASES[2]}_seg.nii.gz").write_bytes(b"\x1f\x8bbroken")
    with pytest.raises(DataError) as refusal:
        pair_folders(*folders)
    message = str(refusal.value)
    assert "8×8×9 voxels, not 8×8×8" in message
    assert "holds label 99" in message
    assert f"{CASES[2]}: no prediction" in message
    assert "cannot be read as NIfTI" in message


def test_a_shifted_affine_is_refused(folders):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[2, 3] = 5.0
    write_volume(prediction_of(folders, CASES[0]), Volume(mask(1, 2, 4), affine))
    with pytest.raises(DataError, match=r"corners up to 5\.00 mm apart"):
        pair_folders(*folders)


def rewritten(folders, *integers):
    for case in CASES:
        write_volume(prediction_of(folders, case), Volume(mask(*integers)))


def test_predictions_of_another_edition_are_read_by_their_own_integers(folders):
    for case in CASES:
        write_volume(folders[1] / f"{case}_seg.nii.gz", Volume(mask(1, 2, 3)))
    paired = pair_folders(*folders, labels="brats2023")
    assert paired.convention.name == "brats2023"
    assert {pair.prediction_convention.name for pair in paired.pairs} == {"brats2017"}
    assert "Labels of the predictions: brats2017 (labels 0 1 2 4)." in paired.notes
    reference, prediction = read_labels(paired.pairs[0])
    assert (reference.array == prediction.array).all() and reference.array.max() == 4


def test_a_reading_of_the_predictions_that_is_not_the_only_one_is_refused_with_the_choices(folders):
    rewritten(folders, 1, 2, 3)
    with pytest.raises(SettingsError) as refusal:
        pair_folders(*folders)
    assert str(refusal.value) == (
        "The predictions hold labels 0 1 2 3; the references follow brats2017 (case ids such as BraTS20_Training_001, "
        "labels 0 1 2 4), which has 0 1 2 4. Set labels.predictions=brats2023 or labels.predictions=msd or "
        "labels.predictions=brats2015."
    )
    paired = pair_folders(*folders, prediction_labels="msd")
    assert paired.pairs[0].prediction_convention.why == "set by labels.predictions"
    with pytest.raises(SettingsError, match=r"no labels\.predictions=msdd in the scheme glioma\. Did you mean msd\?"):
        pair_folders(*folders, prediction_labels="msdd")


def test_a_cavity_that_the_references_lack_is_not_taken_for_a_tumour(folders):
    for case in CASES:
        write_volume(folders[1] / f"{case}_seg.nii.gz", Volume(mask(1, 2, 3)))
        cavity = mask(1, 2, 3)
        cavity[0, 0, 0] = 4
        write_volume(prediction_of(folders, case), Volume(cavity))
    with pytest.raises(SettingsError) as refusal:
        pair_folders(*folders, labels="brats2023")
    assert str(refusal.value) == (
        "The predictions hold labels 0 1 2 3 4; the references follow brats2023 (set by labels.references), which has "
        "0 1 2 3. If one of them is RC, which the scheme glioma lacks, set scheme=glioma_post; else set "
        "labels.predictions=brats2015."
    )
    paired = pair_folders(*folders, labels="brats2023", prediction_labels="brats2015")
    assert paired.pairs[0].prediction_convention.name == "brats2015"
    with pytest.raises(SettingsError, match=r"set scheme=metastasis_post; else set labels\.predictions=brats2024\.$"):
        pair_folders(*folders, scheme=builtin("metastasis"), labels="brats2023")


def test_the_convention_recorded_beside_predictions_counts(folders):
    rewritten(folders, 1, 2)
    flat = folders[0].parent / "flat"
    flat.mkdir()
    for case in CASES:
        prediction_of(folders, case).rename(flat / f"{case}.nii.gz")
    record = {"convention": "msd", "networks": [{"recipe": {"scheme": builtin().as_dict()}}]}
    (flat / "predictions.json").write_text(json.dumps(record))
    paired = pair_folders(flat, folders[1])
    assert "Labels of the predictions: msd (recorded in predictions.json)." in paired.notes


def test_predictions_with_other_axes_are_turned_exactly_and_said(folders):
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    rng = np.random.default_rng(0)
    for case in CASES:
        labels = rng.choice(np.array([0, 1, 2, 4], np.uint8), size=(5, 6, 7))
        write_volume(folders[1] / f"{case}_seg.nii.gz", Volume(labels, affine))
        # The same voxels in S-A-R axes.
        turned = labels[::-1, ::-1].transpose(2, 1, 0)
        other = np.array([[0, 0, 1, -4.0], [0, 1, 0, -5.0], [1, 0, 0, 0], [0, 0, 0, 1]])
        write_volume(prediction_of(folders, case), Volume(np.ascontiguousarray(turned), other))
    paired = pair_folders(*folders)
    assert (
        "3 predictions have voxel axes in another order or direction than their references "
        f"({CASES[0]}.nii.gz): turned, not resampled." in paired.notes
    )
    for pair in paired.pairs:
        reference, prediction = read_labels(pair)
        np.testing.assert_array_equal(prediction.array, reference.array)
        np.testing.assert_allclose(prediction.affine, reference.affine, atol=1e-6)


def test_predictions_with_other_names_are_paired_and_said(folders):
    prediction_of(folders, CASES[0]).rename(folders[0] / "pred_brats20_training_001.nii.gz")
    paired = pair_folders(*folders)
    assert paired.pairs[0].prediction.name == "pred_brats20_training_001.nii.gz"
    assert paired.notes[0] == (
        "Predictions with other names were paired where only one reference fits: pred_brats20_training_001 for "
        f"{CASES[0]}."
    )


def test_a_name_that_fits_two_references_is_refused_with_both(folders):
    prediction_of(folders, CASES[0]).rename(folders[0] / "a_BraTS20_Training_001.nii.gz")
    write_volume(folders[0] / "b_BraTS20_Training_001.nii.gz", Volume(mask(1)))
    with pytest.raises(DataError, match="may belong to the predictions a_BraTS20_Training_001, b_BraTS20_Training_001"):
        pair_folders(*folders)


def test_the_convention_can_be_set(folders):
    for case in CASES:
        for path in (folders[1] / f"{case}_seg.nii.gz", prediction_of(folders, case)):
            write_volume(path, Volume(mask(1, 2, 3)))
    assert pair_folders(*folders, labels="brats2023").convention.name == "brats2023"


def test_folders_without_a_common_case_are_refused_with_example_names(folders, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    write_volume(other / "case7.nii.gz", Volume(mask(1, 2, 4)))
    with pytest.raises(DataError, match="No prediction has the case id of a reference: found case7 in .*other"):
        pair_folders(other, folders[1])


def test_the_same_folder_twice_is_refused(folders):
    with pytest.raises(SettingsError, match="Give two folders"):
        pair_folders(folders[1], folders[1])


def test_duplicate_cases_of_both_folders_are_listed_in_one_message(folders):
    predictions, references = folders
    write_volume(references / f"{CASES[0]}.nii.gz", Volume(mask(1)))
    write_volume(predictions / f"{CASES[1]}_seg.nii.gz", Volume(mask(1)))
    with pytest.raises(DataError) as refusal:
        pair_folders(predictions, references)
    assert f"{CASES[0]}: two masks" in str(refusal.value)
    assert f"{CASES[1]}: two masks" in str(refusal.value)


def test_a_cavity_in_the_predictions_alone_is_said(folders):
    for case in CASES:
        write_volume(folders[1] / f"{case}_seg.nii.gz", Volume(mask(1, 2, 3)))
    rewritten(folders, 1, 2, 3, 4)
    notes = pair_folders(*folders, labels="brats2023", prediction_labels="brats2024").notes
    assert notes[-1] == (
        "In the predictions: Label 4 (resection cavity) lies in no region of the scheme glioma and counts as "
        "background (in 3 of 3 masks); scheme=glioma_post scores it."
    )


def test_masks_stored_in_small_steps_are_rounded_and_said(folders):
    stored = np.where(mask(1, 2, 4) == 2, 127, np.where(mask(1, 2, 4) == 1, 64, 63 * mask(1, 2, 4) + 3)).astype(
        np.uint8
    )
    write_volume(prediction_of(folders, CASES[1]), Volume(np.where(mask(1, 2, 4) == 0, 0, stored)), slope=4 / 255)
    paired = pair_folders(*folders)
    name = prediction_of(folders, CASES[1]).name
    assert f"{name} stores labels in steps of 0.0157: each voxel is rounded to the nearest integer." in paired.notes
    assert set(read_labels(paired.pairs[1])[1].array.ravel()) == {0, 1, 2, 4}


def as_channels(folder_mask, order):
    labels = np.zeros((10, 11, 12), np.uint8)
    labels[:8, :8, :8] = folder_mask
    return np.stack([np.isin(labels, {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}[name]) for name in order]).astype(
        np.float32
    )


def test_masks_with_a_channel_for_each_region_are_read_by_their_nesting(tmp_path):
    for folder in ("p", "r"):
        (tmp_path / folder).mkdir()
        write_volume(tmp_path / folder / "UNet_sample_1.nii.gz", Volume(as_channels(mask(1, 2, 4), ("ET", "TC", "WT"))))
    paired = pair_folders(tmp_path / "p", tmp_path / "r")
    assert paired.convention.name == "ET+TC+WT"
    reference, prediction = read_labels(paired.pairs[0])
    assert [int(reference.array[i, 0, 0]) for i in range(4)] == [1, 2, 4, 0]
    np.testing.assert_array_equal(prediction.array, reference.array)
    one_hot = np.stack([np.equal(np.pad(mask(1, 2, 4), ((0, 2), (0, 3), (0, 4))), i) for i in (0, 1, 2, 4)])
    # Channels of labels do not show their order.
    write_volume(tmp_path / "p" / "UNet_sample_1.nii.gz", Volume(one_hot[1:].astype(np.uint8)))
    with pytest.raises(SettingsError, match="3 channels or more, and their nesting does not show which"):
        pair_folders(tmp_path / "p", tmp_path / "r")
    write_volume(tmp_path / "p" / "UNet_sample_1.nii.gz", Volume(one_hot.astype(np.uint8)))
    with pytest.raises(SettingsError, match=r"labels\.predictions=background\+NCR\+ED\+ET for labels"):
        pair_folders(tmp_path / "p", tmp_path / "r", prediction_labels="auto")
    given = pair_folders(tmp_path / "p", tmp_path / "r", prediction_labels="background+NCR+ED+ET")
    np.testing.assert_array_equal(read_labels(given.pairs[0])[1].array, reference.array)


def test_numpy_arrays_are_masks_whose_spacing_is_given(tmp_path):
    for folder in ("p", "r"):
        (tmp_path / folder).mkdir()
        for case in CASES:
            np.save(tmp_path / folder / f"{case}{'_seg' if folder == 'r' else ''}.npy", mask(1, 2, 4))
    paired = pair_folders(tmp_path / "p", tmp_path / "r", spacing_mm=(1.0, 2.0, 3.0))
    reference, prediction = read_labels(paired.pairs[0])
    assert reference.spacing_mm == prediction.spacing_mm == (1.0, 2.0, 3.0) and reference.spacing_known
    assert (reference.array == mask(1, 2, 4)).all()
    unknown = read_labels(pair_folders(tmp_path / "p", tmp_path / "r").pairs[0])[0]
    assert unknown.known_spacing_mm is None
    np.save(tmp_path / "p" / f"{CASES[0]}.npy", np.array([[["code"]]], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read as a NumPy array of numbers"):
        pair_folders(tmp_path / "p", tmp_path / "r")


def broken(folders):
    """One prediction on another grid, one with an unknown label; the third case is sound."""
    write_volume(prediction_of(folders, CASES[0]), Volume(mask(1, 2, 4, shape=(8, 8, 9))))
    write_volume(prediction_of(folders, CASES[1]), Volume(mask(1, 99)))


def test_by_the_rules_of_2026_cases_that_cannot_be_scored_are_left_out_and_named(folders):
    broken(folders)
    paired = pair_folders(*folders, protocol="brats2026")
    assert [pair.case_id for pair in paired.pairs] == [CASES[2]]
    assert list(paired.failed) == list(CASES[:2])
    assert "8×8×9 voxels, not 8×8×8" in paired.failed[CASES[0]] and "holds label 99" in paired.failed[CASES[1]]


@pytest.mark.parametrize("protocol", ["auto", "brats2020", "brats2023", "nnunet", "seed"])
def test_by_all_other_rules_such_cases_stop_the_evaluation(folders, protocol):
    broken(folders)
    with pytest.raises(DataError, match="8×8×9 voxels, not 8×8×8(.|\n)*holds label 99"):
        pair_folders(*folders, protocol=protocol)  # auto: the masks show the scheme glioma


def test_a_file_that_cannot_be_read_leaves_out_its_case_on_either_side(folders):
    prediction_of(folders, CASES[0]).write_bytes(b"junk")
    (folders[1] / f"{CASES[1]}_seg.nii.gz").write_bytes(b"\x1f\x8bbroken")
    prediction_of(folders, CASES[1]).unlink()
    paired = pair_folders(*folders, protocol="brats2026", allow_missing=True)
    assert (list(paired.failed), paired.missing) == ([CASES[1], CASES[0]], ())


def test_a_missing_prediction_is_refused_by_the_rules_of_2026_too_and_with_it_all_other_problems(folders):
    broken(folders)
    prediction_of(folders, CASES[2]).unlink()
    with pytest.raises(DataError, match=f"{CASES[2]}: no prediction(.|\n)*holds label 99"):
        pair_folders(*folders, protocol="brats2026")


def test_if_no_case_can_be_scored_the_evaluation_stops(folders):
    for case in CASES:
        write_volume(prediction_of(folders, case), Volume(mask(1, 99)))
    with pytest.raises(DataError, match="holds label 99"):
        pair_folders(*folders, protocol="brats2026")
