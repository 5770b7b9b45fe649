"""Instances matched one to one: by hand, and against every possible matching."""

import math
from itertools import combinations, permutations, product

import cc3d
import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from brats_unet.metrics import instances
from brats_unet.metrics.components import numbered_components
from brats_unet.metrics.instances import instance_scores
from brats_unet.metrics.protocols import InstanceRules
from brats_unet.metrics.surface import Surfaces

RULES = InstanceRules(least_dice=1e-6, penalty_mm=373.0)
EVERY = np.ones((3, 3, 3), bool)
MM = (1.0, 1.0, 1.0)


def boxes(*corners, shape=(12, 12, 12)):
    mask = np.zeros(shape, bool)
    for (x, y, z), edge in corners:
        mask[x : x + edge, y : y + edge, z : z + edge] = True
    return mask


def bars(*intervals):
    """A mask of bars along x: voxels start to stop of each, all in one line."""
    mask = np.zeros((40, 3, 3), bool)
    for start, stop in intervals:
        mask[start:stop, 1, 1] = True
    return mask


def scores(reference, prediction):
    found = instance_scores(reference, prediction, MM, rules=RULES)
    return found.found, found.missed, found.false, found.dice


def test_cases_by_hand():
    two, one, nothing = boxes(((0, 0, 0), 2), ((6, 6, 6), 2)), boxes(((0, 0, 0), 2)), boxes()
    assert scores(two, two) == (2, 0, 0, 1.0)
    assert scores(two, one) == (1, 1, 0, 1.0)
    assert scores(one, two) == (1, 0, 1, 1.0)
    assert scores(two, nothing) == (0, 2, 0, 0.0) and scores(nothing, two) == (0, 0, 2, 0.0)
    assert instance_scores(two, one, MM, rules=RULES).f1 == 2 / 3


def test_without_any_instance_every_score_is_undefined():
    found = instance_scores(boxes(), boxes(), MM, rules=RULES)
    assert (found.found, found.missed, found.false) == (0, 0, 0)
    values = found.f1, found.dice, found.hausdorff95_mm("pooled"), found.surface_dice(1, "mean_of_directions")
    assert all(math.isnan(value) for value in values)


@pytest.mark.parametrize("prediction", [boxes(), boxes(((6, 6, 6), 2))], ids=["nothing predicted", "nothing in common"])
def test_without_a_pair_the_distance_is_the_penalty_and_the_shares_are_0(prediction):
    found = instance_scores(boxes(((0, 0, 0), 2)), prediction, MM, rules=RULES)
    assert (found.f1, found.dice, found.surface_dice(9, "mean_of_directions")) == (0, 0, 0)
    assert found.hausdorff95_mm("pooled") == 373


def test_distances_are_means_over_the_matched_pairs_and_in_millimetres():
    # One pair is equal, the other one is shifted by a voxel of 2 mm along x; a third instance has no match.
    reference = boxes(((0, 0, 0), 1), ((4, 0, 0), 1), ((0, 8, 8), 2))
    prediction = boxes(((0, 0, 0), 1), ((0, 8, 8), 2))
    prediction[4:6, 0, 0] = True  # Dice 2/3; of its two voxels one lies 2 mm away
    found = instance_scores(reference, prediction, (2.0, 1.0, 1.0), rules=RULES)
    assert found.dice == pytest.approx((1 + 2 / 3 + 1) / 3)
    assert found.surface_dice(1, "mean_of_directions") == pytest.approx((1 + (1 + 1 / 2) / 2 + 1) / 3)
    assert found.surface_dice(2, "mean_of_directions") == 1
    assert found.hausdorff95_mm("pooled") == pytest.approx((0 + np.percentile([0, 0, 2], 95) + 0) / 3)


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


def test_one_good_pair_beats_two_bad_ones():
    # Dice of (A, x) 12/16, (A, y) 2/11, (B, x) 2/9: alone the first is more than the other two together.
    assert scores(bars((2, 10), (11, 12)), bars((0, 3), (4, 12))) == (1, 1, 1, 0.75)


def test_two_good_pairs_beat_one_better_one():
    # Dice of (A, x) 10/18, (A, y) 6/14, (B, x) 8/16.
    assert scores(bars((0, 10), (11, 18)), bars((0, 3), (5, 15))) == (2, 0, 0, pytest.approx((6 / 13 + 8 / 17) / 2))


def test_a_pair_that_shares_too_little_is_not_matched():
    rules = InstanceRules(least_dice=0.5, penalty_mm=373.0)
    half = instance_scores(bars((0, 2)), bars((1, 3)), MM, rules=rules)  # a Dice of just 0.5
    more = instance_scores(bars((0, 4)), bars((1, 5)), MM, rules=rules)
    assert (half.found, half.missed, half.false) == (0, 1, 1) and (more.found, more.dice) == (1, 0.75)


def by_brute_force(reference, prediction):
    """Largest sum of Dice of all matchings; the numbers of pairs that such matchings have; numbers of components."""
    ours, own = ndimage.label(reference, EVERY)
    theirs, others = ndimage.label(prediction, EVERY)
    dice = {}
    for i, j in product(range(1, own + 1), range(1, others + 1)):
        one, other = ours == i, theirs == j
        if both := np.count_nonzero(one & other):
            dice[i, j] = 2 * both / (np.count_nonzero(one) + np.count_nonzero(other))
    sums = {}
    for size in range(min(own, others) + 1):
        for rows in combinations(range(1, own + 1), size):
            for columns in permutations(range(1, others + 1), size):
                chosen = list(zip(rows, columns, strict=True))
                if all(pair in dice for pair in chosen):
                    sums.setdefault(size, []).append(sum(dice[pair] for pair in chosen))
    best = max(max(values) for values in sums.values())
    return best, {size for size, values in sums.items() if max(values) > best - 1e-12}, own, others


@pytest.mark.parametrize("seed", range(60))
def test_no_matching_has_a_larger_sum_of_dice(seed):
    rng = np.random.default_rng(seed)
    shape = [(5, 5, 2), (40, 1, 1)][seed % 2]  # of a line, groups are chains: each component overlaps its neighbours'
    share = [(0.03, 0.1), (0.5, 0.8)][seed % 2]
    reference, prediction = (rng.random(shape) < s for s in rng.uniform(*share, 2))
    keep = 5 if seed % 2 else 40  # so that all matchings can be tried
    reference, prediction = (numbered_components(mask)[0] for mask in (reference, prediction))
    reference, prediction = (mask * (mask <= keep) > 0 for mask in (reference, prediction))
    found = instance_scores(reference, prediction, MM, rules=RULES)
    best, sizes, own, others = by_brute_force(reference, prediction)
    assert found.matched_dice.sum() == pytest.approx(best)
    assert found.found in sizes
    assert (found.missed, found.false) == (own - found.found, others - found.found)
    assert len(found.pairs) == found.found


@pytest.mark.parametrize("seed", range(6))
def test_the_scores_of_cropped_groups_are_those_of_one_matching_over_whole_volumes(seed):
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal((30, 24, 20)), 1.2)
    reference, prediction = field > np.quantile(field, 0.9), np.roll(field, 1, seed % 3) > np.quantile(field, 0.92)
    ours, own = ndimage.label(reference, EVERY)
    theirs, others = ndimage.label(prediction, EVERY)
    table = np.zeros((own, others))
    for i, j in product(range(own), range(others)):
        one, other = ours == i + 1, theirs == j + 1
        table[i, j] = 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
    pairs = [(i, j) for i, j in zip(*linear_sum_assignment(table, maximize=True), strict=True) if table[i, j]]
    spacing = (1.0, 2.0, 3.0)
    whole = [Surfaces(ours == i + 1, theirs == j + 1, spacing) for i, j in pairs]
    found = instance_scores(reference, prediction, spacing, rules=RULES)
    assert found.found == len(pairs) > 20
    assert found.dice == pytest.approx(np.mean([table[pair] for pair in pairs]))
    assert found.hausdorff95_mm("pooled") == pytest.approx(np.mean([one.hausdorff95_mm("pooled") for one in whole]))
    near = [one.dice(1.0, "mean_of_directions") for one in whole]
    assert found.surface_dice(1.0, "mean_of_directions") == pytest.approx(np.mean(near))


def test_the_volume_is_read_a_fixed_number_of_times_however_many_instances_there_are(monkeypatch):
    passes = []
    whole = (64, 64, 64)

    class Watched(np.ndarray):
        """Labels that count comparisons over the whole volume: a pass for each component would show."""

        def __eq__(self, other):
            passes.append(self.shape)
            return np.asarray(self) == other

    def watched(mask):
        labels, n = numbered_components(mask)
        return labels.view(Watched), n

    monkeypatch.setattr(instances, "numbered_components", watched)
    monkeypatch.setattr(instances.cc3d, "statistics", lambda labels, of=cc3d.statistics: of(np.asarray(labels)))
    mask = np.zeros(whole, bool)
    mask[::8, ::8, ::8] = True  # 512 instances
    found = instance_scores(mask, mask, MM, rules=RULES)
    assert (found.found, found.dice, found.hausdorff95_mm("pooled")) == (512, 1.0, 0.0)
    assert len(passes) == 2 * 512 and set(passes) == {(1, 1, 1)}
