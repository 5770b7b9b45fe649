"""Regions, labels and classes of a scheme, and the way from one to another."""

import itertools

import numpy as np
import pytest

from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.schemes.scheme import PROTOCOL_NAMES, Scheme
from brats_unet.schemes.scheme_file import builtin, builtin_names, scheme_of

OVERLAPPING = scheme_of(
    {
        "labels": dict.fromkeys("abcde"),
        "regions": {"R1": ["a", "b"], "R2": ["b", "c"], "R3": ["c", "d"], "R4": ["d", "e"], "R5": ["e", "a"]},
    }
)
EVERY = [*map(builtin, builtin_names()), OVERLAPPING]
every_scheme = pytest.mark.parametrize("scheme", EVERY, ids=lambda scheme: scheme.name)
every_tree = pytest.mark.parametrize("scheme", [one for one in EVERY if one.is_tree], ids=lambda scheme: scheme.name)


def painted(masks: np.ndarray) -> np.ndarray:
    """Labels of glioma as they were painted before there were schemes: the innermost region wins."""
    labels = np.zeros(masks.shape[:-1], np.uint8)
    for index, label in enumerate((2, 1, 4)):
        labels[masks[..., index]] = label
    return labels


def test_every_combination_of_gliomas_regions_becomes_the_label_it_always_became() -> None:
    combinations = np.array(list(itertools.product([False, True], repeat=3)))
    np.testing.assert_array_equal(builtin("glioma").labels_from_masks(combinations), painted(combinations))


def test_the_regions_of_glioma_by_hand() -> None:
    glioma, labels = builtin("glioma"), np.array([0, 1, 2, 3, 4], np.uint8)
    assert glioma.predicted_masks(labels).astype(int).tolist() == [
        [0, 0, 0],  # background
        [1, 1, 0],  # necrotic core
        [1, 0, 0],  # oedema
        [0, 0, 0],  # cavity
        [1, 1, 1],  # enhancing
    ]
    assert glioma.region_mask(labels, "TC").tolist() == [False, True, False, False, True]
    assert glioma.around("ET") == ("WT", "TC") and glioma.around("WT") == ()
    assert [glioma.own_label(region) for region in glioma.predicted] == [2, 1, 4]


def test_a_cavity_lies_in_no_other_region_and_wins_where_both_are_predicted() -> None:
    post = builtin("glioma_post")
    labels = np.array([post.labels["RC"].value], np.uint8)
    assert post.predicted_masks(labels).tolist() == [[False, False, False, True]]
    both = np.array([[True, True, False, True]])
    assert post.words_of(int(post.labels_from_masks(both)[0])) == "resection cavity"


@every_scheme
def test_masks_of_labels_give_the_labels_back(scheme: Scheme) -> None:
    labels = np.random.default_rng(0).choice(scheme.class_values, (5, 6, 7)).astype(np.uint8)
    np.testing.assert_array_equal(scheme.labels_from_masks(scheme.predicted_masks(labels)), labels)


@every_scheme
def test_every_combination_of_masks_becomes_a_label_in_one_of_its_regions(scheme: Scheme) -> None:
    combinations = np.array(list(itertools.product([False, True], repeat=len(scheme.predicted))))
    labels = scheme.labels_from_masks(combinations)
    assert (scheme.predicted_masks(labels) & combinations).any(axis=-1).tolist() == combinations.any(axis=-1).tolist()
    assert set(labels[1:]) <= set(scheme.class_values)


@every_scheme
def test_certain_classes_are_the_regions_of_their_label(scheme: Scheme) -> None:
    labels = np.array(scheme.class_values, np.uint8)
    found = scheme.regions_from_classes(np.eye(len(labels), dtype=np.float32))
    np.testing.assert_array_equal(found, scheme.predicted_masks(labels))


@every_tree
def test_regions_of_a_softmax_give_its_classes_back(scheme: Scheme) -> None:
    logits = np.random.default_rng(1).normal(size=(50, len(scheme.class_values)))
    classes = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(scheme.classes_from_regions(scheme.regions_from_classes(classes)), classes, atol=1e-6)


def test_regions_that_overlap_do_not_determine_the_classes() -> None:
    with pytest.raises(ValueError, match="overlap: they do not determine class probabilities"):
        OVERLAPPING.classes_from_regions(np.zeros((2, 5)))


def test_the_probability_of_a_scored_union_is_the_sum_over_its_labels() -> None:
    post = builtin("glioma_post")
    assert post.scored == ("WT", "TC", "ET", "RC", "NETC", "SNFH")
    found = post.scored_probabilities(np.array([[0.9, 0.6, 0.5, 0.05]]))
    np.testing.assert_allclose(found, [[0.9, 0.6, 0.5, 0.05, 0.6 - 0.5, 0.9 - 0.6]])
    inconsistent = post.scored_probabilities(np.array([[0.2, 0.6, 0.7, 0.0]]))
    assert inconsistent[0, 4:].tolist() == [0, 0]


def test_a_scheme_whose_scored_regions_are_predicted_keeps_their_probabilities() -> None:
    probabilities = np.random.default_rng(2).random((4, 5))
    assert OVERLAPPING.scored_probabilities(probabilities) is probabilities


@every_scheme
def test_channels_are_named_and_say_which_labels_they_stand_for(scheme: Scheme) -> None:
    regions, classes = scheme.of_channels("regions"), scheme.of_channels("labels")
    assert tuple(regions) == scheme.predicted and classes["background"] == (0,)
    assert [value for values in classes.values() for value in values] == list(scheme.class_values)


def test_words_colours_and_sources_do_not_change_what_a_scheme_means() -> None:
    plain = builtin("glioma").as_dict()
    other = {**plain, "source": "elsewhere", "regions": {**plain["regions"]}}
    other["regions"]["WT"] = {**plain["regions"]["WT"], "colour": "#123456", "words": "all of it"}
    assert scheme_of(other).meaning == builtin("glioma").meaning
    other["scored"] = ["WT"]
    assert scheme_of(other).meaning != builtin("glioma").meaning


def test_schemes_mean_the_same_if_labels_regions_and_predicted_regions_are_the_same() -> None:
    plain = builtin("glioma").as_dict()
    renamed = scheme_of({**plain, "name": "mine", "integers": {"own": plain["integers"]["msd"]}})
    assert renamed.means_the_same(builtin("glioma")) and builtin("glioma").means_the_same(renamed)
    assert not builtin("glioma").means_the_same(builtin("glioma_post"))
    other_value = scheme_of({**plain, "labels": {**plain["labels"], "RC": {**plain["labels"]["RC"], "value": 7}}})
    fewer = scheme_of({**plain, "predicted": ["TC", "ET"], "scored": ["TC", "ET"], "classes": ["NCR", "ET"]})
    assert not any(one.means_the_same(builtin("glioma")) for one in (other_value, fewer))


def test_a_voxel_in_a_region_counts_as_in_the_regions_around_it() -> None:
    """b lies in A and in C, which overlap; the voxel is in B, which lies inside A, and in C."""
    regions = {"A": ["a", "b", "c"], "B": ["a"], "C": ["b", "d"]}
    mixed = scheme_of({"labels": {"d": 4, "b": 2, "a": 1, "c": 3}, "regions": regions})
    assert not mixed.is_tree
    for masks in ([False, True, True], [True, True, True]):
        assert mixed.labels_from_masks(np.array(masks)) == 2


def test_classes_lie_on_the_last_axis_as_regions_do() -> None:
    regions = np.array([[[0.9, 0.6, 0.5], [0.0, 0.0, 0.0], [1.0, 1.0, 0.25]]])
    found = builtin("glioma").classes_from_regions(regions)
    assert found.shape == (1, 3, 4)  # background, and the labels in the order of the classes
    assert dict(zip(builtin("glioma").class_values, found[0, 0].round(6).tolist(), strict=True)) == {
        0: 0.1,
        1: 0.1,
        2: 0.3,
        4: 0.5,
    }


def test_the_protocols_that_a_scheme_may_name_are_those_that_score() -> None:
    assert tuple(sorted(PROTOCOLS)) == PROTOCOL_NAMES


def test_in_plain_types_a_label_with_one_integer_has_no_list() -> None:
    integers = builtin("glioma").as_dict()["integers"]
    assert integers["brats2017"] == {"NCR": 1, "ED": 2, "ET": 4}
    assert integers["brats2015"] == {"NCR": [1, 3], "ED": 2, "ET": 4}
