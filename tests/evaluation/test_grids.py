"""Comparison of two grids."""

import numpy as np

from brats_unet.evaluation.grids import grid_mismatch

SHAPE = (240, 240, 155)
AFFINE = np.array([[-1.0, 0, 0, 0], [0, -1, 0, 239], [0, 0, 1, 0], [0, 0, 0, 1]])


def moved(x_mm: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += x_mm
    return affine


def test_equal_grids_have_no_mismatch():
    assert grid_mismatch(SHAPE, AFFINE, SHAPE, AFFINE.copy()) == ""


def test_minus_zero_and_rounding_in_the_header_are_no_mismatch():
    affine = AFFINE.copy()
    affine[0, 3] = -0.0
    affine[:3, :3] *= 1 + 1e-6
    assert grid_mismatch(SHAPE, AFFINE, SHAPE, affine) == ""


def test_a_different_shape_is_given_in_voxels():
    assert grid_mismatch(SHAPE, AFFINE, (240, 240, 154), AFFINE).startswith("240×240×154 voxels, not 240×240×155.")


def test_a_shift_of_half_a_millimetre_is_a_mismatch():
    assert "0.50 mm apart" in grid_mismatch(SHAPE, AFFINE, SHAPE, moved(0.5))


def test_a_reversed_axis_is_a_mismatch_of_the_size_of_the_volume():
    assert "239.00 mm apart" in grid_mismatch(SHAPE, AFFINE, SHAPE, np.diag([-1.0, 1, 1, 1]))
