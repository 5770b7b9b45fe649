"""Bootstrap confidence intervals of a mean."""

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
def test_the_interval_is_scipys_bca_interval_except_for_the_random_draws(name):
    values = SAMPLES[name]
    expected = bootstrap((values,), np.mean, method="BCa", n_resamples=9999, rng=2).confidence_interval
    width = expected.high - expected.low
    assert mean_interval(values) == pytest.approx(tuple(expected), abs=0.04 * width)


def test_the_same_values_in_any_order_give_the_same_interval():
    values = SAMPLES["dice"]
    assert mean_interval(values) == mean_interval(values[::-1])


def test_the_interval_shifts_and_scales_with_the_values():
    low, high = mean_interval(SAMPLES["dice"])
    assert mean_interval(3 * SAMPLES["dice"] + 1) == pytest.approx((3 * low + 1, 3 * high + 1))


def test_equal_values_give_that_value_as_both_ends():
    assert mean_interval([0.5] * 6) == (0.5, 0.5)


def test_four_cases_are_too_few_and_five_are_enough():
    assert mean_interval([0.1, 0.2, 0.3, 0.4]) is None
    low, high = mean_interval([0.1, 0.2, 0.3, 0.4, 0.5])
    assert 0.1 <= low < 0.3 < high <= 0.5


def test_about_95_percent_of_the_intervals_of_normal_samples_contain_the_mean():
    random = np.random.default_rng(3)
    ends = [mean_interval(random.normal(size=40)) for _ in range(300)]
    assert 0.91 <= np.mean([low <= 0 <= high for low, high in ends]) <= 0.98


def test_a_nan_is_refused():
    with pytest.raises(ValueError, match="leave out NaN and infinite ones"):
        mean_interval([0.1, np.nan, 0.3, 0.4, 0.5])
