"""Ranks in the manner of BraTS."""

import numpy as np
import pytest

from brats_unet.evaluation.ranking import case_ranks, exchange_p, exchanges, ranking

NAN = np.nan


def table(*runs):
    """Runs x cases x 1 region x 1 metric."""
    return np.array(runs, float)[:, :, None, None]


def test_ranks_by_hand_with_a_tie():
    ranks = case_ranks(table([0.9, 0.5], [0.8, 0.5], [0.7, 0.4]), [False])
    assert ranks.tolist() == [[1, 1.5], [2, 1.5], [3, 3]]


def test_the_shortest_distance_ranks_first():
    assert case_ranks(table([3.0], [1.0]), [True]).tolist() == [[2], [1]]


def test_a_case_s_rank_is_the_mean_over_regions_and_metrics():
    scores = np.array([[[[0.9, 5.0], [0.2, 1.0]]], [[[0.8, 4.0], [0.3, 2.0]]]])
    assert case_ranks(scores, [False, True]).tolist() == [[1.5], [1.5]]


def test_an_undefined_score_ranks_last_and_one_that_nobody_has_counts_for_nobody():
    scores = np.array([[[[NAN, 0.9]]], [[[NAN, NAN]]]])
    assert case_ranks(scores, [False, False]).tolist() == [[1], [2]]
    assert case_ranks(table([NAN], [NAN]), [False]).tolist() == [[1.5], [1.5]]


def test_places_are_by_mean_rank_and_equals_share_the_better():
    found = ranking(["a", "b", "c"], np.array([[2.0, 2.0], [1.0, 3.0], [3.0, 1.0]]))
    assert [one.place for one in found] == [1, 1, 1]
    found = ranking(["a", "b"], np.array([[2.0, 2.0], [1.0, 1.0]]))
    assert [(one.name, one.place, one.first_in) for one in found] == [("b", 1, 2), ("a", 2, 0)]


def test_three_cases_that_agree_have_p_one_fourth():
    assert exchange_p(np.ones(3), np.full(3, 2.0)) == pytest.approx(2 / 8)


def test_equal_runs_have_p_1():
    assert exchange_p(np.ones(4), np.ones(4)) == 1.0


def test_drawn_exchanges_are_near_all_of_them():
    random = np.random.default_rng(0)
    away = random.normal(0.4, 1.0, 13)
    exact = exchange_p(away, np.zeros(13))
    assert exchange_p(np.append(away, 0.0), np.zeros(14)) == pytest.approx(exact, abs=0.02)


def test_every_two_runs_are_exchanged_once_the_better_first():
    found = exchanges(["a", "b", "c"], np.array([[3.0], [1.0], [2.0]]))
    assert [pair[:2] for pair in found] == [("b", "c"), ("b", "a"), ("c", "a")]
