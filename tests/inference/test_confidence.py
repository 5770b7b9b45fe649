"""How sure a prediction is: by hand at the ends, and which cases are flagged."""

import numpy as np
import pytest

from brats_unet.anatomy import Region
from brats_unet.inference.confidence import RegionFacts, entropy, facts_of, review_reasons

NAN = float("nan")


def voxel(*regions):
    return np.array(regions, np.float32).reshape(1, 1, 1, 3)


@pytest.mark.parametrize("regions", [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)])
def test_what_is_certain_has_no_entropy(regions):
    assert entropy(voxel(*regions)).item() == pytest.approx(0, abs=1e-6)


def test_four_classes_alike_have_all_of_it_and_two_have_half():
    assert entropy(voxel(0.75, 0.5, 0.25)).item() == pytest.approx(1)
    assert entropy(voxel(0.5, 0, 0)).item() == pytest.approx(0.5)


def test_probabilities_that_are_not_nested_have_an_entropy_from_0_to_1():
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
def test_a_case_is_flagged_for_what_is_odd(volume, mean, agreement, reasons):
    assert review_reasons([RegionFacts(Region.WT, volume, mean, agreement)]) == reasons


def test_odd_scans_are_a_reason_to_look():
    assert review_reasons([RegionFacts(Region.WT, 5000, 0.95, NAN)], ["a: …"]) == ["the scans look wrong"]
