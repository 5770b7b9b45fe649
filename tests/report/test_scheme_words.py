"""What the tables, the page and the card say about a scheme."""

import re
from pathlib import Path

import brats_unet.report
from brats_unet.report.scheme_words import first_upper, label_sentences, predictors, region_sentences, target


def test_what_is_segmented_has_a_noun(schemes):
    nouns = {name: target(scheme) for name, scheme in schemes.items()}
    assert nouns == {
        "glioma": "tumour",
        "glioma_post": "tumour",
        "lesion": "lesion",
        "paediatric": "tumour",
        "five": "region",
        "eight": "region",
    }


def test_the_trivial_predictors_are_named_after_it(schemes):
    assert list(predictors(schemes["lesion"]).values()) == ["no lesion found", "mean training shape"]


def test_the_regions_are_said_with_their_labels_and_their_nesting(schemes):
    assert region_sentences(schemes["glioma"]) == [
        "Whole tumour (WT): labels NCR, ED and ET.",
        "Tumour core (TC): labels NCR and ET.",
        "Enhancing tumour (ET): label ET.",
        "TC lies within WT.",
        "ET lies within TC.",
    ]
    assert region_sentences(schemes["lesion"]) == ["Lesion: label lesion."]
    assert region_sentences(schemes["five"])[4:] == ["R5: labels e and a."]


def test_labels_are_said_unless_their_names_say_all(schemes):
    assert label_sentences(schemes["glioma"])[::3] == [
        "NCR: necrotic or non-enhancing core.",
        "RC: resection cavity, in no scored region.",
    ]
    assert label_sentences(schemes["five"]) == label_sentences(schemes["lesion"]) == []


def test_a_first_letter_becomes_a_capital_and_flair_stays():
    assert first_upper("surrounding FLAIR hyperintensity") == "Surrounding FLAIR hyperintensity"
    assert first_upper("") == ""


def test_no_file_of_the_report_names_a_region_of_a_scheme():
    folder = Path(brats_unet.report.__file__).parent
    files = [*folder.glob("*.py"), *folder.glob("template/*")]
    assert len(files) > 20
    assert [file.name for file in files if re.search(r"\b(WT|TC|ET|RC)\b", file.read_text(encoding="utf-8"))] == []
