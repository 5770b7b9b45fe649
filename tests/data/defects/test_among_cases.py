"""Cases that differ from the other cases of a folder, or are nearly the same as one of them."""

from dataclasses import replace

import numpy as np
import pytest

from brats_unet.data.defects.among_cases import (
    EDGE,
    Member,
    nearly_same,
    swapped_labels,
    swapped_scans,
    thumbnail,
    turned_cases,
)
from brats_unet.data.defects.coarse import Coarse
from brats_unet.data.readers.findings import Kind
from brats_unet.modality import Modality
from tests.brains import coarse, scans


def member(number: int, whole: Coarse | None = None) -> Member:
    whole = whole or coarse(number)
    return Member(f"c{number}", f"p{number}", {name: thumbnail(whole, name) for name in whole.scans}, {})


@pytest.fixture(scope="module")
def members() -> list[Member]:
    return [member(number) for number in range(7)]


def test_a_thumbnail_has_24_voxels_an_edge_mean_0_and_norm_1() -> None:
    small = thumbnail(coarse(), Modality.T1)
    assert small.shape == (EDGE, EDGE, EDGE)
    assert float(small.mean()) == pytest.approx(0, abs=1e-6)
    assert float(np.square(small).sum()) == pytest.approx(1, abs=1e-4)


def test_patients_that_differ_have_no_findings(members: list[Member]) -> None:
    assert swapped_scans(members) == []
    assert turned_cases(members) == []
    assert nearly_same(members) == {}


def test_the_case_with_swapped_scans_is_named_and_the_others_are_not(members: list[Member]) -> None:
    own = scans(3)
    wrong = member(3, coarse(3, t1=own[Modality.T2], t2=own[Modality.T1]))
    (finding,) = swapped_scans([*members[:3], wrong, *members[4:]])
    assert (finding.case, finding.kind, finding.scan) == ("c3", Kind.SEQUENCES, "t1")
    assert finding.found == "its t1 and t2 scans fit those of the other cases better when they are swapped."
    assert finding.remedy == "Check which is T1 and which T2; rename them."


def test_five_cases_are_too_few_to_compare_one_with_the_others(members: list[Member]) -> None:
    wrong = replace(members[0], thumbnails={name: small[:, ::-1] for name, small in members[0].thumbnails.items()})
    assert len(turned_cases([wrong, *members[1:6]])) == 1
    assert turned_cases([wrong, *members[1:5]]) == []


def test_a_case_upside_down_is_found_and_one_mirrored_left_right_cannot_be(members: list[Member]) -> None:
    def mirrored(axis: int) -> Member:
        one = members[0]
        return replace(one, thumbnails={name: np.flip(small, axis) for name, small in one.thumbnails.items()})

    (finding,) = turned_cases([mirrored(2), *members[1:]])
    assert (finding.case, finding.kind) == ("c0", Kind.ORIENTATION)
    assert "better mirrored top-bottom than as their headers declare them" in finding.found
    assert turned_cases([mirrored(0), *members[1:]]) == []


def test_a_noisy_copy_mirrored_or_not_is_a_duplicate_of_another_patient_only(members: list[Member]) -> None:
    noisy = {name: scan * 1.3 + np.random.default_rng(9).normal(0, 9, scan.shape) for name, scan in scans(2).items()}
    brain = coarse(2).brain
    copy = member(9, coarse(2, **{str(name): np.where(brain, scan, 0) for name, scan in noisy.items()}))
    for one in (copy, replace(copy, thumbnails={name: small[::-1] for name, small in copy.thumbnails.items()})):
        ((pair, finding),) = nearly_same([*members, one]).items()
        assert pair == ("c2", "c9")
        assert finding.kind is Kind.DUPLICATE
        assert "is nearly that of c9, by its name another patient" in finding.found
        assert nearly_same([*members, replace(one, patient="p2")]) == {}


def test_labels_the_other_way_round_than_in_the_other_cases_are_found() -> None:
    draw = np.random.default_rng(0)
    steps = [np.array([1.0, 0.5, 0.2]) + draw.normal(0, 0.2, 3) for _ in range(7)]
    steps[4] = -steps[4]
    cases = [Member(f"c{i}", f"p{i}", {}, {1: step, 2: np.zeros(3)}) for i, step in enumerate(steps)]
    (finding,) = swapped_labels(cases)
    assert (finding.case, finding.kind) == ("c4", Kind.LABELS)
    assert swapped_labels(cases[2:7]) == []
    two_scans = [replace(case, labels={key: means[:2] for key, means in case.labels.items()}) for case in cases]
    assert swapped_labels(two_scans) == []
