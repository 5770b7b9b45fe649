"""Bootstrap intervals of a mean."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from brats_unet.evaluation.bootstrap import mean_interval

RANDOM = np.random.default_rng(1)
SAMPLES = {
    "dice": RANDOM.beta(8, 2, 20),
    "skewed": RANDOM.exponential(5.0, 73),
    "with_zeros": np.concatenate([RANDOM.beta(9, 1, 60), np.zeros(13)]),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_it_is_scipy_s_bca_interval_up_to_the_draws(name):
    values = SAMPLES[name]
    theirs = bootstrap((values,), np.mean, method="BCa", n_resamples=9999, rng=2).confidence_interval
    width = theirs.high - theirs.low
    assert mean_interval(values) == pytest.approx(tuple(theirs), abs=0.04 * width)


def test_the_same_values_in_any_order_give_the_same_interval():
    values = SAMPLES["dice"]
    assert mean_interval(values) == mean_interval(values[::-1])


def test_it_moves_and_stretches_with_the_values():
    low, high = mean_interval(SAMPLES["dice"])
    assert mean_interval(3 * SAMPLES["dice"] + 1) == pytest.approx((3 * low + 1, 3 * high + 1))


def test_values_that_are_all_one_give_that_value():
    assert mean_interval([0.5] * 6) == (0.5, 0.5)


def test_four_cases_are_too_few_and_five_are_enough():
    assert mean_interval([0.1, 0.2, 0.3, 0.4]) is None
    low, high = mean_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert 0.1 <= low < 0.3 < high <= 0.5


def test_the_interval_of_a_normal_sample_holds_the_mean_about_as_often_as_it_says():
    random = np.random.default_rng(3)
    ends = [mean_interval(random.normal(size=40)) for _ in range(300)]
    assert 0.91 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.98


def test_an_undefined_value_is_a_mistake():
    with pytest.raises(ValueError, match="leave the undefined ones out"):
        mean_interval([0.1, np.nan, 0.3, 0.4, 0.5])
