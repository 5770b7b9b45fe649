"""Post-processing: each rule by hand, and what must always hold."""

import json

import numpy as np
import pytest

from brats_unet.anatomy import labels_from_regions, region_masks
from brats_unet.errors import CheckpointError
from brats_unet.inference.postprocess import Postprocessing, labels_of

MM = (1.0, 1.0, 1.0)
EACH = {"WT": 0, "TC": 0, "ET": 0}


def probabilities(labels, sure=0.9):
    return np.where(region_masks(labels), sure, 0.1).astype(np.float32)


@pytest.fixture
def labels():
    """A tumour of 6 x 6 x 6 voxels with a core of 4 x 4 x 4 and 8 voxels of ET, and two voxels of oedema far away."""
    made = np.zeros((16, 12, 12), np.uint8)
    made[2:8, 2:8, 2:8] = 2
    made[3:7, 3:7, 3:7] = 1
    made[4:6, 4:6, 4:6] = 4
    made[12, 10, 9:11] = 2
    return made


def test_without_rules_the_threshold_is_one_half(labels):
    np.testing.assert_array_equal(labels_of(probabilities(labels), MM, Postprocessing()), labels)
    assert labels_of(np.full((1, 1, 1, 3), 0.5, np.float32), MM, Postprocessing()).item() == 4
    assert not labels_of(np.zeros((3, 3, 3, 3), np.float32), MM, Postprocessing(least_et_mm3=100)).any()


def test_a_threshold_changes_only_its_region(labels):
    found = labels_of(probabilities(labels), MM, Postprocessing(threshold={"WT": 0.5, "TC": 0.5, "ET": 0.95}))
    np.testing.assert_array_equal(found, np.where(labels == 4, 1, labels))


@pytest.mark.parametrize(("least", "stays"), [(8, True), (8.1, False)])
def test_too_little_enhancing_tumour_becomes_core(labels, least, stays):
    found = labels_of(probabilities(labels), MM, Postprocessing(least_et_mm3=least))
    np.testing.assert_array_equal(found, labels if stays else np.where(labels == 4, 1, labels))


def test_volumes_are_in_cubic_millimetres(labels):
    rules = Postprocessing(least_et_mm3=8.1)
    assert (labels_of(probabilities(labels), (2.0, 1.0, 1.0), rules) == 4).any()
    assert not (labels_of(probabilities(labels), (0.5, 1.0, 1.0), rules) == 4).any()


def test_a_small_component_is_removed_and_a_large_one_is_kept(labels):
    found = labels_of(probabilities(labels), MM, Postprocessing(least_component_mm3={**EACH, "WT": 3}))
    assert not found[12].any()
    np.testing.assert_array_equal(found[:10], labels[:10])


def test_a_removed_component_is_removed_with_its_inner_regions(labels):
    labels[12, 10, 9] = 4
    found = labels_of(probabilities(labels), MM, Postprocessing(least_component_mm3={**EACH, "WT": 3}))
    assert not found[12].any() and (found == 4).sum() == 8


def test_a_removed_component_of_the_core_becomes_oedema(labels):
    labels[12, 10, 9] = 1
    found = labels_of(probabilities(labels), MM, Postprocessing(least_component_mm3={**EACH, "TC": 3}))
    assert found[12, 10, 9:11].tolist() == [2, 2] and (found == 4).sum() == 8


def test_a_component_of_low_mean_probability_is_removed(labels):
    uncertain = probabilities(labels)
    uncertain[12, 10, 9:11, 0] = (0.7, 0.8)
    for least, stays in ((0.74, True), (0.76, False)):
        rules = Postprocessing(least_component_probability={**EACH, "WT": least})
        assert labels_of(uncertain, MM, rules)[12].any() == stays


def test_largest_only_keeps_the_larger_of_two_components(labels):
    rules = Postprocessing(largest_only={"WT": True, "TC": False, "ET": False})
    found = labels_of(probabilities(labels), MM, rules)
    assert not found[12].any() and (found != 0).sum() == 216


def test_voxels_that_touch_at_a_corner_are_one_component():
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[1, 1, 1] = labels[2, 2, 2] = 2
    kept = labels_of(probabilities(labels), MM, Postprocessing(least_component_mm3={**EACH, "WT": 2}))
    assert kept.sum() == 4


def test_a_hole_is_filled_with_the_tissue_around_it(labels):
    labels[2, 5, 5] = labels[4, 4, 4] = 0
    labels[2, 5, 5] = 2
    rules = Postprocessing(fill_holes={"WT": False, "TC": True, "ET": False})
    found = labels_of(probabilities(labels), MM, rules)
    assert found[4, 4, 4] == 1
    np.testing.assert_array_equal(region_masks(found)[..., 1], region_masks(labels)[..., 1] | (found != labels))


def test_regions_are_nested_whatever_the_probabilities():
    random = np.random.default_rng(0).random((9, 9, 9, 3), np.float32)
    for rules in (
        Postprocessing(fill_holes={"WT": True, "TC": True, "ET": True}, threshold={"WT": 0.7, "TC": 0.4, "ET": 0.5}),
        Postprocessing(largest_only={"WT": True, "TC": True, "ET": True}),
        Postprocessing(least_component_mm3={"WT": 9, "TC": 2, "ET": 3}, least_et_mm3=10),
    ):
        found = labels_of(random, MM, rules)
        np.testing.assert_array_equal(labels_from_regions(region_masks(found)), found)
        assert set(np.unique(found)) <= {0, 1, 2, 4}


def test_padding_the_volume_does_not_change_the_labels(labels):
    original = probabilities(labels)
    rules = Postprocessing(
        fill_holes={"WT": True, "TC": True, "ET": True}, least_component_mm3={"WT": 3, "TC": 3, "ET": 3}
    )
    padded = np.pad(original, ((3, 2), (1, 4), (2, 2), (0, 0)))
    np.testing.assert_array_equal(labels_of(padded, MM, rules)[3:-2, 1:-4, 2:-2], labels_of(original, MM, rules))


def test_rules_survive_a_round_trip_through_json():
    rules = Postprocessing(least_et_mm3=200, threshold={"WT": 0.45, "TC": 0.4, "ET": 0.4})
    assert Postprocessing.from_dict(json.loads(json.dumps(rules.as_dict()))) == rules
    assert Postprocessing.from_dict({}) == Postprocessing()
    assert Postprocessing.from_dict({"threshold": {"ET": 0.4}}).threshold == {"WT": 0.5, "TC": 0.5, "ET": 0.4}


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"least_et": 3}, "no rule named least_et"),
        ({"threshold": 0.5}, "one value for each of WT, TC and ET"),
        ({"threshold": {"NCR": 0.5}}, "one value for each"),
        ({"least_et_mm3": -1}, "numbers of 0 or more"),
        ({"least_et_mm3": "many"}, "numbers of 0 or more"),
    ],
)
def test_invalid_rules_are_refused(plain, message):
    with pytest.raises(CheckpointError, match=message):
        Postprocessing.from_dict(plain)
