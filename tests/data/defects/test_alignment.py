"""Scans that are mirrored, shifted or turned against one another, and axes that are not what the header says."""

import dataclasses

import numpy as np
import pytest
from scipy import ndimage

from brats_unet.data.defects.alignment import misaligned, wrong_axis
from brats_unet.data.readers.findings import Kind, Severity
from brats_unet.modality import Modality
from tests.brains import coarse, scans


def test_scans_that_fit_one_another_have_no_findings() -> None:
    assert misaligned("x", coarse()) == []
    assert wrong_axis("x", coarse()) == []


@pytest.mark.parametrize(
    ("axes", "words"),
    [((0,), "left-right"), ((1,), "front-back"), ((2,), "top-bottom"), ((0, 1), "left-right and front-back")],
)
def test_the_mirrored_scan_is_named_with_its_axes(axes: tuple[int, ...], words: str) -> None:
    (finding,) = misaligned("x", coarse(t2=np.flip(scans()[Modality.T2], axes)))
    assert (finding.kind, finding.scan, finding.severity) == (Kind.MIRRORED, "t2", Severity.WARNING)
    assert f"better when it is mirrored {words} (" in finding.found


def test_a_shift_is_said_in_millimetres() -> None:
    (finding,) = misaligned("x", coarse(t1=np.roll(scans()[Modality.T1], 2, axis=1)))
    assert (finding.kind, finding.scan) == (Kind.REGISTRATION, "t1")
    assert "by about 8 mm" in finding.found


def test_without_a_spacing_a_shift_is_said_as_a_share_of_the_width() -> None:
    moved = dataclasses.replace(coarse(t1=np.roll(scans()[Modality.T1], 2, axis=1)), edges_mm=None)
    (finding,) = misaligned("x", moved)
    assert "of the image's width" in finding.found


def test_a_turn_about_the_centre_is_found_though_its_mean_shift_is_zero() -> None:
    turned = ndimage.rotate(scans()[Modality.FLAIR], 15, axes=(0, 1), reshape=False, order=1)
    (finding,) = misaligned("x", coarse(flair=turned))
    assert (finding.kind, finding.scan) == (Kind.REGISTRATION, "flair")


def test_one_scan_alone_and_a_tiny_brain_are_not_compared() -> None:
    alone = dataclasses.replace(coarse(), scans={Modality.T1: scans()[Modality.T1]})
    assert misaligned("x", alone) == []
    tiny = dataclasses.replace(coarse(t2=scans()[Modality.T2][::-1]), brain=np.zeros_like(coarse().brain))
    assert misaligned("x", tiny) == []
    assert wrong_axis("x", tiny) == []


def test_an_axis_called_left_right_that_is_front_back_is_found() -> None:
    whole = coarse()
    lying = dataclasses.replace(
        whole,
        scans={name: scan.transpose(1, 0, 2) for name, scan in whole.scans.items()},
        brain=whole.brain.transpose(1, 0, 2),
    )
    (finding,) = wrong_axis("x", lying)
    assert finding.kind is Kind.ORIENTATION
    assert "more symmetric along the axis that its header calls front-back than along left-right" in finding.found
