"""Intensities that are clipped, constant, quantised or inverted; brains that differ between scans."""

import numpy as np
import pytest

from brats_unet.data.defects.intensities import brain_of, compare_brains, greys, has_content
from brats_unet.data.readers.findings import Finding, Kind
from brats_unet.modality import Modality


def scan() -> np.ndarray:
    """40 x 40 x 40 voxels with a brain of 30 x 30 x 30."""
    array = np.zeros((40, 40, 40), np.int16)
    array[5:35, 5:35, 5:35] = np.random.default_rng(0).normal(500, 80, (30, 30, 30))
    return array


def said(array: np.ndarray, *, with_skull: bool = False) -> list[str]:
    found: list[Finding] = []
    if has_content("x", Modality.T1, array, found.append):
        greys("x", Modality.T1, array, found.append, with_skull=with_skull)
    assert {(f.kind, f.scan) for f in found} <= {(Kind.INTENSITIES, "t1")}
    return [f.found for f in found]


def test_a_sound_scan_has_no_findings() -> None:
    assert said(scan()) == []


def test_a_scan_clipped_at_its_99th_percentile_is_saturated() -> None:
    clipped = np.minimum(scan(), 650)
    count = np.count_nonzero(clipped == 650)
    assert said(clipped) == [f"the t1 scan is saturated: {count:,} voxels ({count / 27000:.2%}) at 650, its maximum."]


def test_26_voxels_at_the_maximum_are_not_saturation_and_27_at_32767_are() -> None:
    array = scan()
    array[10, 10, 5:31] = 32767
    assert said(array) == []
    array[10, 11, 5] = 32767
    assert "27 voxels (0.10%) at 32767" in said(array)[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: np.where(a > 0, a // 100 + 1, 0), "different intensities. Expected 32 or more."),
        (lambda a: np.where(a > 480, 480, a) + (a % 2) * 0, "is saturated"),
        (lambda a: np.where(a > 0, 10000 + a // 8, 0), "its brain varies by 0.1% of its mean."),
        (lambda a: np.where((a > 0) & (a < 560), 300, a), "nearly constant: 77% of its brain is 300."),
        (lambda a: -a, "the t1 scan is nowhere brighter than its background (0)."),
    ],
)
def test_odd_grey_levels_are_named(change, words: str) -> None:
    assert any(words in text for text in said(change(scan())))


def test_head_scans_may_have_much_air_of_one_intensity() -> None:
    array = np.where(scan() > 0, np.minimum(scan(), 560), 0)
    array[array == 560] = 300
    array[5:35, 5:35, 5:29] = 1
    assert not any("nearly constant" in text for text in said(array, with_skull=True))


def test_a_scan_that_cannot_be_compared_stops_there() -> None:
    assert said(np.zeros((3, 3, 3))) == ["the t1 scan is constant: no brain in it."]
    assert said(np.zeros((0, 3, 3))) == ["the t1 scan has no voxels."]
    assert said(np.array([[[1.0, np.nan, -np.inf]]])) == [
        "the t1 scan holds 2 voxels that are NaN, infinite or beyond 1e+30."
    ]


def test_of_three_brains_the_one_unlike_the_others_is_named() -> None:
    found: list[Finding] = []
    whole = brain_of("x", Modality.T1, scan(), found.append)
    assert whole is not None and whole.sum() == 30**3
    half = whole.copy()
    half[:20] = False
    compare_brains("x", {Modality.FLAIR: whole, Modality.T1: half, Modality.T2: whole}, found.append)
    (finding,) = found
    assert (finding.kind, finding.scan) == (Kind.BRAIN, "t1")
