"""Tilted scans are interpolated onto a straight grid and back."""

import numpy as np
import pytest

from brats_unet.data.prepare.oblique import resliced, straight_around, tilt_degrees
from brats_unet.volume import spacing_mm


def rotated(degrees, spacing=(1.0, 1.0, 1.0), axis=2, origin=(3.0, -20.0, 7.0)):
    one, other = (i for i in range(3) if i != axis)
    turn = np.eye(3)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn[one, one], turn[one, other], turn[other, one], turn[other, other] = c, -s, s, c
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag([-spacing[0], -spacing[1], spacing[2]])
    affine[:3, 3] = origin
    return affine


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("degrees", [0, 1, 10, 30])
def test_the_tilt_is_the_angle_by_which_a_grid_is_rotated(degrees, axis):
    assert tilt_degrees(rotated(degrees, (1.0, 2.0, 0.5), axis)) == pytest.approx(degrees, abs=1e-4)


def test_a_rotation_by_90_degrees_has_no_tilt():
    assert tilt_degrees(rotated(90)) == pytest.approx(0, abs=1e-5)
    assert straight_around((5, 6, 7), rotated(90)) is None


def test_a_straight_grid_covers_every_corner_and_keeps_the_spacing():
    affine = rotated(25, (1.0, 1.5, 2.0), axis=0)
    found = straight_around((11, 13, 9), affine)
    assert spacing_mm(np.array(found.affine)) == pytest.approx((1.0, 1.5, 2.0))
    corners = np.array(np.meshgrid((0, 10), (0, 12), (0, 8), indexing="ij")).reshape(3, -1)
    world = affine @ np.vstack([corners, np.ones(8)])
    voxels = (np.linalg.inv(np.array(found.affine)) @ world)[:3]
    assert voxels.min() > -1e-6 and (voxels.max(axis=1) <= np.array(found.shape) - 1 + 1e-6).all()


def test_a_linear_ramp_is_resliced_exactly():
    affine = rotated(15)
    index = np.indices((12, 12, 12)).reshape(3, -1)
    world = (affine @ np.vstack([index, np.ones(index.shape[1])]))[0].reshape(12, 12, 12)
    target = rotated(-20, origin=(-3.0, -24.0, 9.0))
    found = resliced(world, affine, (3, 3, 3), target)
    expected = (target @ np.vstack([np.indices((3, 3, 3)).reshape(3, -1), np.ones(27)]))[0].reshape(3, 3, 3)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_each_channel_is_resliced_and_beyond_the_array_is_the_outside_value():
    array = np.stack([np.zeros((4, 4, 4)), np.ones((4, 4, 4))], axis=-1)
    far = rotated(10, origin=(500.0, 500.0, 500.0))
    assert (resliced(array, rotated(10), (2, 2, 2), far, outside=-7) == -7).all()
    assert resliced(array, rotated(10), (4, 4, 4), rotated(10))[1, 1, 1].tolist() == [0, 1]
