"""The meaning of integers in each label convention, and how the convention of a dataset is decided."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from brats_unet import nifti
from brats_unet.data.labels.decide import decide, integers_of, label_set
from brats_unet.errors import DataError, SettingsError
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume
from tests.glioma import Label

REGIONS_NNUNET = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
REGIONS_2023 = {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [1, 3], "enhancing tumor": [3]}
LABELS_MSD = {"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}
LABELS_2024 = {"background": 0, "NETC": 1, "SNFH": 2, "ET": 3, "RC": 4}
LABELS_2015 = {"background": 0, "necrosis": 1, "edema": 2, "non-enhancing tumor": 3, "enhancing tumor": 4}


def auto(layout: str, masks: Mapping[str, set[int]], declared: Mapping[str, int | list[int]] | None = None) -> str:
    sets = {case_id: frozenset(integers) for case_id, integers in masks.items()}
    return decide("auto", layout, list(masks), declared, sets, scheme=builtin()).name


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("brats2017", {0: 0, 1: 1, 2: 2, 4: 4}),
        ("brats2023", {0: 0, 1: 1, 2: 2, 3: 4}),
        ("brats2024", {0: 0, 1: 1, 2: 2, 3: 4, 4: 3}),
        ("msd", {0: 0, 1: 2, 2: 1, 3: 4}),
        ("nnunet", {0: 0, 1: 2, 2: 1, 3: 4}),
        ("brats2015", {0: 0, 1: 1, 2: 2, 3: 1, 4: 4}),
    ],
)
def test_each_convention_decodes_to_the_documented_labels(name: str, meaning: dict[int, int]) -> None:
    integers = np.array(sorted(meaning), np.int16)
    labels = conventions(builtin())[name].decode(integers, where="case")
    assert labels.dtype == np.uint8
    assert labels.tolist() == [meaning[i] for i in sorted(meaning)]


@pytest.mark.parametrize("name", sorted(conventions(builtin())))
def test_decoding_what_was_encoded_is_the_identity(name: str) -> None:
    convention = conventions(builtin())[name]
    labels = np.array(sorted({int(label) for label in convention.to_label.values()}), np.uint8)
    integers = convention.encode(labels)
    assert integers.dtype == np.uint8
    assert convention.decode(integers, where="case").tolist() == labels.tolist()


def test_the_lower_of_two_integers_with_one_meaning_is_written() -> None:
    assert conventions(builtin())["brats2015"].encode(np.array([Label.NECROTIC])).tolist() == [1]


def test_a_label_that_a_convention_lacks_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="brats2017 convention has no integer for label 3"):
        conventions(builtin())["brats2017"].encode(np.array([Label.CAVITY]))


def test_an_unknown_integer_is_refused_with_file_count_and_setting() -> None:
    integers = np.array([0, 1, 99, 99, 3])
    with pytest.raises(DataError) as refusal:
        conventions(builtin())["brats2017"].decode(integers, where="a: a_seg.nii.gz")
    assert str(refusal.value) == (
        "a: a_seg.nii.gz: holds label 3 (1 voxels), 99 (2 voxels). The brats2017 convention allows 0 1 2 4. Correct "
        "the mask, or choose another convention with data.labels=…."
    )


def test_integers_outside_0_to_255_are_refused_and_an_empty_mask_is_accepted() -> None:
    with pytest.raises(DataError, match=r"label 256 \(1 voxels\)"):
        conventions(builtin())["msd"].decode(np.array([256, 0]), where="a")
    with pytest.raises(DataError, match=r"label -1 \(1 voxels\)"):
        conventions(builtin())["msd"].decode(np.array([-1, 0]), where="a")
    assert conventions(builtin())["msd"].decode(np.zeros((0, 2), np.int16), where="a").shape == (0, 2)


def test_label_set_returns_each_integer_of_a_mask_once(tmp_path: Path) -> None:
    array = np.zeros((8, 8, 8), np.float32)
    array[0, 0, 0], array[1, 1, 1] = 0.99999997, 4
    nifti.write_volume(tmp_path / "m.nii.gz", Volume(array))
    assert label_set(tmp_path / "m.nii.gz") == {0, 1, 4}
    assert integers_of(np.full((2, 2), 7)) == {7}
    assert integers_of(np.zeros((0,), np.int16)) == frozenset()


@pytest.mark.parametrize(
    ("case_id", "integers", "name"),
    [
        ("BraTS20_Training_001", {0, 1, 2, 4}, "brats2017"),
        ("Brats18_CBICA_AAM_1", {0, 1, 2}, "brats2017"),
        ("BraTS19_2013_0_1", {0}, "brats2017"),
        ("BraTS2021_00000", {0, 2}, "brats2017"),
        ("brats_tcia_pat105_0001", {0, 1, 2, 3, 4}, "brats2015"),
        ("brats_2013_pat0001_1", {0, 1, 2, 4}, "brats2015"),
        ("BRATS_001", {0, 1, 2, 3}, "msd"),
        ("BraTS-GLI-00005-100", {0, 1, 2, 3}, "brats2023"),
        ("BraTS-GLI-00005-100", {0, 1, 2, 3, 4}, "brats2024"),
        ("BraTS-MET-00005-000", {0, 1}, "brats2023"),
    ],
)
@pytest.mark.parametrize("layout", ["", "brats2018-2021"])
def test_case_ids_decide_the_convention(layout: str, case_id: str, integers: set[int], name: str) -> None:
    assert auto(layout, {case_id: integers}) == name


@pytest.mark.parametrize(
    ("layout", "masks", "name"),
    [
        ("brats2018-2021", {"a": {0, 1, 2}, "b": {0, 4}}, "brats2017"),
        ("brats2023+", {"a": {0, 1, 2}, "b": {0, 3}}, "brats2023"),
        ("brats2023+", {"a": {0, 1, 2}}, "brats2023"),
        ("brats2023+", {"a": {0, 3}, "b": {0, 4}}, "brats2024"),
        ("msd", {"a": {0, 1, 2, 3}}, "msd"),
        ("nnunet", {"a": {0, 1, 2, 4}}, "brats2017"),
        ("brats2018-2021", {"a": {0}}, "brats2017"),
    ],
)
def test_for_unknown_case_ids_the_layout_and_all_labels_decide(layout: str, masks: dict, name: str) -> None:
    assert auto(layout, masks) == name


@pytest.mark.parametrize(
    ("declared", "name"),
    [
        (REGIONS_NNUNET, "nnunet"),
        (REGIONS_2023, "brats2023"),
        (LABELS_MSD, "nnunet"),
        (LABELS_2024, "brats2024"),
        (LABELS_2015, "brats2015"),
    ],
)
def test_label_names_of_dataset_json_decide_the_convention(declared: dict, name: str) -> None:
    every = {i for value in declared.values() for i in (value if isinstance(value, list) else [value])}
    assert auto("nnunet", {"BraTS2021_00000": every}, declared) == name


@pytest.mark.parametrize(
    ("layout", "case_id", "integers", "choices"),
    [
        ("brats2018-2021", "a", {0, 1, 2, 3}, ("brats2023", "nnunet", "brats2015")),
        ("brats2018-2021", "a", {0, 1, 2}, ("brats2017", "nnunet")),
        ("brats2018-2021", "a", {0, 1, 2, 3, 4}, ("brats2024", "brats2015")),
        ("brats2018-2021", "BraTS20_Training_001", {0, 1, 2, 3}, ("brats2023", "msd", "brats2015")),
        ("brats2023+", "a", {0, 1, 2, 4}, ("brats2024", "brats2017")),
        ("nnunet", "BraTS2021_00000", {0, 1, 2, 3}, ("nnunet", "brats2023", "brats2015")),
        ("msd", "BRATS_001", {0, 1, 2, 4}, ("brats2017", "brats2024")),
    ],
)
def test_ambiguous_labels_are_refused_with_the_possible_conventions(
    layout: str, case_id: str, integers: set[int], choices: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as refusal:
        auto(layout, {case_id: integers})
    assert str(refusal.value).endswith(" or ".join(f"data.labels={name}" for name in choices) + ".")


def in_scheme(name, masks, layout="", declared=None):
    held = {case_id: frozenset(integers) for case_id, integers in masks.items()}
    return decide("auto", layout, sorted(held), declared, held, scheme=builtin(name)).name


@pytest.mark.parametrize(
    ("scheme", "masks", "name"),
    [
        ("paediatric", {"BraTS-PED-1": {0, 1, 2, 3}, "BraTS-PED-2": {0, 4}}, "ped2024"),
        ("paediatric", {"a": {0, 4}, "b": {1}}, "ped2024"),
        ("metastasis", {"BraTS-MET-00001-000": {0, 1, 2, 3}}, "brats2023"),
        ("metastasis", {"BraTS-MET-00001-000": {0, 1, 2, 3, 4}}, "brats2024"),
        ("metastasis_post", {"BraTS-MET-00001-000": {0, 1, 2, 3}}, "brats2024"),
        ("meningioma", {"BraTS-MEN-00001-000": {0, 3}}, "brats2023"),
        ("meningioma_rt", {"BraTS-MEN-RT-0001-1": {0, 1}}, "gtv"),
        ("glioma", {"BraTS-SSA-00001-000": {0, 1, 2, 3}}, "brats2023"),
        ("glioma", {"BraTS-GoAT-00000": {0, 1, 2, 4}}, "brats2017"),
        ("glioma_post", {"BraTS-GLI-00001-100": {0, 1, 2, 3, 4}}, "brats2024"),
    ],
)
def test_every_edition_has_its_convention(scheme, masks, name):
    assert in_scheme(scheme, masks) == name


def test_paediatric_masks_without_a_label_4_are_refused_with_both_readings():
    masks = {"BraTS-PED-00001-000": {0, 1, 2, 3}}
    with pytest.raises(SettingsError) as refusal:
        in_scheme("paediatric", masks)
    assert "ped2023 (1 non-enhancing tumour core, 2 oedema, 3 enhancing)" in str(refusal.value)
    assert "ped2024 (1 enhancing, 2 non-enhancing tumour core, 3 cystic component)" in str(refusal.value)
    assert str(refusal.value).endswith("Set data.labels=ped2023 or data.labels=ped2024.")
    assert in_scheme("paediatric", masks, "nnunet", {"background": 0, "ET": 1, "NET": 2, "CC": 3, "ED": 4}) == "ped2024"


def test_masks_with_channels_need_as_many_names_as_they_have_channels():
    nested, one_hot = {"a": frozenset({0, 256 + 1, 256 + 3, 256 + 7})}, {"a": frozenset({0, 257, 258, 260})}

    def decided(setting, masks):
        return decide(setting, "", sorted(masks), None, masks, scheme=builtin())

    assert decided("auto", nested).name == "WT+TC+ET"
    assert decided("NCR+ED+ET", one_hot).why == "set by data.labels"
    naming = (
        "Name them in their order: data.labels=WT+TC+ET for regions, or data.labels=background+NCR+ED+ET for labels."
    )
    for setting, masks, found in (
        (
            "auto",
            one_hot,
            "The masks have 3 channels or more, and their nesting does not show which region or label each is.",
        ),
        ("WT+TC", nested, "The masks have 3 channels or more, but data.labels=WT+TC names 2."),
        (
            "brats2017",
            nested,
            "The masks have 3 channels or more, but data.labels=brats2017 is for masks of one integer a voxel.",
        ),
        ("WT+NCR", nested, "data.labels=WT+NCR does not name channels of the scheme glioma."),
    ):
        with pytest.raises(SettingsError) as refusal:
            decided(setting, masks)
        assert str(refusal.value) == f"{found} {naming}"
    with pytest.raises(
        SettingsError, match=r"Some masks have a channel for each region, others one integer a voxel \(4\)"
    ):
        decided("auto", {**nested, "b": frozenset({0, 4})})


def test_cases_of_a_series_that_the_scheme_does_not_fit_are_refused_with_the_one_that_does():
    with pytest.raises(SettingsError) as refusal:
        in_scheme("glioma", {"BraTS-PED-00001-000": {0, 1, 2, 3}})
    assert str(refusal.value).startswith(
        "According to case ids such as BraTS-PED-00001-000, the masks follow ped2023 or ped2024, which the scheme "
        "glioma does not have. Set scheme=paediatric, or data.labels=brats2017 or"
    )
    with pytest.raises(
        SettingsError, match=r"follow gtv, which the scheme meningioma does not have\. Set scheme=menin"
    ):
        in_scheme("meningioma", {"BraTS-MEN-RT-0001-1": {0, 1}})


def test_the_refusal_lists_the_meaning_of_the_labels_in_each_convention() -> None:
    with pytest.raises(
        SettingsError, match=r"brats2017 \(1 necrotic or non-enhancing core, 2 oedema\) or nnunet \(1 oedema, "
    ):
        auto("", {"a": {0, 1, 2}})


def test_masks_that_contradict_dataset_json_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"According to the label names of dataset.json, .* but a holds 4"):
        auto("msd", {"a": {0, 1, 4}}, LABELS_MSD)
    with pytest.raises(SettingsError, match="do not show what labels 0 1 mean"):
        auto("nnunet", {"a": {0, 1}}, {"background": 0, "enhancing": 1, "edema": 2, "necrosis": 3})


def test_unknown_label_names_are_ignored() -> None:
    with pytest.raises(SettingsError, match="can be read as"):
        auto("nnunet", {"a": {0, 1}}, {"background": 0, "tumour": 1})


def test_a_label_of_no_convention_is_refused_with_its_case() -> None:
    with pytest.raises(DataError, match=r"\(b: 99\)"):
        auto("brats2018-2021", {"a": {0, 1, 2, 4}, "b": {0, 99}})


def test_a_named_convention_is_used_unchecked_and_a_typo_gets_a_suggestion() -> None:
    assert decide("msd", "brats2018-2021", ["BraTS20_Training_001"], None, {}, scheme=builtin()).name == "msd"
    with pytest.raises(
        SettingsError, match=r"There is no data\.labels=brats2071 in the scheme glioma\. Did you mean brats2017\?"
    ):
        decide("brats2071", "", [], None, {}, scheme=builtin())
    with pytest.raises(SettingsError, match=r"Set labels=brats2017 or labels=nnunet"):
        decide("auto", "", ["a"], None, {"a": frozenset({0, 1, 2})}, scheme=builtin(), key="labels")


def test_masks_of_another_edition_than_the_scheme_are_refused_by_name() -> None:
    held = {"BraTS2021_00000": frozenset({0, 1, 2, 4})}
    with pytest.raises(
        SettingsError, match=r"follow brats2017, which the scheme glioma_post does not have\. Set scheme=glioma"
    ):
        decide("auto", "", list(held), None, held, scheme=builtin("glioma_post"))


def test_the_scheme_of_a_run_is_not_to_be_chosen_anew() -> None:
    held = {"BraTS20_Training_001": frozenset({0, 1, 2, 4})}
    for masks in (held, {"a": frozenset({0, 9})}):
        for fixed in (False, True):
            with pytest.raises((SettingsError, DataError)) as refused:
                decide("auto", "", list(masks), None, masks, scheme=builtin("glioma_post"), fixed=fixed)
            assert ("Set scheme=" in str(refused.value) or "choose another scheme" in str(refused.value)) is not fixed


def test_the_convention_says_why_it_was_chosen() -> None:
    found = decide(
        "auto", "", ["BraTS20_Training_001"], None, {"BraTS20_Training_001": frozenset({0, 1})}, scheme=builtin()
    )
    assert found.why == "case ids such as BraTS20_Training_001, labels 0 1"


def test_case_ids_of_two_kinds_are_considered_together() -> None:
    assert auto("", {"BraTS2021_00000": {0, 1, 2, 4}, "brats_2013_pat0001_1": {0, 1, 2, 3, 4}}) == "brats2015"
    assert auto("", {"BraTS2021_00000": {0, 1, 2, 4}, "mine": {0, 1}}) == "brats2017"


@pytest.mark.real
def test_the_conventions_of_real_masks_are_recognised(real_scans: Path) -> None:
    for case_id, name, integers in (
        ("BraTS2021/BraTS2021_01479", "brats2017", {0, 1, 2, 4}),
        ("BRATS2015/brats_2013_pat0001_1", "brats2015", {0, 1, 2, 3, 4}),
    ):
        folder = real_scans / case_id
        found = label_set(folder / f"{folder.name}_seg.nii.gz")
        assert found == integers
        assert auto("brats2018-2021", {folder.name: set(found)}) == name
