"""Pairing of case ids that are not written alike."""

import pytest

from brats_unet.evaluation.name_pairs import pair_names


@pytest.mark.parametrize(
    ("reference", "prediction"),
    [
        ("BraTS-MET-00132-000", "00132-000"),
        ("BraTS-MET-01325-000", "BraTS-MET_01325-000"),
        ("BraTS-GLI-00217-000", "SEG-00217-000"),
        ("BraTS20_Training_001", "brats20-training-001"),
        ("BraTS20_Training_001", "BraTS20_Training_001_pred"),
        ("case_7", "unet_case_7_fold0"),
        ("label_0007", "pred_0007"),
    ],
)
def test_a_prefix_a_suffix_or_other_separators_do_not_matter(reference, prediction):
    assert pair_names([reference], [prediction]) == ({reference: prediction}, [])
    more, others = [reference, "BraTS-GLI-99999-100"], ["BraTS-GLI-99999-100", prediction]
    assert pair_names(more, others) == ({reference: prediction, more[1]: more[1]}, [])


@pytest.mark.parametrize(
    ("reference", "prediction"),
    [
        ("BraTS-GLI-00132-000", "BraTS-MET-00132-000"),  # two series
        ("BraTS-GLI-00132-000", "BraTS-GLI-00132-001"),  # two sessions
        ("case_1", "case_11"),
        ("case_1", "case_01"),
        ("left", "right"),
        ("scan", "scan_seg"),  # no number
    ],
)
def test_other_cases_are_not_paired(reference, prediction):
    assert pair_names([reference], [prediction]) == ({}, [])


def test_ids_that_fit_several_are_left_out_and_named():
    references, predictions = ["BraTS-GLI-00001-000"], ["a_00001-000", "b_00001-000"]
    found, told = pair_names(references, predictions)
    assert found == {} and told == ["BraTS-GLI-00001-000 may belong to the predictions a_00001-000, b_00001-000."]
    found, told = pair_names(["a_5", "b_5"], ["x_5"])
    assert found == {}
    assert told[0] == "a_5 is not the only reference that the prediction x_5 may belong to."


def test_equal_ids_come_first_and_what_is_left_may_then_be_unique():
    assert pair_names(["a_5", "b_5"], ["a_5", "x_5"])[0] == {"a_5": "a_5", "b_5": "x_5"}
    assert pair_names([], ["a"]) == ({}, []) and pair_names(["a"], []) == ({}, [])
