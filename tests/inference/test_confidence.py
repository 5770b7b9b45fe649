"""Entropy and facts by hand, and which cases are flagged for review."""

import numpy as np
import pytest

from brats_unet.inference.confidence import RegionFacts, entropy, facts_of, review_reasons
from brats_unet.inference.volumes_csv import volume_rows
from tests.inference.scheme_examples import FIVE, GLIOMA, LESION, POST, SCHEMES

NAN = float("nan")


def voxel(*regions):
    return np.array(regions, np.float32).reshape(1, 1, 1, -1)


@pytest.mark.parametrize("regions", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)])
def test_a_certain_voxel_has_entropy_0(regions):
    assert entropy(voxel(*regions), GLIOMA).item() == pytest.approx(0, abs=1e-6)


def test_four_equally_likely_classes_have_entropy_1_and_two_have_one_half():
    assert entropy(voxel(0.75, 0.5, 0.25), GLIOMA).item() == pytest.approx(1)
    assert entropy(voxel(0.5, 0, 0), GLIOMA).item() == pytest.approx(0.5)


@pytest.mark.parametrize("name", SCHEMES)
def test_entropy_is_from_0_to_1_whatever_the_probabilities_and_leaves_them_alone(name):
    given = np.random.default_rng(0).random((5, 5, 5, len(SCHEMES[name].predicted)), np.float32)
    before = given.copy()
    found = entropy(given, SCHEMES[name])
    assert found.dtype == np.float32 and found.shape == (5, 5, 5) and found.min() >= 0 and 0.5 < found.max() <= 1
    np.testing.assert_array_equal(given, before)


def test_entropy_of_a_glioma_is_to_the_last_bit_what_it_was_before_there_were_schemes():
    given = np.random.default_rng(0).random((9, 9, 9, 3), np.float32)
    wt, tc, et = np.moveaxis(np.minimum.accumulate(given, axis=-1), -1, 0)
    classes = np.stack([1 - wt, tc - et, wt - tc, et], axis=-1)
    terms = np.where(classes > 0, classes * np.log(np.maximum(classes, 1e-12)), 0)
    expected = np.clip(-terms.sum(axis=-1) / np.log(4), 0, 1).astype(np.float32)
    np.testing.assert_array_equal(entropy(given, GLIOMA), expected)


def test_one_region_is_uncertain_by_its_own_entropy():
    assert entropy(voxel(0.5), LESION).item() == pytest.approx(1)
    assert entropy(voxel(0.25), LESION).item() == pytest.approx(0.811278, abs=1e-6)


def test_regions_side_by_side_share_what_is_more_than_1_in_proportion():
    """Oedema 0.9 and cavity 0.9 count as 0.5 and 0.5 of five classes."""
    assert entropy(voxel(0.9, 0, 0, 0.9), POST).item() == pytest.approx(np.log(2) / np.log(5))
    assert entropy(voxel(0, 0, 0, 1), POST).item() == 0


def test_uncertainty_of_overlapping_regions_is_the_mean_over_regions():
    assert entropy(voxel(1, 1, 0, 0, 0), FIVE).item() == 0
    assert entropy(voxel(0.5, 1, 0, 0, 0.5), FIVE).item() == pytest.approx(2 / 5)


def test_facts_by_hand():
    labels = np.zeros((3, 1, 1), np.uint8)
    labels[:2, 0, 0] = (4, 2)
    probabilities = np.zeros((3, 1, 1, 3), np.float32)
    probabilities[:, 0, 0, 0] = (0.9, 0.7, 0.1)
    wt, tc, et = facts_of(labels, probabilities, np.array([0.5, NAN, 1.0]), (1.0, 1.0, 3.0), GLIOMA)
    assert (wt.volume_mm3, tc.volume_mm3, et.volume_mm3) == (6, 3, 3)
    assert wt.mean_probability == pytest.approx(0.8) and wt.agreement == 0.5
    assert np.isnan(facts_of(labels * 0, probabilities, None, (1, 1, 1), GLIOMA)[0].mean_probability)


def test_a_scored_region_that_is_not_predicted_has_a_volume_and_a_probability_but_no_agreement():
    labels = np.array([1, 1, 2, 4, 3], np.uint8).reshape(5, 1, 1)
    probabilities = np.zeros((5, 1, 1, 4), np.float32)
    probabilities[:, 0, 0] = [(1, 0.9, 0.2, 0), (1, 0.8, 0.3, 0), (0.9, 0.3, 0, 0), (1, 1, 1, 0), (0, 0, 0, 0.7)]
    facts = {fact.region: fact for fact in facts_of(labels, probabilities, np.full(4, 0.9), (1, 1, 2), POST)}
    assert list(facts) == ["WT", "TC", "ET", "RC", "NETC", "SNFH"]
    assert [fact.volume_mm3 for fact in facts.values()] == [8, 6, 2, 2, 4, 2]
    assert facts["NETC"].mean_probability == pytest.approx((0.7 + 0.5) / 2)
    assert facts["SNFH"].mean_probability == pytest.approx(0.6)
    assert facts["RC"].agreement == 0.9 and np.isnan(facts["NETC"].agreement)


@pytest.mark.parametrize(("name", "words"), [("glioma", "no tumour found"), ("lesion", "nothing found")])
def test_an_empty_mask_is_a_reason_for_review(name, words):
    scheme = SCHEMES[name]
    labels, probabilities = np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2, 2, len(scheme.predicted)), np.float32)
    assert review_reasons(facts_of(labels, probabilities, None, (1, 1, 1), scheme), scheme) == [words]


@pytest.mark.parametrize(
    ("volume", "mean", "agreement", "reasons"),
    [
        (5000, 0.95, NAN, []),
        (5000, 0.95, 0.95, []),
        (5000, 0.7, NAN, ["WT unsure (mean probability 0.70)"]),
        (50, 0.7, NAN, []),
        (5000, 0.95, 0.6, ["WT disputed (predictions agree by Dice 0.60)"]),
        (0, NAN, NAN, ["no tumour found"]),
    ],
)
def test_reasons_for_review(volume, mean, agreement, reasons):
    assert review_reasons([RegionFacts("WT", volume, mean, agreement)], GLIOMA) == reasons


def test_warnings_about_the_scans_are_a_reason_for_review():
    assert review_reasons([RegionFacts("WT", 5000, 0.95, NAN)], GLIOMA, ["a: …"]) == ["the scans look wrong"]


def test_without_a_spacing_there_is_no_volume_and_the_reasons_stay():
    labels, probabilities = np.full((4, 4, 4), 2, np.uint8), np.full((4, 4, 4, 3), 0.6)
    facts = facts_of(labels, probabilities, None, None, GLIOMA)
    assert all(np.isnan(fact.volume_mm3) for fact in facts)
    assert review_reasons(facts, GLIOMA) == ["WT unsure (mean probability 0.60)"]
    assert review_reasons(facts_of(labels * 0, probabilities, None, None, GLIOMA), GLIOMA) == ["no tumour found"]
    assert volume_rows("a", facts, [])[0] | {"region": ""} == {
        "case": "a",
        "region": "",
        "volume_mm3": "",
        "volume_ml": "",
        "mean_probability": "0.6000",
        "agreement": "",
        "review": "",
    }
