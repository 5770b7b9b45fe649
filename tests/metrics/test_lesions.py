"""Scores by lesion: by hand, at the limits, and beside a slow reading of the challenge's rules."""

from dataclasses import replace

import cc3d
import numpy as np
import pytest
from scipy import ndimage

from brats_unet.metrics.lesions import grown, lesion_scores
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.metrics.surface import hausdorff95_mm

RULES = PROTOCOLS["brats2023"].lesions
EVERY = replace(RULES, ignored_mm3=0.0)
MM = (1.0, 1.0, 1.0)
ELEMENT = ndimage.generate_binary_structure(3, 2)


def boxes(*corners: tuple[int, int, int], edge: int = 4, shape=(40, 30, 20)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for x, y, z in corners:
        mask[x : x + edge, y : y + edge, z : z + edge] = True
    return mask


def slow(reference, prediction, spacing, rules):
    """Lesion after lesion, each grown by itself, as the rules read."""
    zones = cc3d.connected_components(
        ndimage.binary_dilation(reference, ELEMENT, iterations=rules.dilations), connectivity=26
    )
    components = cc3d.connected_components(prediction, connectivity=26)
    dices, distances, served, found, missed = [], [], set(), 0, 0
    for zone in range(1, zones.max() + 1):
        lesion = reference & (zones == zone)
        near = ndimage.binary_dilation(lesion, ELEMENT, iterations=rules.dilations)
        mine = set(np.unique(components[near])) - {0}
        served |= mine
        if lesion.sum() * np.prod(spacing) <= rules.ignored_mm3:
            continue
        claimed = np.isin(components, sorted(mine))
        if mine:
            found += 1
            dices.append(2 * (lesion & claimed).sum() / (lesion.sum() + claimed.sum()))
            distances.append(hausdorff95_mm(lesion, claimed, spacing, definition="area_weighted"))
        else:
            missed += 1
            dices.append(0)
            distances.append(rules.penalty_mm)
    false = int(components.max()) - len(served)
    n = len(dices) + false
    if n == 0:
        return 1.0, 0.0, found, missed, false
    return sum(dices) / n, (sum(distances) + false * rules.penalty_mm) / n, found, missed, false


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("spacing", [MM, (0.7, 1.3, 3.1)])
def test_it_equals_a_slow_reading_of_the_rules(seed, spacing):
    random = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(random.standard_normal((34, 30, 26)), 1.5) for _ in range(2)]
    level = np.quantile(fields[0], random.uniform(0.8, 0.995))
    reference, prediction = fields[0] > level, 0.8 * fields[0] + 0.4 * fields[1] > level
    rules = RULES if seed % 2 else EVERY
    scores = lesion_scores(reference, prediction, spacing, rules=rules)
    found = (scores.dice, scores.hd95_mm, scores.found, scores.missed, scores.false)
    assert found == pytest.approx(slow(reference, prediction, spacing, rules), abs=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_growth_is_that_by_the_18_neighbour_element(steps):
    mask = np.random.default_rng(steps).random((15, 9, 12)) < 0.01
    expected = ndimage.binary_dilation(mask, ELEMENT, iterations=steps) if steps else mask
    assert np.array_equal(grown(mask, steps), expected)


def test_one_of_two_lesions_missed_is_half_the_score():
    reference = boxes((2, 2, 2), (30, 20, 10))
    scores = lesion_scores(reference, boxes((2, 2, 2)), MM, rules=RULES)
    assert (scores.dice, scores.hd95_mm) == (0.5, 187.0)
    assert (scores.found, scores.missed, scores.false) == (1, 1, 0)
    assert scores.f1 == pytest.approx(2 / 3)


def test_a_false_lesion_of_one_voxel_weighs_as_much_as_a_tumour():
    prediction = boxes((2, 2, 2))
    prediction[35, 25, 15] = True
    scores = lesion_scores(boxes((2, 2, 2)), prediction, MM, rules=RULES)
    assert (scores.dice, scores.hd95_mm, scores.false) == (0.5, 187.0, 1)


def test_a_lesion_of_50_mm3_is_left_out_and_one_of_51_is_not():
    flat = np.zeros((30, 30, 30), bool)
    flat[5:10, 5:15, 5] = True
    nothing = np.zeros_like(flat)
    assert lesion_scores(flat, nothing, MM, rules=RULES).dice == 1.0
    flat[10, 5, 5] = True
    assert lesion_scores(flat, nothing, MM, rules=RULES).dice == 0.0


def test_what_touches_a_lesion_too_small_to_count_is_not_false():
    small = boxes((5, 5, 5), edge=3)  # 27 mm³
    scores = lesion_scores(small, boxes((6, 6, 6), edge=5), MM, rules=RULES)
    assert (scores.dice, scores.hd95_mm, scores.false) == (1.0, 0.0, 0)


def test_pieces_whose_growth_meets_are_one_lesion():
    near, far = boxes((2, 2, 2), (12, 2, 2)), boxes((2, 2, 2), (13, 2, 2))  # gaps of 6 and 7 voxels
    for reference, lesions in ((near, 1), (far, 2)):
        scores = lesion_scores(reference, np.zeros_like(reference), MM, rules=RULES)
        assert scores.missed == lesions


def test_one_component_may_serve_two_lesions():
    reference = boxes((2, 2, 2), (20, 2, 2))
    prediction = np.zeros_like(reference)
    prediction[2:24, 2:6, 2:6] = True
    scores = lesion_scores(reference, prediction, MM, rules=RULES)
    assert (scores.found, scores.false) == (2, 0)
    assert scores.dice == pytest.approx(2 * 64 / (64 + 22 * 16))


@pytest.mark.parametrize(
    ("reference", "prediction", "expected"),
    [
        (boxes(), boxes(), (1.0, 0.0, 1.0)),
        (boxes(), boxes((3, 3, 3)), (0.0, 374.0, 0.0)),
        (boxes((3, 3, 3)), boxes(), (0.0, 374.0, 0.0)),
        (boxes((3, 3, 3)), boxes((3, 3, 3)), (1.0, 0.0, 1.0)),
    ],
    ids=["both empty", "reference empty", "prediction empty", "the same"],
)
def test_at_the_limits(reference, prediction, expected):
    scores = lesion_scores(reference, prediction, MM, rules=RULES)
    assert (scores.dice, scores.hd95_mm, scores.f1) == expected


@pytest.mark.parametrize("seed", range(4))
def test_a_box_that_holds_both_masks_says_what_the_whole_grid_says(seed):
    random = np.random.default_rng(seed)
    masks = [np.pad(random.random((12, 10, 9)) < 0.02, 6) for _ in range(2)]
    union = masks[0] | masks[1]
    box = tuple(slice(hits.min(), hits.max() + 1) for hits in np.nonzero(union))
    whole = lesion_scores(*masks, MM, rules=EVERY)
    assert lesion_scores(masks[0][box], masks[1][box], MM, rules=EVERY) == whole


def test_masks_of_two_grids_are_refused():
    with pytest.raises(ValueError, match="one grid"):
        lesion_scores(boxes(), boxes(shape=(40, 30, 21)), MM, rules=RULES)
