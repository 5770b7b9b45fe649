from itertools import permutations, product

import numpy as np
import pytest

from brats_unet.modality import Modality
from brats_unet.volume import Case, Turn, Volume, corners_apart_mm, spacing_mm, turn_to_lps

TURNS = [Turn(axes, reverse) for axes in permutations(range(3)) for reverse in product((False, True), repeat=3)]
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
UNCHANGED = Turn((0, 1, 2), (False, False, False))


def rotated(affine, axis, degrees):
    """`affine` after a rotation about one world axis."""
    angle = np.deg2rad(degrees)
    a, b = [i for i in range(3) if i != axis]
    rotation = np.eye(4)
    rotation[[a, a, b, b], [a, b, a, b]] = [np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)]
    return rotation @ affine


def affine_after(turn, affine, shape):
    """The affine of `turn.apply(array)`, from the positions of its first voxel and that voxel's neighbours."""
    indices = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    turned = turn.apply(indices)

    def world(voxel):
        return (affine @ np.append(voxel, 1))[:3]

    origin = world(turned[0, 0, 0])
    columns = [world(turned[1, 0, 0]), world(turned[0, 1, 0]), world(turned[0, 0, 1])]
    new = np.eye(4)
    new[:3, :3] = np.stack([column - origin for column in columns], axis=1)
    new[:3, 3] = origin
    return new


@pytest.mark.parametrize("extra", [(), (2,)], ids=["scan", "with channels"])
def test_all_48_turns_are_undone_exactly(extra):
    array = np.arange(2 * 3 * 4 * int(np.prod(extra))).reshape(2, 3, 4, *extra)
    assert len(TURNS) == 48
    for turn in TURNS:
        np.testing.assert_array_equal(turn.undo(turn.apply(array)), array)
        turned = turn.apply(array)
        np.testing.assert_array_equal(turn.apply(turn.undo(turned)), turned)


def test_the_48_turns_of_a_cube_are_all_different():
    cube = np.arange(8).reshape(2, 2, 2)
    assert len({turn.apply(cube).tobytes() for turn in TURNS}) == 48


def test_turning_returns_a_view():
    array = np.zeros((2, 3, 4))
    assert all(np.shares_memory(turn.apply(array), array) for turn in TURNS)


def test_a_scan_in_lps_stays_unchanged():
    assert turn_to_lps(LPS) == UNCHANGED


def test_a_scan_in_ras_is_reversed_left_right_and_front_back():
    assert turn_to_lps(np.eye(4)) == Turn((0, 1, 2), (True, True, False))


def test_a_scan_stored_superior_first_is_permuted():
    superior_left_posterior = np.array([[0, -1, 0, 0], [0, 0, -1, 0], [1.0, 0, 0, 0], [0, 0, 0, 1]])
    assert turn_to_lps(superior_left_posterior) == Turn((1, 2, 0), (False, False, False))


@pytest.mark.parametrize("spacing", [(1, 1, 1), (0.5, 1, 6)], ids=str)
def test_every_orientation_is_turned_to_lps(spacing):
    shape = (2, 3, 4)
    for stored in TURNS:
        affine = affine_after(stored, LPS @ np.diag([*spacing, 1]), shape)
        found = turn_to_lps(affine)
        stored_shape = stored.apply(np.zeros(shape)).shape
        back = affine_after(found, affine, stored_shape)
        assert turn_to_lps(back) == UNCHANGED
        np.testing.assert_allclose(back[:3, :3], LPS[:3, :3] * spacing, atol=1e-12)


@pytest.mark.parametrize("degrees", [-40, -10, 10, 40])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_oblique_scan_is_turned_like_the_nearest_orthogonal_one(axis, degrees):
    assert turn_to_lps(rotated(LPS, axis, degrees)) == UNCHANGED
    assert turn_to_lps(rotated(np.eye(4), axis, degrees)) == turn_to_lps(np.eye(4))


def test_a_doubly_oblique_scan_uses_each_axis_once():
    affine = rotated(rotated(rotated(LPS, 0, 44), 1, 44), 2, 44)
    assert sorted(turn_to_lps(affine).axes) == [0, 1, 2]


@pytest.mark.parametrize("affine", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.diag([1, 1, 0, 1])])
def test_an_affine_that_gives_no_orientation_is_refused(affine):
    with pytest.raises(ValueError, match="gives no orientation"):
        turn_to_lps(affine)


def test_spacing_is_the_length_of_the_affine_columns_under_any_rotation():
    affine = np.diag([-0.5, 2.0, 3.0, 1.0])
    assert spacing_mm(affine) == (0.5, 2.0, 3.0)
    np.testing.assert_allclose(spacing_mm(rotated(affine, 1, 30)), (0.5, 2, 3))
    assert Volume(np.zeros((1, 1, 1))).spacing_mm == (1.0, 1.0, 1.0)


def test_equal_affines_are_0_mm_apart_and_minus_0_equals_0():
    other = LPS.copy()
    other[1, 3] = -0.0
    assert corners_apart_mm((240, 240, 155), LPS, other) == 0


def test_a_shift_moves_every_corner_by_its_length_and_a_wrong_spacing_moves_the_farthest_most():
    shifted = LPS.copy()
    shifted[:3, 3] += (3, 4, 0)
    assert corners_apart_mm((10, 10, 10), LPS, shifted) == pytest.approx(5)
    stretched = LPS @ np.diag([1.01, 1, 1, 1])
    assert corners_apart_mm((201, 10, 10), LPS, stretched) == pytest.approx(2)


def test_a_case_without_a_known_patient_is_its_own_patient():
    assert Case("a", {}).patient == "a"
    assert Case("a-100", {Modality.T1: None}, patient="a").patient == "a"
