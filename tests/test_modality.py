"""Names of scans: the four contrasts of BraTS, and own names."""

import copy
import json
import pickle

import pytest

from brats_unet.data.prepare.preparation import Preparation
from brats_unet.errors import CheckpointError, SettingsError
from brats_unet.modality import Modality, in_order, in_words, named_scans

OPTIONS = {"spacing_mm": [1, 1, 1], "crop": "brain", "normalise": "zscore"}


def test_the_contrasts_of_brats_are_four_in_their_channel_order():
    assert list(Modality) == ["flair", "t1", "t1ce", "t2"] and len(Modality) == 4
    assert [in_words(m) for m in Modality] == ["FLAIR", "T1", "T1ce", "T2"] and in_words("ADC") == "ADC"


@pytest.mark.parametrize("name", ["flair", "ADC", "T2star", "b-1000", "CT_bone"])
def test_equal_names_are_one_object_however_they_are_made(name):
    one = Modality(name)
    assert one is Modality(str(one)) is copy.deepcopy(one) is pickle.loads(pickle.dumps(one))
    assert one == name and {one: 1}[name] == 1 and json.dumps([one]) == f'["{name}"]' and f"{one}" == name


@pytest.mark.parametrize("name", ["", "2d", "a b", "a/b", "../x", "a<b", "mask", "Seg", "preset", "none"])
def test_a_word_that_cannot_name_a_scan_is_refused(name):
    with pytest.raises(ValueError, match="is no name of a scan"):
        Modality(name)


def test_scans_that_a_file_names_are_refused_with_the_file(tmp_path):
    assert named_scans(["t1", "ADC"], tmp_path) == [Modality.T1, Modality("ADC")]
    with pytest.raises(CheckpointError, match=r"settings\.json: '2d' is no name of a scan\. Restore the file"):
        named_scans(["t1", "2d"], tmp_path / "settings.json")


def test_a_preparation_of_a_file_with_a_wrong_name_is_refused():
    wrong = {**Preparation.of(["t1"], OPTIONS).as_dict(), "modalities": ["t1", "a/b"]}
    with pytest.raises(SettingsError, match="is not a list of different modalities"):
        Preparation.from_dict(wrong)


def test_own_names_come_after_the_contrasts_by_alphabet():
    assert in_order(["ct", "t2", "ADC", "flair", "t2", "b-0"]) == ["flair", "t2", "ADC", "b-0", "ct"]
    assert in_order([]) == []


def test_a_preparation_takes_own_names_that_have_a_pattern_and_reads_its_record_back():
    files = {"preset": "bids", "ADC": "*_ADC", "mask": "*_seg"}
    made = Preparation.of(["ADC", "t1"], OPTIONS, files)
    assert made.modalities == ("t1", "ADC")
    assert Preparation.from_dict(json.loads(json.dumps(made.as_dict()))) == made
    for wrong in ("CT", "mask", "preset"):
        with pytest.raises(
            SettingsError, match=r"is not a list of different modalities\. Choose from ADC, flair, t1, "
        ):
            Preparation.of(["t1", wrong], OPTIONS, files)
    with pytest.raises(SettingsError, match=r"Choose from flair, t1, t1ce, t2\."):
        Preparation.of(["t1", "ADC"], OPTIONS)
