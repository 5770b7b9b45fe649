"""Assigning cases to folds."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brats_unet.data.assignment import Subject, _stratum, assign, grouped
from brats_unet.errors import SettingsError


def alone(case: str, stratum: str = "HGG") -> Subject:
    return Subject(case, case, stratum, "")


SUBJECTS = st.lists(
    st.builds(
        Subject,
        st.integers(0, 10**6).map(str),
        st.integers(0, 30).map(lambda n: f"p{n}"),
        st.sampled_from(["HGG", "LGG"]),
        st.integers(0, 40).map(lambda n: f"h{n}"),
    ),
    min_size=1,
    max_size=60,
    unique_by=lambda subject: subject.case,
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(SUBJECTS, st.integers(2, 5), st.integers(0, 3))
def test_cases_of_one_patient_and_duplicates_share_a_fold(subjects: list[Subject], folds: int, seed: int) -> None:
    if len(grouped(subjects)) < folds:
        with pytest.raises(SettingsError):
            assign(subjects, folds=folds, seed=seed)
        return
    fold = assign(subjects, folds=folds, seed=seed)
    assert set(fold) == {subject.case for subject in subjects}
    for one in subjects:
        for other in subjects:
            if one.patient == other.patient or one.duplicates == other.duplicates:
                assert fold[one.case] == fold[other.case]


def test_the_order_of_the_cases_does_not_matter_and_the_seed_does() -> None:
    subjects = [alone(f"c{n}", "HGG" if n % 3 else "LGG") for n in range(40)]
    first = assign(subjects, seed=1)
    random.Random(0).shuffle(subjects)
    assert assign(subjects, seed=1) == first
    assert assign(subjects, seed=2) != first


def test_every_fold_gets_its_share_of_every_stratum() -> None:
    subjects = [alone(f"h{n}", "HGG") for n in range(293)] + [alone(f"l{n}", "LGG") for n in range(76)]
    fold = assign(subjects, seed=12345)
    hgg = Counter(fold[s.case] for s in subjects if s.stratum == "HGG")
    lgg = Counter(fold[s.case] for s in subjects if s.stratum == "LGG")
    assert sorted(hgg.values()) == [58, 58, 59, 59, 59]
    assert sorted(lgg.values()) == [15, 15, 15, 15, 16]
    assert sorted(Counter(fold.values()).values()) == [73, 74, 74, 74, 74]


def test_groups_are_joined_through_other_cases() -> None:
    subjects = [
        Subject("a", "p", "", "x"),
        Subject("b", "p", "", "y"),
        Subject("c", "q", "", "y z"),
        Subject("d", "r", "", "z"),
    ]
    assert [[s.case for s in group] for group in grouped([*subjects, alone("e")])] == [["a", "b", "c", "d"], ["e"]]


def test_the_assignment_is_the_same_in_every_version() -> None:
    expected = {"a": 2, "b": 0, "c": 2, "d": 1, "e": 1, "f": 1, "g": 0, "h": 0}
    assert assign([alone(case) for case in "abcdefgh"], folds=3, seed=7) == expected


def test_more_folds_than_patients_are_refused() -> None:
    subjects = [Subject("a", "p", "", ""), Subject("b", "p", "", ""), alone("c")]
    with pytest.raises(SettingsError, match=r"data\.folds=3, but there are 2 patients .* Lower data\.folds to 2"):
        assign(subjects, folds=3, seed=0)
    with pytest.raises(SettingsError, match="expected 2 or more"):
        assign(subjects, folds=1, seed=0)


def test_a_case_that_appears_twice_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="twice"):
        assign([alone("a"), alone("a")], folds=2, seed=0)


def test_a_group_belongs_to_its_most_frequent_stratum_and_of_equal_ones_to_the_first() -> None:
    assert _stratum([alone("a", "LGG"), alone("b", "HGG"), alone("c", "LGG")]) == "LGG"
    assert _stratum([alone("a", "LGG"), alone("b", "HGG")]) == "HGG"


def test_large_groups_are_assigned_first_and_then_fill_the_smallest_folds() -> None:
    groups = {"p": 3, "q": 2, "r": 2, "s": 1}
    subjects = [Subject(f"{name}{n}", name, "", "") for name, size in groups.items() for n in range(size)]
    for seed in range(5):
        fold = assign(subjects, folds=2, seed=seed)
        assert sorted(Counter(fold.values()).values()) == [4, 4]


def test_of_equal_folds_of_a_stratum_the_one_with_the_fewest_cases_in_all_is_filled() -> None:
    subjects = [alone(f"h{n}", "HGG") for n in range(3)] + [alone("l", "LGG")]
    for seed in range(5):
        assert sorted(Counter(assign(subjects, folds=2, seed=seed).values()).values()) == [2, 2]


def test_the_assignment_is_sorted_by_case_and_has_five_folds_by_default() -> None:
    fold = assign([alone(case) for case in "hgfedcba"], seed=7)
    assert list(fold) == list("abcdefgh") and set(fold.values()) == {0, 1, 2, 3, 4}


def test_a_data_set_without_masks_has_no_folds() -> None:
    with pytest.raises(
        SettingsError, match=r"there are 0 patients with masks\. Lower data\.folds, or set data\.fold=all"
    ):
        assign([], folds=2, seed=0)
    with pytest.raises(SettingsError, match=r"there are 1 patients with masks \(1 cases; .*\)\. Lower data\.folds, or"):
        assign([alone("a")], folds=2, seed=0)


def test_the_name_of_a_patient_is_no_content_hash() -> None:
    assert len(grouped([Subject("a", "x", "", "y"), Subject("b", "y", "", "x")])) == 2


def test_a_stratum_is_spread_evenly_also_where_the_folds_have_become_unequal() -> None:
    subjects = [Subject(f"a{n}", "large" if n < 5 else f"p{n}", "A", "") for n in range(7)]
    subjects += [alone("b", "B"), alone("c", "B")]
    for seed in range(5):
        fold = assign(subjects, folds=2, seed=seed)
        assert fold["b"] != fold["c"] and fold["a5"] == fold["a6"] != fold["a0"]


def test_a_smaller_stratum_does_not_move_the_cases_of_a_larger_one_whatever_their_names_are() -> None:
    larger = [alone(f"h{n}", "Z") for n in range(7)]
    alone_in_it = assign(larger, folds=3, seed=1)
    assert assign([*larger, alone("l0", "A"), alone("l1", "A")], folds=3, seed=1).items() >= alone_in_it.items()
