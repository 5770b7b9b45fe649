"""Post-processing: each rule by hand, and what must always hold."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from brats_unet.errors import CheckpointError
from brats_unet.inference.postprocess import NEUTRAL, Postprocessing, cleaned_masks, labels_of, regions_of
from tests.inference.rules_before_schemes import labels_before
from tests.inference.scheme_examples import FIVE, GLIOMA, LESION, POST, SCHEMES

MM = (1.0, 1.0, 1.0)
EACH = {"WT": 0, "TC": 0, "ET": 0}


def probabilities(labels, sure=0.9, scheme=GLIOMA):
    return np.where(scheme.predicted_masks(labels), sure, 0.1).astype(np.float32)


def glioma(probabilities, rules, spacing_mm=MM):
    return labels_of(probabilities, spacing_mm, rules, GLIOMA)


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
    np.testing.assert_array_equal(glioma(probabilities(labels), Postprocessing()), labels)
    assert glioma(np.full((1, 1, 1, 3), 0.5, np.float32), Postprocessing()).item() == 4
    assert not glioma(np.zeros((3, 3, 3, 3), np.float32), Postprocessing(least_total_mm3={"ET": 100})).any()


def test_a_threshold_changes_only_its_region(labels):
    found = glioma(probabilities(labels), Postprocessing(threshold={"WT": 0.5, "TC": 0.5, "ET": 0.95}))
    np.testing.assert_array_equal(found, np.where(labels == 4, 1, labels))


@pytest.mark.parametrize(("least", "stays"), [(8, True), (8.1, False)])
def test_too_little_enhancing_tumour_becomes_core(labels, least, stays):
    found = glioma(probabilities(labels), Postprocessing(least_total_mm3={"ET": least}))
    np.testing.assert_array_equal(found, labels if stays else np.where(labels == 4, 1, labels))


def test_volumes_are_in_cubic_millimetres(labels):
    rules = Postprocessing(least_total_mm3={"ET": 8.1})
    assert (glioma(probabilities(labels), rules, (2.0, 1.0, 1.0)) == 4).any()
    assert not (glioma(probabilities(labels), rules, (0.5, 1.0, 1.0)) == 4).any()


def test_a_small_component_is_removed_and_a_large_one_is_kept(labels):
    found = glioma(probabilities(labels), Postprocessing(least_component_mm3={**EACH, "WT": 3}))
    assert not found[12].any()
    np.testing.assert_array_equal(found[:10], labels[:10])


def test_a_removed_component_is_removed_with_its_inner_regions(labels):
    labels[12, 10, 9] = 4
    found = glioma(probabilities(labels), Postprocessing(least_component_mm3={**EACH, "WT": 3}))
    assert not found[12].any() and (found == 4).sum() == 8


def test_a_removed_component_of_the_core_becomes_oedema(labels):
    labels[12, 10, 9] = 1
    found = glioma(probabilities(labels), Postprocessing(least_component_mm3={**EACH, "TC": 3}))
    assert found[12, 10, 9:11].tolist() == [2, 2] and (found == 4).sum() == 8


def test_a_component_of_low_mean_probability_is_removed(labels):
    uncertain = probabilities(labels)
    uncertain[12, 10, 9:11, 0] = (0.7, 0.8)
    for least, stays in ((0.74, True), (0.76, False)):
        rules = Postprocessing(least_component_probability={**EACH, "WT": least})
        assert glioma(uncertain, rules)[12].any() == stays


def test_largest_only_keeps_the_larger_of_two_components(labels):
    rules = Postprocessing(largest_only={"WT": True, "TC": False, "ET": False})
    found = glioma(probabilities(labels), rules)
    assert not found[12].any() and (found != 0).sum() == 216


def test_voxels_that_touch_at_a_corner_are_one_component():
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[1, 1, 1] = labels[2, 2, 2] = 2
    kept = glioma(probabilities(labels), Postprocessing(least_component_mm3={**EACH, "WT": 2}))
    assert kept.sum() == 4


def test_a_hole_is_filled_with_the_tissue_around_it(labels):
    labels[2, 5, 5] = labels[4, 4, 4] = 0
    labels[2, 5, 5] = 2
    rules = Postprocessing(fill_holes={"WT": False, "TC": True, "ET": False})
    found = glioma(probabilities(labels), rules)
    assert found[4, 4, 4] == 1
    core = GLIOMA.region_mask(labels, "TC")
    np.testing.assert_array_equal(GLIOMA.region_mask(found, "TC"), core | (found != labels))


@pytest.mark.parametrize("smooth", [0, 1.5])
def test_a_glioma_gets_the_labels_it_got_before_there_were_schemes(smooth):
    draw = np.random.default_rng(0)
    changed = 0
    for _ in range(40):
        noise = ndimage.gaussian_filter(draw.standard_normal((18, 16, 14, 3)), (smooth, smooth, smooth, 0))
        shares = np.clip(0.5 + 0.2 * noise / noise.std(), 0, 1).astype(np.float32)
        rules = {
            "threshold": {name: float(draw.choice([0.4, 0.5, 0.6])) for name in GLIOMA.predicted},
            "least_component_mm3": {name: float(draw.choice([0, 4, 30])) for name in GLIOMA.predicted},
            "least_component_probability": {name: float(draw.choice([0, 0.6, 0.65])) for name in GLIOMA.predicted},
            "largest_only": {name: bool(draw.integers(4) == 0) for name in GLIOMA.predicted},
            "fill_holes": {name: bool(draw.integers(2)) for name in GLIOMA.predicted},
            "least_et_mm3": float(draw.choice([0, 50, 400])),
        }
        before = labels_before(shares, (1.0, 1.0, 1.5), rules)
        found = labels_of(shares, (1.0, 1.0, 1.5), Postprocessing.from_dict(rules, GLIOMA), GLIOMA)
        np.testing.assert_array_equal(found, before)
        changed += (found != labels_of(shares, MM, Postprocessing(threshold=rules["threshold"]), GLIOMA)).any()
    assert changed > 30  # else the rules did nothing


def all_rules(scheme, **values):
    """Rules with one value for every region that has the rule."""
    return Postprocessing(**{rule: dict.fromkeys(regions_of(rule, scheme), value) for rule, value in values.items()})


@pytest.mark.parametrize("name", SCHEMES)
def test_without_rules_masks_of_labels_give_these_labels_back(name):
    scheme = SCHEMES[name]
    labels = np.random.default_rng(1).choice(scheme.class_values, (8, 7, 6)).astype(np.uint8)
    found = labels_of(probabilities(labels, scheme=scheme), MM, Postprocessing(), scheme)
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("name", SCHEMES)
def test_rules_that_remove_nothing_change_nothing(name):
    """The components of every region are examined, and all are kept."""
    scheme = SCHEMES[name]
    shares = np.random.default_rng(2).random((9, 9, 9, len(scheme.predicted)), np.float32)
    for rules in ({"least_component_mm3": 1}, {"least_component_probability": 0.5}, {"least_total_mm3": 1}):
        found = labels_of(shares, MM, all_rules(scheme, **rules), scheme)
        np.testing.assert_array_equal(found, labels_of(shares, MM, Postprocessing(), scheme))


@pytest.mark.parametrize("name", SCHEMES)
def test_labels_follow_the_scheme_whatever_the_probabilities(name):
    scheme = SCHEMES[name]
    shares = np.random.default_rng(0).random((9, 9, 9, len(scheme.predicted)), np.float32)
    for rules in (
        all_rules(scheme, fill_holes=True, threshold=0.7),
        all_rules(scheme, largest_only=True),
        all_rules(scheme, least_component_mm3=9, least_total_mm3=10),
    ):
        found = labels_of(shares, MM, rules, scheme)
        assert set(np.unique(found)) <= set(scheme.class_values)
        np.testing.assert_array_equal(scheme.labels_from_masks(scheme.predicted_masks(found)), found)


@pytest.mark.parametrize("name", SCHEMES)
def test_padding_the_volume_does_not_change_the_labels(name):
    scheme = SCHEMES[name]
    labels = np.zeros((12, 11, 10), np.uint8)
    for index, value in enumerate(scheme.class_values[1:]):
        labels[1 + index : 11 - index, 2:8, 2 + index % 3 : 9] = value
    labels[0, 10, 9] = scheme.class_values[1]
    original = probabilities(labels, scheme=scheme)
    rules = all_rules(scheme, fill_holes=True, least_component_mm3=3)
    padded = np.pad(original, ((3, 2), (1, 4), (2, 2), (0, 0)))
    found = labels_of(original, MM, rules, scheme)
    np.testing.assert_array_equal(labels_of(padded, MM, rules, scheme)[3:-2, 1:-4, 2:-2], found)
    assert (found != labels).any()


def test_a_removed_cavity_becomes_the_tumour_that_was_under_it():
    shares = np.zeros((4, 3, 3, 4), np.float32)
    shares[:3, ..., 0], shares[:2, ..., 3] = 0.8, 0.6
    assert labels_of(shares, MM, Postprocessing(), POST)[:, 0, 0].tolist() == [3, 3, 2, 0]
    removed = labels_of(shares, MM, Postprocessing(least_component_probability={"RC": 0.7}), POST)
    assert removed[:, 0, 0].tolist() == [2, 2, 2, 0]


def test_a_lesion_of_a_small_total_becomes_background():
    shares = np.zeros((5, 1, 1, 1), np.float32)
    shares[[0, 1, 3]] = 0.9
    for least, left in ((3, [1, 1, 0, 1, 0]), (3.1, [0, 0, 0, 0, 0])):
        rules = Postprocessing(least_total_mm3={"lesion": least})
        assert labels_of(shares, MM, rules, LESION)[:, 0, 0].tolist() == left
    shares[1:] = 0
    rules = Postprocessing(least_total_mm3={"lesion": 1.5})
    assert not labels_of(shares, MM, rules, LESION).any()  # a single voxel of 1 mm3


def test_a_small_total_takes_the_regions_inside_it_along():
    scheme = replace(GLIOMA, small_total=("TC",))
    labels = np.array([2, 2, 1, 4], np.uint8).reshape(4, 1, 1)
    found = labels_of(probabilities(labels), MM, Postprocessing(least_total_mm3={"TC": 3}), scheme)
    assert found[:, 0, 0].tolist() == [2, 2, 2, 2]


def test_where_regions_overlap_a_removed_component_leaves_the_other_region():
    """b lies in R1 and R2; without R2, R1 alone stands for a."""
    labels = np.array([1, 2, 2, 0, 0, 3, 3, 3], np.uint8).reshape(8, 1, 1)
    found = labels_of(probabilities(labels, scheme=FIVE), MM, Postprocessing(least_component_mm3={"R2": 3}), FIVE)
    assert found[:, 0, 0].tolist() == [1, 1, 1, 0, 0, 3, 3, 3]
    small = labels_of(probabilities(labels, scheme=FIVE), MM, Postprocessing(least_total_mm3={"R2": 6}), FIVE)
    assert small[:, 0, 0].tolist() == [1, 1, 1, 0, 0, 3, 3, 3]


@pytest.mark.parametrize("name", SCHEMES)
def test_rules_survive_a_round_trip_through_json(name):
    scheme = SCHEMES[name]
    rules = all_rules(scheme, threshold=0.45, least_component_mm3=10, fill_holes=True, least_total_mm3=200)
    plain = json.loads(json.dumps(rules.as_dict(scheme)))
    assert Postprocessing.from_dict(plain, scheme) == rules
    assert list(plain) == list(NEUTRAL) and list(plain["threshold"]) == list(scheme.predicted)
    assert list(plain["least_total_mm3"]) == list(scheme.small_total)
    assert Postprocessing.from_dict(Postprocessing().as_dict(scheme), scheme) == Postprocessing()
    assert Postprocessing.from_dict({}, scheme) == Postprocessing()


def test_a_region_without_an_entry_has_the_default():
    rules = Postprocessing.from_dict({"threshold": {"ET": 0.4}}, GLIOMA)
    assert rules.as_dict(GLIOMA)["threshold"] == {"WT": 0.5, "TC": 0.5, "ET": 0.4}
    assert rules == Postprocessing(threshold={"ET": 0.4, "WT": 0.5}, largest_only={"WT": False})


def test_rules_of_files_from_before_there_were_schemes_are_read():
    for_each = {"WT": 0.5, "TC": 0.5, "ET": 0.4}
    assert Postprocessing.from_dict({"threshold": for_each, "least_et_mm3": 200.0}, GLIOMA) == Postprocessing(
        threshold={"ET": 0.4}, least_total_mm3={"ET": 200.0}
    )
    assert Postprocessing.from_dict({"least_et_mm3": 0.0}, GLIOMA) == Postprocessing()


@pytest.mark.parametrize(
    ("plain", "scheme", "message"),
    [
        ({"least_et": 3}, GLIOMA, "no rule named least_et"),
        ({"threshold": 0.5}, GLIOMA, "of the scheme glioma that has this rule: WT, TC, ET"),
        ({"threshold": {"NCR": 0.5}}, GLIOMA, "one value for each"),
        ({"threshold": {"WT": 0.4}}, LESION, "of the scheme lesion that has this rule: lesion"),
        ({"least_total_mm3": {"WT": 3}}, GLIOMA, "that has this rule: ET"),
        ({"least_total_mm3": {"A": 3}}, replace(FIVE, small_total=()), "that has this rule: none has it"),
        ({"least_et_mm3": 3}, LESION, "least_total_mm3={'ET': 3}. Expected one value for each"),
        ({"least_et_mm3": -1}, GLIOMA, "numbers of 0 or more"),
        ({"least_et_mm3": "many"}, GLIOMA, "numbers of 0 or more"),
        ({"threshold": {"WT": 0.4, "TC": -1}}, GLIOMA, "numbers of 0 or more"),
    ],
)
def test_invalid_rules_are_refused(plain, scheme, message):
    with pytest.raises(CheckpointError, match=message):
        Postprocessing.from_dict(plain, scheme)


def test_the_rules_in_mm3_that_do_something_are_named():
    assert Postprocessing(threshold={"WT": 0.4}).in_mm3 == []
    rules = Postprocessing(least_component_mm3={"WT": 0.0, "TC": 5.0}, least_total_mm3={"ET": 3.0})
    assert rules.in_mm3 == ["least_component_mm3", "least_total_mm3"]


def test_the_largest_component_may_be_a_single_voxel():
    sure = np.full((5, 1, 1, 1), 0.1, np.float32)
    sure[[1, 3]] = 0.9
    found = labels_of(sure, MM, Postprocessing(largest_only={"lesion": True}), LESION)
    assert (found.ravel() != 0).tolist() == [False, True, False, False, False]


def test_a_hole_that_is_filled_lies_in_the_regions_around_it_too():
    masks = np.zeros((5, 5, 5, 3), bool)
    masks[1:4, 1:4, 1:4, :2] = True
    masks[2, 2, 2] = False
    cleaned = cleaned_masks(masks, masks.astype(np.float32), 1.0, Postprocessing(fill_holes={"TC": True}), GLIOMA)
    assert cleaned[2, 2, 2].tolist() == [True, True, False]
    assert cleaned.sum(axis=(0, 1, 2)).tolist() == [27, 27, 0] and masks.sum() == 52


def test_rules_of_thresholds_alone_are_known_as_such():
    assert Postprocessing(threshold={"WT": 0.4}).only_thresholds is True
    assert Postprocessing(threshold={"WT": 0.4}, fill_holes={"WT": True}).only_thresholds is False


@pytest.mark.parametrize(("least", "stays"), [(3.0, True), (3.1, False)])
def test_a_component_of_exactly_the_least_volume_stays(least, stays):
    sure = np.full((5, 1, 1, 1), 0.1, np.float32)
    sure[1:4] = 0.9
    found = labels_of(sure, MM, Postprocessing(least_component_mm3={"lesion": least}), LESION)
    assert (found != 0).sum() == (3 if stays else 0)


@pytest.mark.parametrize(("least", "stays"), [(0.75, True), (0.76, False)])
def test_a_component_of_exactly_the_least_mean_probability_stays(least, stays):
    sure = np.zeros((4, 1, 1, 1), np.float32)
    sure[1:3, ..., 0] = np.array([1.0, 0.5]).reshape(2, 1, 1)
    found = labels_of(sure, MM, Postprocessing(least_component_probability={"lesion": least}), LESION)
    assert (found != 0).sum() == (2 if stays else 0)


def test_the_largest_is_chosen_of_the_components_that_the_other_rules_keep():
    sure = np.zeros((9, 1, 1, 1), np.float32)
    sure[1:5], sure[6:8] = 0.6, 0.9
    rules = Postprocessing(least_component_probability={"lesion": 0.8}, largest_only={"lesion": True})
    assert np.flatnonzero(labels_of(sure, MM, rules, LESION)).tolist() == [6, 7]


def test_a_small_total_is_removed_only_of_regions_for_which_the_scheme_allows_it(labels):
    found = glioma(probabilities(labels), Postprocessing(least_total_mm3={"WT": 10**6, "TC": 10**6}))
    np.testing.assert_array_equal(found, labels)


def test_rules_that_are_not_given_by_name_are_refused():
    with pytest.raises(CheckpointError, match=r"^here: the post-processing is \[1\]\. Expected rules by name\.$"):
        Postprocessing.from_dict([1], GLIOMA, where="here")
