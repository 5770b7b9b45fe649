"""The scheme of masks that come without one, and regions that no mask shows."""

import pytest

from brats_unet.data.labels.scheme_choice import (
    absent_regions,
    absent_sentence,
    decide_scheme,
    refuse_other_scheme,
    sentences_about,
)
from brats_unet.errors import SettingsError
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin, scheme_of

GLI, OLD, PED = "BraTS-GLI-00046-101", "BraTS20_Training_001", "BraTS-PED-00001-000"
DECLARED_2024 = {"background": 0, "NETC": 1, "SNFH": 2, "ET": 3, "RC": 4}


def sets(**masks):
    return {case_id.replace("__", "-"): frozenset(integers) for case_id, integers in masks.items()}


def chosen(layout, masks, declared=None, labels="auto"):
    held = {case_id: frozenset(integers) for case_id, integers in masks.items()}
    return decide_scheme(layout, sorted(held), declared, held, labels=labels)


@pytest.mark.parametrize(
    ("layout", "masks", "declared", "name", "why"),
    [
        ("", {OLD: [0, 1, 2, 4]}, None, "glioma", "labels 0 1 2 4"),
        ("", {GLI: [0, 1, 2, 3]}, None, "glioma", "labels 0 1 2 3"),
        ("", {GLI: [0, 1, 2, 3, 4]}, None, "glioma_post", f"label 4 beside 3 in cases such as {GLI}"),
        ("", {GLI: [0, 3], "BraTS-GLI-00001-100": [0, 4]}, None, "glioma_post", "label 4 beside 3"),
        ("", {"brats_2013_pat0001_1": [0, 1, 2, 3, 4]}, None, "glioma", "labels 0 1 2 3 4"),
        ("nnunet", {"a": [0, 1, 2, 3]}, DECLARED_2024, "glioma_post", "dataset.json names a resection cavity"),
        ("nnunet", {"a": [0, 1]}, {"background": 0, "lesion": 1}, "lesion", "one label beside the background"),
        ("nnunet", {"a": [0, 1]}, {"background": 0, "kidney": 1}, "glioma", "labels 0 1"),
        ("", {"a": [0, 255], "b": [0]}, None, "lesion", "labels 0 255"),
        ("lgg", {"a": [0]}, None, "lesion", "LGG MRI Segmentation"),
        ("", {PED: [0, 1, 2, 3]}, None, "paediatric", f"case ids such as {PED}"),
        ("", {"BraTS-MET-00001-000": [0, 1, 2, 3]}, None, "metastasis", "case ids such as BraTS-MET-00001-000"),
        ("", {"BraTS-MET-00001-000": [0, 4]}, None, "metastasis_post", "case ids such as"),
        ("", {"BraTS-MEN-00001-000": [0, 1, 2, 3]}, None, "meningioma", "case ids such as"),
        ("", {"BraTS-MEN-RT-0001-1": [0, 1]}, None, "meningioma_rt", "case ids such as"),
        ("", {"BraTS-SSA-00001-000": [0, 1, 2, 3], "BraTS-GoAT-00000": [0, 3]}, None, "glioma", "case ids such as"),
        ("", {PED: [0, 3], GLI: [0, 3]}, None, "glioma", "labels 0 3"),
        ("nnunet", {"a": [0, 1]}, {"background": 0, "ET": 1, "NonEnh": 2, "Cystic": 3, "ED": 4}, "paediatric", "names"),
        ("", {"a": [0]}, None, "glioma", "labels 0"),
        ("", {}, None, "glioma", "no mask was read"),
    ],
)
def test_ids_integers_and_names_show_the_scheme(layout, masks, declared, name, why):
    scheme, reason = chosen(layout, masks, declared)
    assert scheme == builtin(name)
    assert why in reason


@pytest.mark.parametrize(
    ("masks", "other"),
    [({GLI: [0, 1, 2, 4]}, "labels=brats2017"), ({"x": [0, 3], "y": [0, 4]}, "labels=brats2015")],
)
def test_a_label_4_that_may_be_a_cavity_or_enhancing_tumour_is_refused_with_both_choices(masks, other):
    with pytest.raises(SettingsError, match="whether 4 is a resection cavity") as refusal:
        chosen("", masks)
    assert "scheme=glioma_post" in str(refusal.value) and other in str(refusal.value)


@pytest.mark.parametrize(
    ("labels", "integers", "name"),
    [
        ("brats2017", [0, 1, 2, 4], "glioma"),
        ("brats2024", [0, 1, 2, 4], "glioma_post"),
        ("brats2024", [0, 1, 2, 3], "glioma"),
        ("grey", [0, 255], "lesion"),
        ("any", [0, 1, 2, 4], "lesion"),
        ("ped2024", [0, 1, 2, 4], "paediatric"),
        ("gtv", [0, 1], "meningioma_rt"),
    ],
)
def test_a_convention_that_was_set_rules_out_schemes_without_it(labels, integers, name):
    assert chosen("", {GLI: integers}, labels=labels)[0] == builtin(name)


def test_the_scheme_of_a_run_is_kept_and_another_one_is_refused_with_both_names():
    refuse_other_scheme(builtin(), builtin(), "runs/a")
    other_words = builtin().as_dict() | {"name": "mine", "source": "me"}
    refuse_other_scheme(scheme_of(other_words), builtin(), "runs/a")
    with pytest.raises(
        SettingsError, match=r"runs/a was trained with the scheme glioma, but scheme=glioma_post is set"
    ):
        refuse_other_scheme(builtin("glioma_post"), builtin(), "runs/a")
    with pytest.raises(
        SettingsError, match=r"scheme=mine is set, which differs \(.*scored: WT, TC, ET in the run, WT now\)"
    ):
        refuse_other_scheme(scheme_of(other_words | {"scored": ["WT"]}), builtin(), "runs/a")


def test_labels_in_no_region_are_named_with_the_scheme_that_scores_them():
    brats2024, masks = conventions(builtin())["brats2024"], sets(a=[0, 1, 2, 3, 4], b=[0, 1, 2, 3], c=[0, 4])
    assert sentences_about(brats2024, masks) == [
        "Label 4 (resection cavity) lies in no region of the scheme glioma and counts as background (in 2 of 3 masks); "
        "scheme=glioma_post scores it."
    ]
    found = sentences_about(brats2024, masks, fixed=True, voxels={4: 9469, 3: 1})
    assert found[0].endswith("(in 2 of 3 masks, 9,469 voxels); a run with scheme=glioma_post scores it.")
    assert sentences_about(brats2024, sets(a=[0, 1, 2, 3])) == []
    assert sentences_about(conventions(builtin("glioma_post"))["brats2024"], masks) == []


def test_labels_that_no_scheme_scores_are_named_without_advice():
    own = scheme_of({"labels": {"A": 1, "B": 7, "C": 9}, "regions": {"R": ["A"]}})
    assert sentences_about(conventions(own)["own"], sets(a=[0, 1, 7, 9])) == [
        "Labels 7 (B) and 9 (C) lie in no region of the scheme own and count as background (in 1 of 1 masks)."
    ]


def test_of_a_run_no_other_scheme_is_proposed():
    (found,) = sentences_about(conventions(builtin())["brats2017"], sets(a=[0, 1], b=[0, 1]), fixed=True)
    assert found.endswith(
        "read as necrotic or non-enhancing core (brats2017). If it means something else, set data.labels=…."
    )
    (found,) = sentences_about(conventions(builtin())["brats2017"], sets(a=[0, 1, 2]), fixed=True)
    assert found.endswith("If there should be some, correct the masks, or set data.labels=….")


def test_regions_without_a_label_in_any_mask_are_absent():
    brats2024 = conventions(builtin("glioma_post"))["brats2024"]
    assert absent_regions(brats2024, sets(a=[0, 1], b=[0, 2])) == ["ET", "RC"]
    assert absent_regions(brats2024, sets(a=[0, 1, 2, 3, 4])) == []
    assert absent_regions(brats2024, {}) == []
    assert absent_regions(conventions(builtin())["brats2017"], sets(a=[0])) == ["WT", "TC", "ET"]


def test_the_sentence_on_binary_masks_proposes_the_scheme_lesion():
    brats2017 = conventions(builtin())["brats2017"]
    found = absent_sentence(brats2017, sets(a=[0, 1], b=[0, 1]))
    assert found.startswith("No ET (enhancing tumour) in any of the 2 masks: the only label is 1, read as necrotic")
    assert found.endswith("set scheme=lesion.")
    assert absent_sentence(brats2017, sets(a=[0, 1, 2])).startswith("No ET (enhancing tumour) in the mask. If there")
    assert absent_sentence(brats2017, sets(a=[0, 4, 2])) == ""
    assert absent_sentence(conventions(builtin("lesion"))["binary"], sets(a=[0, 1])) == ""


def test_the_case_that_shows_a_cavity_is_named_also_if_it_has_no_background():
    scheme, why = chosen("", {"BraTS-GLI-00001-100": [0, 1], "BraTS-GLI-00002-101": [3, 4]})
    assert scheme == builtin("glioma_post") and why.endswith("in cases such as BraTS-GLI-00002-101")


@pytest.mark.parametrize(
    ("case_id", "labels", "name"),
    [
        (GLI, "ET+TC+WT", "glioma"),
        (PED, "ET+TC+WT", "paediatric"),
        (GLI, "WT+TC+ET+RC", "glioma_post"),
        (GLI, "no+such", "glioma"),
    ],
)
def test_channels_that_were_set_choose_a_scheme_that_has_them(case_id, labels, name):
    assert chosen("", {case_id: [0, 256]}, labels=labels) == (builtin(name), f"labels={labels}")
