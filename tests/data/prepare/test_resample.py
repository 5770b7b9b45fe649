import numpy as np
import pytest

from brats_unet.data.prepare.resample import (
    along_axes,
    area_matrix,
    area_resampled,
    centring_lead,
    linear_matrix,
    resampled_length,
)

RATIOS = [0.5, 0.8, 1.0, 1.5, 1.875, 2.0, 3.0, 6.0]


@pytest.mark.parametrize(
    ("length", "ratio", "expected"),
    [(240, 1.875, 128), (155, 2, 78), (155, 0.5, 310), (3, 3, 1), (2, 5, 1), (7, 1, 7), (240, 240 / 128, 128)],
)
def test_resampled_length_is_the_number_of_voxels_that_cover_the_length(length, ratio, expected):
    assert resampled_length(length, ratio) == expected


def test_ratio_2_takes_the_mean_of_pairs_and_an_odd_last_voxel_alone():
    expected = [[0.5, 0.5, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(area_matrix(5, 2), np.array(expected))


def test_a_half_covered_voxel_has_half_the_weight():
    np.testing.assert_allclose(area_matrix(3, 1.5), np.array([[2, 1, 0], [0, 1, 2]]) / 3, rtol=1e-6)


def test_resampling_240_to_128_voxels_maps_15_voxels_to_8():
    weights = area_matrix(240, 1.875)
    assert weights.shape == (128, 240)
    np.testing.assert_array_equal(weights[8:16, 15:30], weights[:8, :15])
    assert weights[0, :3].tolist() == pytest.approx([1 / 1.875, 0.875 / 1.875, 0])
    np.testing.assert_allclose(weights.sum(axis=0), 1 / 1.875, rtol=1e-6)  # every voxel has the same total weight


def test_ratio_one_half_interpolates_between_centres_and_repeats_the_edges():
    expected = [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]]
    np.testing.assert_allclose(linear_matrix(4, 2, 2), expected)
    np.testing.assert_allclose(area_matrix(2, 0.5), expected)


def test_a_grid_with_a_lead_by_hand():
    expected = [[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(area_matrix(4, 2, lead=1), expected)
    back = [[0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0.75, 0.25], [0, 0.25, 0.75]]  # centres at 0, 2 and 4
    np.testing.assert_allclose(linear_matrix(4, 3, 2, lead=1), back)
    finer = [
        [1, 0],
        [1, 0],
        [0.5, 0.5],
        [0, 1],
        [0, 1],
    ]  # centres at 0, 0.5, 1, 1.5 and 2; source centres at 0.5 and 1.5
    np.testing.assert_allclose(area_matrix(2, 0.5, lead=0.25), finer)


@pytest.mark.parametrize("ratio", [(2, 2, 2), (1.25, 2.5, 2 / 3), (0.8, 1, 1.9)])
def test_the_centre_of_mass_of_a_mask_becomes_the_centre_of_a_voxel(ratio):
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random((9, 8, 7)) < 0.3
        centre = np.argwhere(mask).mean(axis=0) + 0.5
        for axis, lead in enumerate(centring_lead(mask, ratio)):
            assert 0 <= lead < ratio[axis]
            assert lead == 0 if ratio[axis] == 1 else ((centre[axis] + lead) / ratio[axis]) % 1 == pytest.approx(0.5)


def test_rounding_errors_never_add_a_voxel():
    mask = np.ones((10, 1, 1), bool)
    ratio = 10 / 3 * (1 - 1e-12)  # without the tolerance, the lead would be almost a whole voxel
    assert centring_lead(mask, (ratio, 1, 1)) == (0, 0, 0)
    assert np.isfinite(area_matrix(10, ratio, 0.0)).all() and len(area_matrix(10, ratio, 0.0)) == 3


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("length", [1, 2, 7, 30])
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.999999])
def test_weights_sum_to_1_so_that_a_constant_stays_constant(length, ratio, share):
    lead = share * ratio
    there = area_matrix(length, ratio, lead)
    back = linear_matrix(length, len(there), ratio, lead)
    for weights in (there, back):
        assert weights.dtype == np.float32 and (weights >= 0).all()
        np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert there.shape == (resampled_length(length, ratio, lead), length) and back.shape == there.T.shape


@pytest.mark.parametrize("ratio", [2, 3, 6])
def test_area_means_keep_the_mean_where_the_ratio_divides_the_length(ratio):
    array = np.random.default_rng(0).normal(size=(12, 6, 18, 2)).astype(np.float32)
    small = area_resampled(array, (ratio, ratio, ratio))
    assert small.shape == (12 // ratio, 6 // ratio, 18 // ratio, 2)
    np.testing.assert_allclose(small.mean((0, 1, 2)), array.mean((0, 1, 2)), atol=1e-6)


@pytest.mark.parametrize(
    ("ratio", "within"), [(0.5, 1e-5), (2, 1e-5), (3, 1e-5), (1.5, 1 / 16), (1.875, 1 / 16)]
)  # a voxel counts as constant, so ratios that are not whole are not exact
@pytest.mark.parametrize("share", [0, 0.25, 0.7])
def test_a_ramp_comes_back_unchanged_except_at_the_edges(ratio, within, share):
    ramp = np.arange(30, dtype=np.float32)
    lead = share * ratio
    small = area_matrix(30, ratio, lead) @ ramp
    back = linear_matrix(30, len(small), ratio, lead) @ small
    edge = int(np.ceil(1.5 * ratio if lead else ratio))  # the first voxel may be partly covered
    np.testing.assert_allclose(back[edge:-edge], ramp[edge:-edge], atol=within)
    assert np.abs(back - ramp).max() <= ratio / 2


def test_a_ratio_of_1_along_every_axis_returns_the_same_array():
    array = np.ones((2, 3, 4), bool)
    assert area_resampled(array, (1.0, 1.0, 1.0)) is array


def test_each_axis_is_resampled_by_its_own_matrix():
    array = np.random.default_rng(0).normal(size=(4, 5, 6, 2)).astype(np.float32)
    a, c = area_matrix(4, 2), area_matrix(6, 1.5)
    expected = np.einsum("ax,cz,xyzm->aycm", a, c, array)
    found = along_axes(array, (a, None, c))
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_sphere_there_and_back_at_2_mm_keeps_its_shape():
    centre = np.array([30.3, 29.1, 31.7])
    distance = np.linalg.norm(np.stack(np.meshgrid(*[np.arange(61)] * 3, indexing="ij"), axis=-1) - centre, axis=-1)
    for radius in (8, 20):
        mask = distance <= radius
        small = area_resampled(mask, (2.0, 2.0, 2.0)) >= 0.5
        back = along_axes(small, tuple(linear_matrix(61, 31, 2) for _ in range(3))) >= 0.5
        dice = 2 * (mask & back).sum() / (mask.sum() + back.sum())
        assert dice >= 0.93
        assert mask.sum() == pytest.approx(back.sum(), rel=0.05)
