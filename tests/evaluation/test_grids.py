"""Whether two masks lie on one grid."""

import numpy as np

from brats_unet.evaluation.grids import grid_mismatch

SHAPE = (240, 240, 155)
AFFINE = np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])


def moved(x_mm: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += x_mm
    return affine


def test_the_same_grid_does_not_differ():
    assert grid_mismatch(SHAPE, AFFINE, SHAPE, AFFINE.copy()) == ""


def test_minus_zero_and_rounding_in_the_header_are_no_difference():
    affine = AFFINE.copy()
    affine[0, 3] = -0.0
    affine[:3, :3] *= 1 + 1e-6
    assert grid_mismatch(SHAPE, AFFINE, SHAPE, affine) == ""


def test_another_shape_is_said_in_voxels():
    assert grid_mismatch(SHAPE, AFFINE, (240, 240, 154), AFFINE).startswith("240×240×154 voxels, not 240×240×155.")


def test_a_shift_of_half_a_millimetre_is_said():
    assert "0.50 mm away" in grid_mismatch(SHAPE, AFFINE, SHAPE, moved(0.5))


def test_other_axes_are_a_difference_as_large_as_the_head():
    assert "239.00 mm away" in grid_mismatch(SHAPE, AFFINE, SHAPE, np.diag([-1.0, 1, 1, 1]))
