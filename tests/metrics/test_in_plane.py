"""Metrics without millimetres: HD95 in the pixels of axial slices, against a search over all pairs of pixels."""

import math

import numpy as np
import pytest

from brats_unet.metrics.in_plane import HD95_SLICE_PX, SLICE_DIAGONAL_PX, hausdorff95_px, outline_pixels
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import PROTOCOLS


def drawn(*slices):
    """Mask of shape (X, Y, Z) from slices of rows of text."""
    return np.stack([np.array([[cell == "#" for cell in row] for row in rows]) for rows in slices], axis=-1)


def by_search(reference, prediction):
    """The definition, pixel by pixel."""

    def outline(plane):
        pixels = {(x, y) for x, y in np.argwhere(plane).tolist()}
        return [(x, y) for x, y in pixels if {(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)} - pixels]

    def percentile95(points, others):
        nearest = sorted(min(math.dist(point, other) for other in others) for point in points)
        place = 0.95 * (len(nearest) - 1)
        low = math.floor(place)
        high = min(low + 1, len(nearest) - 1)
        return nearest[low] + (place - low) * (nearest[high] - nearest[low])

    distances = []
    for z in range(reference.shape[2]):
        one, other = outline(reference[:, :, z]), outline(prediction[:, :, z])
        if one and other:
            distances.append(max(percentile95(one, other), percentile95(other, one)))
        elif one:
            distances.append(256 * math.sqrt(2))
    return sum(distances) / len(distances)


@pytest.mark.parametrize("seed", range(8))
def test_it_equals_a_search_over_all_pairs_of_pixels(seed):
    draw = np.random.default_rng(seed)
    reference, prediction = draw.random((2, 13, 11, 5)) < 0.25
    prediction[:, :, draw.integers(5)] = False
    assert hausdorff95_px(reference, prediction) == pytest.approx(by_search(reference, prediction), abs=1e-9)


def test_two_pixels_apart_are_2():
    one, other = drawn(["#...", "...."]), drawn(["..#.", "...."])
    assert hausdorff95_px(one, other) == hausdorff95_px(other, one) == 2


def test_neighbouring_slices_do_not_count():
    reference, prediction = drawn(["#...."], ["....#"]), drawn(["....#"], ["#...."])
    assert hausdorff95_px(reference, prediction) == 4


def test_the_mean_is_over_the_slices_of_the_reference():
    reference = drawn(["#...."], ["#...."], ["....."], ["....."])
    prediction = drawn(["#...."], ["...#."], ["##..."], ["....."])
    assert hausdorff95_px(reference, prediction) == 1.5  # 0 and 3; the third slice is left out


def test_a_missed_slice_scores_the_diagonal():
    reference, prediction = drawn(["##"], ["##"]), drawn(["##"], [".."])
    assert hausdorff95_px(reference, prediction) == SLICE_DIAGONAL_PX / 2
    assert pytest.approx(362.0387) == SLICE_DIAGONAL_PX


def test_empty_masks_follow_the_rule_of_the_record():
    some, none = drawn(["#."]), drawn([".."])
    assert hausdorff95_px(none, none) == hausdorff95_px(some, some) == 0
    assert hausdorff95_px(none, some) == hausdorff95_px(some, none) == SLICE_DIAGONAL_PX
    assert f"{SLICE_DIAGONAL_PX:.2f}" in HD95_SLICE_PX.when_empty


def test_the_outline_are_pixels_with_an_edge_outside():
    mask = drawn(["#####", "#####", "#####"], ["....#", "...##", "..###"])
    assert np.array_equal(outline_pixels(mask), drawn(["#####", "#...#", "#####"], ["....#", "...##", "..###"]))


def test_cropping_and_the_protocol_change_nothing():
    draw = np.random.default_rng(1)
    reference, prediction = np.zeros((2, 20, 20, 6), bool)
    reference[5:9, 6:12, 1:4], prediction[4:9, 7:10, 2:6] = True, draw.random((5, 3, 4)) < 0.7
    for protocol in PROTOCOLS.values():
        pair = MaskPair(reference, prediction, (1.0, 1.0, 1.0), protocol)
        assert (
            HD95_SLICE_PX.function(pair)
            == HD95_SLICE_PX.function(pair.cropped())
            == hausdorff95_px(reference, prediction)
        )


def test_masks_of_two_grids_are_refused():
    with pytest.raises(ValueError, match="do not share one grid"):
        hausdorff95_px(np.zeros((2, 2, 2), bool), np.zeros((2, 2, 3), bool))
