"""Ranking as in BraTS."""

import numpy as np
import pytest

from brats_unet.evaluation.ranking import case_ranks, exchange_p, exchanges, ranking

NAN = np.nan


def table(*runs):
    """Scores of shape (runs, cases, 1 region, 1 metric)."""
    return np.array(runs, float)[:, :, None, None]


def test_ranks_by_hand_with_a_tie():
    ranks = case_ranks(table([0.9, 0.5], [0.8, 0.5], [0.7, 0.4]), [False])
    assert ranks.tolist() == [[1, 1.5], [2, 1.5], [3, 3]]


def test_the_shortest_distance_ranks_first():
    assert case_ranks(table([3.0], [1.0]), [True]).tolist() == [[2], [1]]


def test_the_rank_in_a_case_is_the_mean_over_regions_and_metrics():
    scores = np.array([[[[0.9, 5.0], [0.2, 1.0]]], [[[0.8, 4.0], [0.3, 2.0]]]])
    assert case_ranks(scores, [False, True]).tolist() == [[1.5], [1.5]]


def test_an_undefined_score_ranks_last_and_one_undefined_for_all_runs_is_left_out():
    scores = np.array([[[[NAN, 0.9]]], [[[NAN, NAN]]]])
    assert case_ranks(scores, [False, False]).tolist() == [[1], [2]]
    assert case_ranks(table([NAN], [NAN]), [False]).tolist() == [[1.5], [1.5]]


def test_where_neither_mask_has_a_region_an_undefined_score_ranks_before_every_score():
    scores = table([NAN, NAN], [0.0, 0.9], [NAN, 0.8])  # by run, then case
    absent = np.array([[[True], [False]], [[False], [False]], [[True], [False]]])
    assert case_ranks(scores, [False], absent).tolist() == [[1.5, 3], [3, 1], [1.5, 2]]
    assert case_ranks(table([NAN], [373.0]), [True], absent[:2, :1]).tolist() == [[1], [2]]
    both = case_ranks(table([NAN], [NAN]), [False], np.ones((2, 1, 1), bool))
    assert both.tolist() == [[1.5], [1.5]]


def test_places_follow_the_mean_rank_and_ties_share_the_better_place():
    found = ranking(["a", "b", "c"], np.array([[2.0, 2.0], [1.0, 3.0], [3.0, 1.0]]))
    assert [one.place for one in found] == [1, 1, 1]
    found = ranking(["a", "b"], np.array([[2.0, 2.0], [1.0, 1.0]]))
    assert [(one.name, one.place, one.first_in) for one in found] == [("b", 1, 2), ("a", 2, 0)]


def test_three_cases_that_agree_have_p_one_fourth():
    assert exchange_p(np.ones(3), np.full(3, 2.0)) == pytest.approx(2 / 8)


def test_equal_runs_have_p_1():
    assert exchange_p(np.ones(4), np.ones(4)) == 1.0


def test_random_exchanges_give_about_the_same_p_as_all_exchanges():
    random = np.random.default_rng(0)
    difference = random.normal(0.4, 1.0, 13)
    exact = exchange_p(difference, np.zeros(13))
    assert exchange_p(np.append(difference, 0.0), np.zeros(14)) == pytest.approx(exact, abs=0.02)


def test_every_two_runs_are_compared_once_with_the_better_run_first():
    found = exchanges(["a", "b", "c"], np.array([[3.0], [1.0], [2.0]]))
    assert [pair[:2] for pair in found] == [("b", "c"), ("b", "a"), ("c", "a")]
