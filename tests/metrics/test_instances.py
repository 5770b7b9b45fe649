"""Instances matched one to one: by hand, and against every possible matching."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import ndimage

from brats_unet.metrics.instances import instance_scores
from brats_unet.metrics.protocols import InstanceRules

RULES = InstanceRules(least_dice=1e-6)
EVERY = np.ones((3, 3, 3), bool)


def boxes(*corners, shape=(12, 12, 12)):
    mask = np.zeros(shape, bool)
    for (x, y, z), edge in corners:
        mask[x : x + edge, y : y + edge, z : z + edge] = True
    return mask


def scores(reference, prediction):
    found = instance_scores(reference, prediction, rules=RULES)
    return found.found, found.missed, found.false, found.dice


def test_cases_by_hand():
    two, one, nothing = boxes(((0, 0, 0), 2), ((6, 6, 6), 2)), boxes(((0, 0, 0), 2)), boxes()
    assert scores(two, two) == (2, 0, 0, 1.0)
    assert scores(two, one) == (1, 1, 0, 1.0)
    assert scores(one, two) == (1, 0, 1, 1.0)
    assert scores(two, nothing) == (0, 2, 0, 0.0) and scores(nothing, two) == (0, 0, 2, 0.0)
    found, missed, false, dice = scores(nothing, nothing)
    assert (found, missed, false) == (0, 0, 0) and math.isnan(dice)
    assert math.isnan(instance_scores(nothing, nothing, rules=RULES).f1)
    assert instance_scores(two, one, rules=RULES).f1 == 2 / 3


def test_voxels_that_touch_at_a_corner_are_one_instance():
    corner = np.zeros((4, 4, 4), bool)
    corner[1, 1, 1] = corner[2, 2, 2] = True
    assert scores(corner, corner) == (1, 0, 0, 1.0)


def test_a_prediction_that_joins_two_instances_matches_the_better_one_only():
    reference = boxes(((0, 0, 0), 3), ((6, 0, 0), 2))
    joined = np.zeros_like(reference)
    joined[0:8, 0:2, 0:2] = True
    found, missed, false, dice = scores(reference, joined)
    assert (found, missed, false) == (1, 1, 0)
    assert dice == 2 * 12 / (27 + 32)


def by_brute_force(reference, prediction):
    ours, own = ndimage.label(reference, EVERY)
    theirs, others = ndimage.label(prediction, EVERY)
    table = np.zeros((max(own, others), max(own, others)))
    for i in range(own):
        for j in range(others):
            one, other = ours == i + 1, theirs == j + 1
            table[i, j] = 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
    table[table <= 1e-6] = 0
    best = max(permutations(range(len(table))), key=lambda order: sum(table[range(len(table)), order]))
    pairs = [table[i, best[i]] for i in range(len(table)) if table[i, best[i]] > 0]
    return len(pairs), own - len(pairs), others - len(pairs), sum(pairs)


@pytest.mark.parametrize("seed", range(40))
def test_the_matching_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    reference, prediction = (rng.random((5, 5, 2)) < share for share in rng.uniform(0.03, 0.1, 2))
    found, missed, false, dice = scores(reference, prediction)
    expected = by_brute_force(reference, prediction)
    assert found * (0 if math.isnan(dice) else dice) == pytest.approx(expected[3])
    if found == expected[0]:  # several matchings may have the largest sum
        assert (missed, false) == expected[1:3]
