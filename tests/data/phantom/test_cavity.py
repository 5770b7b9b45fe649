"""Resection cavities: where they lie, and that no single threshold finds them."""

import cc3d
import numpy as np
import pytest

from brats_unet.data.phantom.cavity import AfterSurgery, fluid_signals
from brats_unet.data.phantom.phantom_case import PhantomCase, phantom_case
from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin

SCHEME = builtin("glioma_post")
NCR, ED, ET, RC = (SCHEME.labels[name].value for name in ("NCR", "ED", "ET", "RC"))


@pytest.fixture(scope="module")
def cases() -> list[PhantomCase]:
    """Six phantoms, one of each variety, at half resolution."""
    return [phantom_case(8, index, scheme=SCHEME, scale=0.5) for index in range(6)]


def with_cavity(cases: list[PhantomCase]) -> list[PhantomCase]:
    return [case for case in cases if case.variety != AfterSurgery.UNTOUCHED]


def median(case: PhantomCase, modality: Modality, mask: np.ndarray) -> float:
    image = case.images[modality]
    return float(np.median(image[mask]) / np.median(image[image > 0]))


def test_every_variety_but_one_has_a_cavity_of_half_a_millilitre_or_more(cases):
    for case in cases:
        millilitres = (case.labels == RC).sum() * 8 / 1000
        assert (millilitres == 0) == (case.variety == AfterSurgery.UNTOUCHED)
        assert millilitres == 0 or millilitres > 0.5


def test_a_cavity_lies_beside_the_core_and_mostly_within_the_oedema(cases):
    for case in with_cavity(cases):
        cavity = case.labels == RC
        around = np.zeros_like(cavity)
        for axis in range(3):
            for step in (-1, 1):
                around |= np.roll(cavity, step, axis)
        shell = around & ~cavity & (case.images[Modality.T1] > 0)
        assert (case.labels[shell] > 0).mean() > 0.5
        core = np.isin(case.labels, (NCR, ET))
        assert core.any() == (case.variety != AfterSurgery.ALONE)


def test_a_cavity_without_a_core_has_no_enhancing_tumour(cases):
    for case in cases:
        assert (case.labels == ET).any() == (case.variety not in (AfterSurgery.ALONE, AfterSurgery.NO_ET))


def test_the_cavity_is_dark_in_t1_and_bright_in_t2(cases):
    for case in with_cavity(cases):
        fluid = case.labels == RC
        assert median(case, Modality.T1, fluid) < 0.9
        assert median(case, Modality.T2, fluid) > 1.4


def test_three_cavities_in_ten_hold_protein_and_are_not_dark_in_flair():
    flair = [fluid_signals(np.random.default_rng(seed))[Modality.FLAIR]["cavity"] for seed in range(400)]
    assert 0.2 < np.mean([signal > 0.65 for signal in flair]) < 0.4
    assert min(flair) < 0.4
    assert max(flair) > 1.2


def test_the_largest_part_as_bright_as_the_fluid_in_t2_is_not_always_the_cavity(cases):
    hits = []
    for case in with_cavity(cases):
        t2, fluid = case.images[Modality.T2], case.labels == RC
        bright = t2 > np.percentile(t2[fluid], 20)
        largest = cc3d.largest_k(bright, k=1, connectivity=26, binary_image=True) > 0
        hits.append(2 * (largest & fluid).sum() / (largest.sum() + fluid.sum()))
    assert np.mean(hits) < 0.6
