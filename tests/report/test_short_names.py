"""Names cut to fit into a table stay apart."""

import pytest

from brats_unet.report.short_names import apart


def test_names_that_fit_stay_as_they_are():
    assert apart(["a", "b" * 20], 20) == ["a", "b" * 20]


@pytest.mark.parametrize(
    "names",
    [
        [f"quick-brats-fold0-seed0-rate{rate}" for rate in (0.1, 0.01, 0.001)],
        [f"{letter}-brats-fold0-seed0-and-more-of-it" for letter in "abc"],
        [f"quick-brats-fold{fold}-seed0-and-much-more-behind-it" for fold in range(5)],
        [f"start-of-the-name-{letter}-end-of-the-name" for letter in "abc"],
        ["x" * 20 + letter + "y" * 20 for letter in "abc"],
        ["short", "a" * 50],
    ],
)
@pytest.mark.parametrize("width", [12, 20, 30])
def test_different_names_stay_different_and_fit(names, width):
    cut = apart(names, width)
    assert len(set(cut)) == len(names) and max(map(len, cut)) <= width


def test_the_same_name_twice_is_cut_the_same():
    first, second = apart(["n" * 30] * 2, 10)
    assert first == second and len(first) == 10
