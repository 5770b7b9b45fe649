"""Brain masks, and removal of the seam that interpolation leaves around the brain."""

import numpy as np
import pytest
from scipy import ndimage

from brats_unet.data.prepare.brain import border_value, eroded, filled, without_seam
from brats_unet.data.prepare.oblique import resliced, resliced_brain

SHAPE = (40, 44, 36)


@pytest.fixture
def head():
    """Two int16 scans of a ball-shaped brain whose intensity varies slowly, and the mask of the ball."""
    x, y, z = np.indices(SHAPE)
    inside = (x - 20) ** 2 + (y - 22) ** 2 + (z - 18) ** 2 < 14**2
    scans = [np.where(inside, 400 + 8 * x + 3 * y, 0), np.where(inside, 900 - 5 * z + 4 * x, 0)]
    return [scan.astype(np.int16) for scan in scans], inside


def shifted(scan, by, outside=0.0):
    return ndimage.shift(scan.astype(np.float32), by, order=1, cval=outside)


def masks_of(scans, background=0):
    return [scan != background for scan in scans]


def test_sharp_scans_are_returned_unchanged(head):
    scans, _ = head
    sharp, sharp_masks = without_seam(scans, masks := masks_of(scans))
    assert all(a is b for a, b in zip([*sharp, *sharp_masks], [*scans, *masks], strict=True))


@pytest.mark.parametrize("background", [0, -30])
def test_the_edge_of_interpolated_scans_gets_back_its_place_and_brightness(head, background):
    scans, inside = head
    blurred = [shifted(scan + background, (0.4, 0.3, 0.5), background) for scan in scans]
    assert masks_of(blurred, background)[0].sum() > 1.15 * inside.sum()  # the seam
    repaired, repaired_masks = without_seam(blurred, masks_of(blurred, background))
    expected = shifted(inside, (0.4, 0.3, 0.5)) >= 0.5
    for scan, mask, original in zip(repaired, repaired_masks, scans, strict=True):
        assert np.logical_xor(mask, expected).sum() < 0.02 * inside.sum()
        assert (scan[~mask] == background).all()
        compared = mask & expected & shifted(inside, (0.4, 0.3, 0.5)).astype(bool)
        smooth = shifted(original, (0.4, 0.3, 0.5)) / np.maximum(shifted(inside, (0.4, 0.3, 0.5)), 1e-6) + background
        np.testing.assert_allclose(scan[compared], smooth[compared], atol=25)  # intensities are 250 or more
        assert scan.dtype == np.float32


def test_scans_with_half_of_the_brain_darker_than_the_background_are_left_unchanged(head):
    scans, inside = head
    normal = np.where(inside, scans[0] - scans[0][inside].mean(), 0).astype(np.float32)
    blurred = shifted(normal, (0.5, 0.5, 0.5))
    assert without_seam([blurred], masks_of([blurred]))[0][0] is blurred


def test_one_usable_scan_is_enough_to_repair_the_others(head):
    scans, inside = head
    normal = np.where(inside, scans[0] - scans[0][inside].mean(), 0).astype(np.float32)
    blurred = [shifted(scan, (0.5, 0.5, 0.5)) for scan in (scans[1], normal)]
    _, repaired_masks = without_seam(blurred, masks_of(blurred))
    assert np.logical_xor(*repaired_masks).sum() < 0.01 * inside.sum()


def test_a_brain_of_one_voxel_or_without_a_core_is_left_unchanged():
    scan = np.zeros((5, 5, 5), np.int16)
    scan[2, 2, 2] = 7
    assert without_seam([scan], masks_of([scan]))[0][0] is scan
    scan[:, 2, 2] = 7
    assert without_seam([scan], masks_of([scan]))[0][0] is scan


def test_reslicing_a_brain_averages_only_its_own_voxels(head):
    (scan, _), inside = head
    turned = np.eye(4)
    turned[:3, 3] = (0.5, 0.25, 0.5)
    found, mask = resliced_brain(scan, inside, np.eye(4), SHAPE, turned)
    np.testing.assert_array_equal(mask, resliced(inside, np.eye(4), SHAPE, turned) >= 0.5)
    assert found[mask].min() >= scan[inside].min() and found[mask].max() <= scan[inside].max()
    core = eroded(eroded(inside)) & mask
    np.testing.assert_allclose(found[core], resliced(scan, np.eye(4), SHAPE, turned)[core], rtol=1e-4)
    assert not found[~mask].any()


def test_eroding_removes_voxels_at_the_edge_of_the_mask_and_of_the_volume():
    mask = np.zeros((6, 5, 5), bool)
    mask[:5, 1:4, 1:4] = True
    expected = ndimage.binary_erosion(mask, np.ones((3, 3, 3)))
    np.testing.assert_array_equal(eroded(mask), expected)
    assert eroded(mask).sum() == 3


def test_the_background_is_the_most_common_value_on_the_faces():
    scan = np.full((5, 5, 5), -3.5)
    scan[1:4, 1:4, :] = 9  # the brain touches two faces
    assert border_value(scan) == -3.5


def test_filling_closes_holes_but_not_notches_in_the_edge():
    mask = np.ones((5, 5, 5), bool)
    mask[2, 2, 2] = False  # a hole
    mask[0, 0, :] = False  # a notch in the edge
    expected = mask.copy()
    expected[2, 2, 2] = True
    np.testing.assert_array_equal(filled(mask), expected)
    assert filled(np.ones((2, 2, 2), bool)).all() and not filled(np.zeros((2, 2, 2), bool)).any()
