"""Parsing the names of scans, masks, cases and channels."""

import pytest

from brats_unet.data.readers.naming import channel_modality, patient_of, scan_name
from brats_unet.modality import Modality


@pytest.mark.parametrize(
    ("stem", "case_id", "modality"),
    [
        ("BraTS20_Training_001_flair", "BraTS20_Training_001", Modality.FLAIR),
        ("BraTS2021_00000_t1", "BraTS2021_00000", Modality.T1),
        ("Brats18_CBICA_AAM_1_t1ce", "Brats18_CBICA_AAM_1", Modality.T1CE),
        ("brats_2013_pat0001_1_t2", "brats_2013_pat0001_1", Modality.T2),
        ("BraTS-GLI-00005-100-t1n", "BraTS-GLI-00005-100", Modality.T1),
        ("BraTS-GLI-00005-100-t1c", "BraTS-GLI-00005-100", Modality.T1CE),
        ("BraTS-GLI-00005-100-t2W", "BraTS-GLI-00005-100", Modality.T2),
        ("BraTS-GLI-00005-100-t2f", "BraTS-GLI-00005-100", Modality.FLAIR),
        ("flair", "", Modality.FLAIR),
    ],
)
def test_a_scan_is_recognised_by_its_suffix(stem: str, case_id: str, modality: Modality) -> None:
    name = scan_name(stem)
    assert name is not None
    assert (name.id, name.modality) == (case_id, modality)


@pytest.mark.parametrize("stem", ["BraTS20_Training_001_seg", "BraTS-GLI-00005-100-seg", "W39_1998.09.19_Segm"])
def test_a_mask_is_recognised_by_its_suffix(stem: str) -> None:
    name = scan_name(stem)
    assert name is not None
    assert name.modality is None


@pytest.mark.parametrize("stem", ["BraTS20_Training_001", "BRATS_001_0000", "TCGA-DU-7294_pred-isen-20", "x_brainmask"])
def test_other_names_are_neither_scan_nor_mask(stem: str) -> None:
    assert scan_name(stem) is None


def test_two_sessions_of_one_patient_have_the_same_patient_id() -> None:
    assert patient_of("BraTS-GLI-00005-100") == patient_of("BraTS-GLI-00005-101") == "BraTS-GLI-00005"
    assert patient_of("brats_tcia_pat153_0002") == patient_of("brats_tcia_pat153_0109") == "brats_tcia_pat153"


def test_a_case_of_brats_2018_to_2021_is_its_own_patient() -> None:
    for case_id in ("Brats18_TCIA01_147_1", "BraTS20_Training_355", "BraTS2021_00000"):
        assert patient_of(case_id) == case_id


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("FLAIR", "flair"),
        ("T1w", "t1"),
        ("t1gd", "t1ce"),
        ("T1-CE", "t1ce"),
        ("T2w", "t2"),
        ("T2-FLAIR", "flair"),
        ("CT", None),
    ],
)
def test_channel_names_of_dataset_json_give_the_modality(name: str, modality: str | None) -> None:
    assert channel_modality(name) == modality
