"""Entropy and facts by hand, and which cases are flagged for review."""

import numpy as np
import pytest

from brats_unet.anatomy import Region
from brats_unet.inference.confidence import RegionFacts, entropy, facts_of, review_reasons

NAN = float("nan")


def voxel(*regions):
    return np.array(regions, np.float32).reshape(1, 1, 1, 3)


@pytest.mark.parametrize("regions", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)])
def test_a_certain_voxel_has_entropy_0(regions):
    assert entropy(voxel(*regions)).item() == pytest.approx(0, abs=1e-6)


def test_four_equally_likely_classes_have_entropy_1_and_two_have_one_half():
    assert entropy(voxel(0.75, 0.5, 0.25)).item() == pytest.approx(1)
    assert entropy(voxel(0.5, 0, 0)).item() == pytest.approx(0.5)


def test_entropy_of_probabilities_that_are_not_nested_is_from_0_to_1():
    found = entropy(np.random.default_rng(0).random((5, 5, 5, 3), np.float32))
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1


def test_facts_by_hand():
    labels = np.zeros((3, 1, 1), np.uint8)
    labels[:2, 0, 0] = (4, 2)
    probabilities = np.zeros((3, 1, 1, 3), np.float32)
    probabilities[:, 0, 0, 0] = (0.9, 0.7, 0.1)
    wt, tc, et = facts_of(labels, probabilities, np.array([0.5, NAN, 1.0]), (1.0, 1.0, 3.0))
    assert (wt.volume_mm3, tc.volume_mm3, et.volume_mm3) == (6, 3, 3)
    assert wt.mean_probability == pytest.approx(0.8) and wt.agreement == 0.5
    assert np.isnan(facts_of(labels * 0, probabilities, None, (1, 1, 1))[0].mean_probability)


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
    assert review_reasons([RegionFacts(Region.WT, volume, mean, agreement)]) == reasons


def test_warnings_about_the_scans_are_a_reason_for_review():
    assert review_reasons([RegionFacts(Region.WT, 5000, 0.95, NAN)], ["a: …"]) == ["the scans look wrong"]
