"""The model card says what is segmented."""

import pytest

from brats_unet.report.model_card import card
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import scheme_of


@pytest.fixture
def content():
    """A function: what `prediction.json` says of a network with this scheme, as far as the card reads it."""

    def made(scheme):
        convention = next(iter(scheme.integers))
        return {
            "source": {
                "run": None,
                "file": "a.keras",
                "weights": 1000,
                "checkpoint": "last",
                "steps": 1,
                "packages": {},
            }
            | dict.fromkeys(("brats_unet", "trained_by_commit", "exported_by_commit")),
            "network": {
                "format": "onnx",
                "input": {"modalities": ["flair"]},
                "output": {"regions": [*scheme.predicted]},
            },
            "preparation": {"spacing_mm": [1.0, 1.0, 2.0], "crop": "brain"},
            "labels": {"convention": convention, "integers": {"background": 0}},
            "postprocessing": {},
            "scheme": scheme.as_dict(),
            "largest_difference_from_training_framework": 0.0,
        }

    return made


def test_the_card_states_name_source_regions_and_labels_of_any_scheme(content, schemes, tmp_path):
    for scheme in schemes.values():
        text = card(Run(tmp_path), content(scheme), "last")
        section = text.split("## Scheme\n\n")[1].split("\n\n## ")[0]
        assert section.startswith(f"{scheme.name}.") and scheme.source in section
        assert section.count("\n| ") == 2 + len(scheme.regions) + len(scheme.labels)
        for name, region in scheme.regions.items():
            assert f"| {name} | {region.words} | {', '.join(region.labels)} | " in section


def test_a_label_without_an_integer_in_the_masks_has_none_in_the_card(content, schemes, tmp_path):
    text = card(Run(tmp_path), content(schemes["glioma"]), "last")
    assert "| ET | enhancing | 4 |" in text and "| RC | resection cavity | none |" in text


def test_a_region_that_is_only_scored_is_not_said_to_be_predicted(content, schemes, tmp_path):
    text = card(Run(tmp_path), content(schemes["glioma_post"]), "last")
    assert "| NETC | non-enhancing tumour core | NCR | no | yes |" in text
    assert "WT, TC, ET, RC (whole tumour, tumour core, enhancing tissue, resection cavity)" in text


def test_the_intended_use_names_what_is_segmented(content, schemes, tmp_path):
    assert "Segmentation of brain lesions in MR" in card(Run(tmp_path), content(schemes["lesion"]), "last")
    assert "Segmentation of brain tumours in MR" in card(Run(tmp_path), content(schemes["glioma"]), "last")


def test_what_the_scans_must_show_follows_from_the_crop(content, schemes, tmp_path):
    stripped = content(schemes["glioma"])
    assert "Scans must be skull-stripped, as in BraTS, and be co-registered" in card(Run(tmp_path), stripped, "last")
    whole = stripped | {"preparation": {**stripped["preparation"], "crop": "head"}}
    assert "Scans must show the whole head and be co-registered" in card(Run(tmp_path), whole, "last")


def test_words_with_a_bar_stay_in_their_cell(content, tmp_path):
    scheme = scheme_of({"labels": {"a": {"words": "x | y\nz"}}, "regions": {"A": ["a"]}})
    assert r"| a | x \| y z | 1 |" in card(Run(tmp_path), content(scheme), "last")


def test_a_description_without_a_scheme_is_glioma(content, schemes, tmp_path):
    old = {key: value for key, value in content(schemes["glioma"]).items() if key != "scheme"}
    assert card(Run(tmp_path), old, "last") == card(Run(tmp_path), content(schemes["glioma"]), "last")
