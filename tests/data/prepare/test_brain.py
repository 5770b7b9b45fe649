"""Which voxels are brain, and the seam that interpolation leaves around it."""

import numpy as np
import pytest
from scipy import ndimage

from brats_unet.data.prepare.brain import border_value, eroded, filled, without_seam
from brats_unet.data.prepare.oblique import resliced, resliced_brain

SHAPE = (40, 44, 36)


@pytest.fixture
def head():
    """Two scans of a ball of brain whose intensity varies slowly, int16, and its mask."""
    x, y, z = np.indices(SHAPE)
    inside = (x - 20) ** 2 + (y - 22) ** 2 + (z - 18) ** 2 < 14**2
    scans = [np.where(inside, 400 + 8 * x + 3 * y, 0), np.where(inside, 900 - 5 * z + 4 * x, 0)]
    return [scan.astype(np.int16) for scan in scans], inside


def shifted(scan, by, outside=0.0):
    return ndimage.shift(scan.astype(np.float32), by, order=1, cval=outside)


def known(scans, background=0):
    return [scan != background for scan in scans]


def test_sharp_scans_are_handed_back_as_they_are(head):
    scans, _ = head
    found, insides = without_seam(scans, given := known(scans))
    assert all(a is b for a, b in zip([*found, *insides], [*scans, *given], strict=True))


@pytest.mark.parametrize("background", [0, -30])
def test_of_interpolated_scans_the_edge_is_where_it_was_and_as_bright(head, background):
    scans, inside = head
    blurred = [shifted(scan + background, (0.4, 0.3, 0.5), background) for scan in scans]
    assert known(blurred, background)[0].sum() > 1.15 * inside.sum()  # the seam
    found, insides = without_seam(blurred, known(blurred, background))
    expected = shifted(inside, (0.4, 0.3, 0.5)) >= 0.5
    for scan, own, sharp in zip(found, insides, scans, strict=True):
        assert np.logical_xor(own, expected).sum() < 0.02 * inside.sum()
        assert (scan[~own] == background).all()
        there = own & expected & shifted(inside, (0.4, 0.3, 0.5)).astype(bool)
        smooth = shifted(sharp, (0.4, 0.3, 0.5)) / np.maximum(shifted(inside, (0.4, 0.3, 0.5)), 1e-6) + background
        np.testing.assert_allclose(scan[there], smooth[there], atol=25)  # of 250 or more, next to the background
        assert scan.dtype == np.float32


def test_scans_that_are_darker_than_their_background_as_often_as_not_tell_nothing(head):
    scans, inside = head
    normal = np.where(inside, scans[0] - scans[0][inside].mean(), 0).astype(np.float32)
    blurred = shifted(normal, (0.5, 0.5, 0.5))
    assert without_seam([blurred], known([blurred]))[0][0] is blurred


def test_one_scan_that_tells_mends_those_that_do_not(head):
    scans, inside = head
    normal = np.where(inside, scans[0] - scans[0][inside].mean(), 0).astype(np.float32)
    blurred = [shifted(scan, (0.5, 0.5, 0.5)) for scan in (scans[1], normal)]
    _, insides = without_seam(blurred, known(blurred))
    assert np.logical_xor(*insides).sum() < 0.01 * inside.sum()


def test_a_brain_of_one_voxel_and_one_without_a_core_stay():
    scan = np.zeros((5, 5, 5), np.int16)
    scan[2, 2, 2] = 7
    assert without_seam([scan], known([scan]))[0][0] is scan
    scan[:, 2, 2] = 7
    assert without_seam([scan], known([scan]))[0][0] is scan


def test_on_another_grid_only_voxels_of_the_brain_are_averaged(head):
    (scan, _), inside = head
    turned = np.eye(4)
    turned[:3, 3] = (0.5, 0.25, 0.5)
    found, there = resliced_brain(scan, inside, np.eye(4), SHAPE, turned)
    np.testing.assert_array_equal(there, resliced(inside, np.eye(4), SHAPE, turned) >= 0.5)
    assert found[there].min() >= scan[inside].min() and found[there].max() <= scan[inside].max()
    core = eroded(eroded(inside)) & there
    np.testing.assert_allclose(found[core], resliced(scan, np.eye(4), SHAPE, turned)[core], rtol=1e-4)
    assert not found[~there].any()


def test_eroding_takes_what_touches_the_outside_or_the_border():
    mask = np.zeros((6, 5, 5), bool)
    mask[:5, 1:4, 1:4] = True
    expected = ndimage.binary_erosion(mask, np.ones((3, 3, 3)))
    np.testing.assert_array_equal(eroded(mask), expected)
    assert eroded(mask).sum() == 3


def test_the_background_is_the_commonest_value_on_the_faces():
    scan = np.full((5, 5, 5), -3.5)
    scan[1:4, 1:4, :] = 9  # the brain touches two faces
    assert border_value(scan) == -3.5


def test_filling_closes_holes_and_leaves_bays_open():
    mask = np.ones((5, 5, 5), bool)
    mask[2, 2, 2] = False  # a hole
    mask[0, 0, :] = False  # a bay at the edge
    expected = mask.copy()
    expected[2, 2, 2] = True
    np.testing.assert_array_equal(filled(mask), expected)
    assert filled(np.ones((2, 2, 2), bool)).all() and not filled(np.zeros((2, 2, 2), bool)).any()
