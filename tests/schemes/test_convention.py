"""Integers in files to labels and back."""

import numpy as np
import pytest

from brats_unet.mask_channels import FIRST_CODE, packed
from brats_unet.schemes.convention import channels_shown, convention_named, conventions
from brats_unet.schemes.scheme_file import builtin, builtin_names, scheme_of

EVERY = [convention for name in builtin_names() for convention in conventions(builtin(name)).values()]


@pytest.mark.parametrize("convention", EVERY, ids=lambda one: f"{one.scheme.name}-{one.name}")
def test_what_a_network_predicts_can_be_written_in_every_convention_and_read_again(convention):
    labels = np.array(convention.scheme.class_values, np.uint8)
    known = np.isin(labels, list(convention.to_label.values()))
    back = convention.decode(convention.encode(labels), where="here")
    np.testing.assert_array_equal(back[known], labels[known])
    assert (back[~known] != 0).all()


def test_a_cyst_is_written_as_non_enhancing_core_where_the_edition_has_no_cysts():
    scheme = builtin("paediatric")
    old = conventions(scheme)["ped2023"]
    labels = np.array([scheme.labels[name].value for name in ("CC", "NETC", "ED", "ET")])
    assert old.encode(labels).tolist() == [1, 1, 2, 3]
    assert conventions(scheme)["ped2024"].encode(labels).tolist() == [3, 2, 4, 1]


def test_a_label_that_no_network_predicts_and_no_integer_stands_for_is_refused():
    glioma = builtin()
    with pytest.raises(ValueError, match="The brats2017 convention has no integer for label 3"):
        conventions(glioma)["brats2017"].encode(np.array([glioma.labels["RC"].value]))


def channels_of(scheme, labels, names):
    """Labels as a mask with a channel for each region or label."""
    masks = [
        scheme.region_mask(labels, name) if name in scheme.predicted else labels == label_of(scheme, name)
        for name in names
    ]
    return np.stack(masks).astype(np.uint8)


def label_of(scheme, name):
    return 0 if name == "background" else scheme.labels[name].value


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("glioma", "WT+TC+ET"),
        ("glioma", "TC+WT+ET"),
        ("glioma", "background+NCR+ED+ET"),
        ("glioma", "NCR+ED+ET"),
        ("glioma_post", "RC+ET+TC+WT"),
        ("paediatric", "ET+NETC+CC+ED"),
    ],
)
def test_channels_of_regions_or_labels_give_the_labels_back(name, channels):
    scheme = builtin(name)
    labels = np.random.default_rng(0).choice(np.array(scheme.class_values, np.uint8), size=(9, 10, 11))
    convention = convention_named(scheme, channels)
    mask = packed(channels_of(scheme, labels, convention.channels))
    np.testing.assert_array_equal(convention.decode(mask, where="here"), labels)
    assert convention.encode(labels).max() < FIRST_CODE and convention.written == next(
        iter(conventions(scheme).values())
    )


@pytest.mark.parametrize("channels", ["WT+XX", "WT+NCR", "WT+WT", "WT+", "nothing"])
def test_what_is_no_list_of_regions_or_labels_is_no_convention(channels):
    assert convention_named(builtin(), channels) is None


def test_the_nesting_of_channels_shows_the_regions_of_a_chain_only():
    for order in (("ET", "TC", "WT"), ("TC", "WT", "ET")):
        labels = np.array([0, 1, 2, 4], np.uint8).reshape(4, 1, 1) * np.ones((1, 9, 9), np.uint8)
        held = frozenset(np.unique(packed(channels_of(builtin(), labels, order))).tolist())
        assert channels_shown(builtin(), held).name == "+".join(order)
        assert channels_shown(builtin("glioma_post"), held) is None  # RC lies beside the others
    assert channels_shown(builtin(), frozenset({0, FIRST_CODE + 1, FIRST_CODE + 2})) is None


def test_every_combination_of_overlapping_regions_has_an_integer():
    own = scheme_of({"labels": dict.fromkeys("abc"), "regions": {"R1": ["a", "b"], "R2": ["b", "c"]}})
    assert conventions(own)["own"].integers_of_regions() == {"": 0, "R1": 1, "R1+R2": 2, "R2": 3}
