"""Matching volumes that are mirrored or shifted."""

import numpy as np
import pytest

from brats_unet.data.defects.matching import FLIPS, best_match, correlations, flipped, unit, words_of


@pytest.fixture
def volume() -> np.ndarray:
    return unit(np.random.default_rng(0).normal(size=(12, 14, 10)))


def test_a_volume_matches_itself_without_a_shift(volume: np.ndarray) -> None:
    peak = best_match(volume, volume, 3)
    assert peak.similarity == pytest.approx(1, abs=1e-5)
    assert peak.shift == pytest.approx((0, 0, 0), abs=0.05)


def test_a_shift_by_two_voxels_along_y_is_found_with_its_sign() -> None:
    fixed, moved = np.zeros((9, 9, 9)), np.zeros((9, 9, 9))
    fixed[4, 6, 4] = moved[4, 4, 4] = 1
    assert best_match(fixed, moved, 3).shift == pytest.approx((0, 2, 0), abs=1e-6)


def test_a_mirrored_volume_matches_when_it_is_mirrored_back(volume: np.ndarray) -> None:
    for flip in FLIPS:
        assert best_match(volume, flipped(flipped(volume, flip), flip), 3).similarity == pytest.approx(1, abs=1e-5)
        assert best_match(volume, flipped(volume, flip), 3).similarity < 0.5


def test_the_reach_is_cut_to_the_volume() -> None:
    table = correlations(np.ones((3, 9, 9)), np.ones((3, 9, 9)), 5)
    assert table.shape == (5, 11, 11)
    assert table[2, 5, 5] == pytest.approx(243)


def test_a_constant_volume_has_no_similarity() -> None:
    assert not unit(np.full((3, 3, 3), 7.0)).any()


def test_a_flip_is_named_by_its_axes() -> None:
    assert words_of((True, True, False)) == "left-right and front-back"
