from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest

from brats_unet.errors import DataError
from brats_unet.modality import Modality
from brats_unet.volume import (
    Case,
    Header,
    ImageFile,
    Turn,
    Volume,
    corners_apart_mm,
    refuse_no_place,
    spacing_mm,
    turn_to_lps,
    turned_like,
)

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
    stretched[0, 3] -= 200 * 0.01 * LPS[0, 0]  # now the last corner stays, and the first moves
    assert corners_apart_mm((201, 10, 10), LPS, stretched) == pytest.approx(2)


def test_a_case_without_a_known_patient_is_its_own_patient():
    assert Case("a", {}).patient == "a"
    assert Case("a-100", {Modality.T1: None}, patient="a").patient == "a"


def test_the_indices_of_a_turn_give_the_voxel_that_each_one_came_from():
    array = np.arange(24).reshape(2, 3, 4)
    for turn in TURNS:
        turned = turn.apply(array)
        matrix = turn.indices(turned.shape)
        assert matrix[3].tolist() == [0, 0, 0, 1]
        for voxel in np.ndindex(*turned.shape):
            source = matrix @ [*voxel, 1]
            assert turned[voxel] == array[tuple(source[:3].astype(int))]


def test_a_volume_turned_like_itself_is_itself():
    volume = Volume(np.arange(24).reshape(2, 3, 4), rotated(LPS, 0, 10) @ np.diag([1, 2, 3, 1]), spacing_known=False)
    same = turned_like(volume, volume.affine)
    np.testing.assert_array_equal(same.array, volume.array)
    np.testing.assert_allclose(same.affine, volume.affine, atol=1e-12)
    assert same.spacing_known is False


def test_a_volume_turned_like_another_has_its_axes_and_every_voxel_keeps_its_place():
    volume = Volume(np.arange(24).reshape(2, 3, 4), LPS @ np.diag([1, 2, 3, 1]))
    for turn in TURNS:
        wanted = affine_after(turn, np.eye(4), (2, 2, 2))
        turned = turned_like(volume, wanted)
        assert turn_to_lps(turned.affine) == turn_to_lps(wanted)
        for voxel in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]:
            place = np.linalg.inv(volume.affine) @ turned.affine @ [*voxel, 1]
            assert turned.array[voxel] == volume.array[tuple(np.round(place[:3]).astype(int))]


def test_the_first_voxel_of_a_scan_turned_front_to_back_is_its_last_one_there():
    volume = Volume(np.arange(3).reshape(1, 3, 1), LPS)
    turned = turned_like(volume, np.diag([-1.0, 1.0, 1.0, 1.0]))
    assert turned.array.ravel().tolist() == [2, 1, 0]
    assert turned.affine.tolist() == [[-1, 0, 0, 0], [0, 1, 0, -2], [0, 0, 1, 0], [0, 0, 0, 1]]


def test_the_best_aligned_axis_is_assigned_first():
    """Voxel axis 1 points exactly right, so axis 0, which points right more than any other way, gets what is left."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0.8, 0.6, 0], [1, 0, 0], [0, 0, 1]]).T
    assert turn_to_lps(affine).axes == (1, 0, 2)


@pytest.mark.parametrize("size", [1e6, -1e6])
def test_an_affine_of_a_kilometre_has_a_place(size):
    affine = np.eye(4)
    affine[0, 3] = size
    refuse_no_place(Path("a.nii"), affine)
    affine[0, 3] = 1.5 * size
    with pytest.raises(
        DataError, match=r"^a\.nii: The affine holds 1\.5e\+06 mm\. Correct the affine in its header\.$"
    ):
        refuse_no_place(Path("a.nii"), affine)


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 0])
def test_an_affine_without_a_place_is_refused_with_the_name_of_the_file(wrong):
    with pytest.raises(DataError, match=r"^a\.nii: The affine is singular or not finite.*Correct the affine"):
        refuse_no_place(Path("a.nii"), np.diag([1, 1, wrong, 1]))


def test_voxels_below_a_tenth_of_a_micrometre_give_no_orientation():
    assert turn_to_lps(np.diag([1e-3, 1e-3, 1e-3, 1])) == Turn((0, 1, 2), (True, True, False))
    with pytest.raises(ValueError, match="gives no orientation"):
        turn_to_lps(np.diag([1e-5, 1e-5, 1e-5, 1]))


def test_a_case_has_the_spacing_of_its_first_slices():
    slices = ImageFile(Path("t1"), spacing_mm=(1.0, 1.0, 5.0))
    assert Case("a", {Modality.T1: slices, Modality.T2: ImageFile(Path("t2"))}).spacing_mm == (1.0, 1.0, 5.0)
    assert Case("a", {Modality.T1: ImageFile(Path("t1.nii"))}).spacing_mm is None
    assert Case("a", {}).spacing_mm is None


def test_a_spacing_that_is_unknown_is_none():
    assert Volume(np.zeros((1, 1, 1)), LPS).known_spacing_mm == (1.0, 1.0, 1.0)
    assert Volume(np.zeros((1, 1, 1)), LPS, spacing_known=False).known_spacing_mm is None


def test_a_header_has_the_spacing_of_its_affine_and_a_volume_without_one_is_in_lps():
    assert Header((1, 1, 1), np.diag([-2.0, 3, 4, 1]), np.dtype("u1")).spacing_mm == (2.0, 3.0, 4.0)
    np.testing.assert_array_equal(Volume(np.zeros((1, 1, 1))).affine, LPS)


def test_corners_of_a_scan_with_channels_are_those_of_its_three_axes():
    shifted = LPS.copy()
    shifted[0, 3] = 2
    assert corners_apart_mm((4, 4, 4, 9), LPS, shifted) == 2


def test_a_long_voxel_edge_does_not_make_an_axis_better_aligned():
    """Voxel axis 0 points 26° from right, axis 1 of ten times its length 41°: axis 0 is left and right."""
    affine = np.eye(4)
    affine[:2, 0], affine[:2, 1] = (0.9, 0.436), (7.5, 6.6)
    assert turn_to_lps(affine) == Turn((0, 1, 2), (True, True, False))
