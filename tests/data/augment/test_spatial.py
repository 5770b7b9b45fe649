import numpy as np
import pytest
from keras import ops

from brats_unet.data.augment.options import Elastic, Mirror, Rotation, Scaling
from brats_unet.data.augment.spatial import LATTICE, displacement, spatial

AXES = Mirror([0, 1, 2], 0.5)
RIGID = Elastic(0, [0, 0.25], [0.125, 0.5])


def transform(margin=(0, 0, 0), *, per_axis=0.0, elastic=RIGID, balanced=False, in_plane=False):
    scaling = Scaling(0.5, per_axis, [0.5, 2], balanced)
    return spatial(Rotation(0.5, [-90, 90]), scaling, elastic, AXES, margin, in_plane)


def parameters(
    degrees=(0, 0, 0), factors=(1, 1, 1), reverse=(False, False, False), smoothness=0.2, magnitude=(0, 0, 0)
):
    return {
        "angles": np.radians(np.array(degrees, np.float32)),
        "factors": np.array(factors, np.float32),
        "reverse": np.array(reverse),
        "smoothness": np.float32(smoothness),
        "magnitude": np.array(magnitude, np.float32),
    }


def moved(image, labels, normals=None, margin=(0, 0, 0), elastic=RIGID, in_plane=False, **changed):
    drawn = {key: ops.convert_to_tensor(value) for key, value in parameters(**changed).items()}
    pair = transform(margin, elastic=elastic, in_plane=in_plane).whole(
        ops.convert_to_tensor(image), ops.convert_to_tensor(labels), drawn, normals
    )
    return tuple(ops.convert_to_numpy(part) for part in pair)


def scan(shape=(6, 6, 6), channels=2, dtype=np.float32):
    """No voxel is 0: all lie in the brain."""
    rng = np.random.default_rng(0)
    return (1 + rng.random((*shape, channels))).astype(dtype), rng.choice(np.array([0, 1, 2, 4], np.uint8), size=shape)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_at_neutral_parameters_it_is_the_identity_to_the_last_bit(dtype):
    image, labels = scan((5, 6, 7), dtype=dtype)
    found = moved(image, labels)
    np.testing.assert_array_equal(found[0], image)
    np.testing.assert_array_equal(found[1], labels)
    assert found[0].dtype == dtype and found[1].dtype == np.uint8


@pytest.mark.parametrize(("axis", "plane"), [(0, (2, 1)), (1, (0, 2)), (2, (1, 0))])
@pytest.mark.parametrize("quarters", [1, -1])
def test_a_quarter_turn_about_an_axis_is_numpys(axis, plane, quarters):
    image, labels = scan()
    degrees = [90 * quarters if i == axis else 0 for i in range(3)]
    found = moved(image, labels, degrees=degrees)
    np.testing.assert_allclose(found[0], np.rot90(image, quarters, plane), atol=2e-6)
    np.testing.assert_array_equal(found[1], np.rot90(labels, quarters, plane))


def test_half_a_turn_is_two_reversals_and_a_reversal_is_numpys():
    image, labels = scan((5, 6, 7))
    np.testing.assert_allclose(moved(image, labels, degrees=(0, 0, 180))[0], image[::-1, ::-1], atol=2e-6)
    found = moved(image, labels, reverse=(True, False, True))
    np.testing.assert_array_equal(found[0], image[::-1, :, ::-1])
    np.testing.assert_array_equal(found[1], labels[::-1, :, ::-1])


def test_factor_2_by_hand_shows_the_means_of_pairs_at_half_the_size():
    image = np.arange(1, 9, dtype=np.float32).reshape(8, 1, 1, 1)
    labels = np.zeros((8, 1, 1), np.uint8)
    found, _ = moved(image, labels, factors=(2, 1, 1))
    # positions -3.5 … 10.5 in steps of 2: beyond the edge 0, between voxels 0 and 1 their mean
    np.testing.assert_array_equal(found.ravel(), [0, 0, 1.5, 3.5, 5.5, 7.5, 0, 0])


def test_one_voxel_moves_where_it_must_and_half_way_is_shared_out():
    image, labels = np.zeros((7, 7, 7, 1), np.float32), np.zeros((7, 7, 7), np.uint8)
    image[5, 3, 3], labels[5, 3, 3] = 8, 4
    found, marks = moved(image, labels, degrees=(0, 0, -90))
    assert np.argwhere(found[..., 0] > 1e-3).tolist() == [[3, 5, 3]] == np.argwhere(marks).tolist()
    whole = np.ones((8, 8, 8, 1), np.float32)
    whole[4, 4, 4] = 9
    shared, _ = moved(whole, np.zeros((8, 8, 8), np.uint8), factors=(0.5, 0.5, 0.5))
    # positions 3.25 and 3.75, 4.25 and 4.75: trilinear weights are powers of a quarter and three quarters
    np.testing.assert_allclose(shared[4, 4, 4], 1 + 8 * 0.75**3, rtol=1e-6)
    np.testing.assert_allclose(shared[4, 4, 5], 1 + 8 * 0.75 * 0.75 * 0.75, rtol=1e-6)
    np.testing.assert_allclose(shared[3, 4, 4], 1 + 8 * 0.25 * 0.75 * 0.75, rtol=1e-6)


def test_modalities_move_alike_and_never_mix():
    image, labels = scan((8, 8, 8), channels=3)
    together, _ = moved(image, labels, degrees=(20, -10, 30), factors=(0.9, 1.2, 1.0))
    for channel in range(3):
        alone, _ = moved(image[..., channel : channel + 1], labels, degrees=(20, -10, 30), factors=(0.9, 1.2, 1.0))
        np.testing.assert_allclose(together[..., channel], alone[..., 0], atol=1e-6)


def test_outside_the_brain_stays_exactly_0_with_an_edge_as_sharp_as_before():
    image, labels = scan((10, 10, 10))
    image[:5] = 0
    labels[:5] = 0
    found, marks = moved(image, labels, degrees=(0, 0, 25), factors=(1.1, 1.1, 1.1))
    outside = (found == 0).all(axis=-1)
    assert outside.any() and not outside.all() and not marks[outside].any()
    assert found[~outside].min() > 0.1  # at least an eighth of a voxel of the brain


def test_a_wider_read_image_fills_the_corners_that_would_be_empty():
    image, labels = scan((16, 16, 16))
    wide, _ = moved(image, labels, margin=(4, 4, 4), degrees=(0, 0, 45))
    narrow, _ = moved(image[4:-4, 4:-4, 4:-4], labels[4:-4, 4:-4, 4:-4], degrees=(0, 0, 45))
    assert wide.shape == narrow.shape == (8, 8, 8, 2)
    assert (wide > 0).all() and (narrow == 0).any()
    within = (slice(2, -2),) * 3  # far enough from the corners to be the same
    np.testing.assert_allclose(wide[within], narrow[within], atol=1e-5)


def test_a_slice_is_turned_and_scaled_within_its_plane_alone():
    image, labels = scan((8, 8, 1))
    found, marks = moved(image, labels, degrees=(40, 50, 90), factors=(1, 1, 2))
    np.testing.assert_allclose(found, np.rot90(image, 1, (1, 0)), atol=2e-6)
    np.testing.assert_array_equal(marks, np.rot90(labels, 1, (1, 0)))


NORMALS = np.random.default_rng(3).normal(size=(3, LATTICE, LATTICE, LATTICE)).astype(np.float32)


@pytest.mark.parametrize("smoothness", [0.0, 0.1, 0.25])
def test_a_displacement_has_mean_0_the_size_told_and_is_smooth(smoothness):
    patch = (30, 24, 20)
    found = displacement(patch, np.float32(smoothness), np.float32([0.5, 0.25, 0]), NORMALS)
    found = [ops.convert_to_numpy(part) for part in found]
    sigma = [max(smoothness, 1 / 25) * n for n in patch]
    for part, share, s in zip(found, (0.5, 0.25, 0), sigma, strict=True):
        assert part.shape == patch and abs(part.mean()) < 1e-5
        # the mean is taken off once the largest value is what it should be
        assert np.abs(part).max() == pytest.approx(share * s, rel=0.6, abs=1e-6)
    steepest = max(np.abs(np.diff(found[0], axis=axis)).max() * sigma[axis] for axis in range(3))
    assert steepest < 3 * 0.5 * sigma[0]


def test_a_displacement_is_as_large_at_the_border_as_within():
    rng = np.random.default_rng(0)
    spreads = []
    for _ in range(40):
        normals = rng.normal(size=NORMALS.shape).astype(np.float32)
        field = ops.convert_to_numpy(displacement((16, 16, 16), np.float32(0.1), np.float32([1, 1, 1]), normals)[0])
        spreads.append([np.mean(field[0] ** 2), np.mean(field[8] ** 2)])
    border, middle = np.mean(spreads, axis=0)
    assert border == pytest.approx(middle, rel=0.25)


def test_an_elastic_deformation_moves_voxels_by_what_was_drawn_and_keeps_labels():
    image, labels = scan((12, 12, 12))
    elastic = Elastic(1, [0, 0.25], [0.125, 0.5])
    still, same = moved(image, labels, NORMALS, elastic=elastic, magnitude=(0, 0, 0))
    np.testing.assert_array_equal(still, image)
    found, marks = moved(image, labels, NORMALS, elastic=elastic, magnitude=(0.5, 0.5, 0.5))
    assert not np.allclose(found, image) and set(np.unique(marks)) <= set(np.unique(same))


def drawn(uniforms, **options):
    found = transform(**options).draw(ops.convert_to_tensor(uniforms))
    return {key: ops.convert_to_numpy(value) for key, value in found.items()}


def test_angles_and_factors_fill_their_ranges_and_are_neutral_where_not_drawn():
    found = drawn(np.random.default_rng(5).random((4000, 20)).astype(np.float32))
    turned = found["angles"].any(axis=1)
    scaled = (found["factors"] != 1).any(axis=1)
    assert turned.mean() == pytest.approx(0.5, abs=0.03) and scaled.mean() == pytest.approx(0.5, abs=0.03)
    np.testing.assert_array_equal(found["drawn"], turned | scaled)
    degrees = np.degrees(found["angles"][turned])
    assert degrees.min() < -88 and degrees.max() > 88 and abs(degrees.mean()) < 2
    factors = found["factors"][scaled]
    np.testing.assert_array_equal(factors, factors[:, :1].repeat(3, axis=1))
    assert factors.min() < 0.52 and factors.max() > 1.98 and factors.mean() == pytest.approx(1.25, abs=0.03)
    assert not found["magnitude"].any()


def test_each_axis_has_a_factor_of_its_own_as_often_as_told_and_balance_is_about_1():
    uniforms = np.random.default_rng(6).random((4000, 20)).astype(np.float32)
    found = drawn(uniforms, per_axis=0.3, balanced=True)["factors"]
    scaled = found[(found != 1).any(axis=1)]
    own = scaled[:, 0] != scaled[:, 1]
    assert own.mean() == pytest.approx(0.3, abs=0.04)
    assert (scaled[:, 0] < 1).mean() == pytest.approx(0.5, abs=0.04)


def test_in_plane_every_axial_slice_is_transformed_as_it_is_alone():
    image, labels = scan((9, 8, 4))
    elastic = Elastic(1, [0, 0.25], [0.125, 0.5])
    normals = ops.convert_to_tensor(np.random.default_rng(1).normal(size=(3, LATTICE, LATTICE, LATTICE)), "float32")
    drawn = {"degrees": (0, 0, 25), "factors": (1.2, 0.8, 1.5), "reverse": (True, False, False)}
    found = moved(image, labels, None, elastic=RIGID, in_plane=True, **drawn)
    for z in range(4):
        alone = moved(image[:, :, z : z + 1], labels[:, :, z : z + 1], None, **drawn)
        np.testing.assert_array_equal(found[0][:, :, z], alone[0][:, :, 0])
        np.testing.assert_array_equal(found[1][:, :, z], alone[1][:, :, 0])
    turned = moved(image, labels, None, in_plane=True, **drawn | {"degrees": (40, -30, 25)})
    np.testing.assert_array_equal(turned[0], found[0])
    # a marker in one slice stays in it under an elastic deformation too
    image[:, :, 2] += 100
    pushed, _ = moved(image, labels, normals, elastic=elastic, in_plane=True, magnitude=(0.5, 0.5, 0.5))
    assert pushed[:, :, 2].max() > 50 and pushed[:, :, [0, 1, 3]].max() < 3


def test_in_plane_slices_are_reversed_by_mirroring_only():
    image, labels = scan((5, 6, 3))
    found = moved(image, labels, factors=(1, 1, 2), reverse=(False, False, True), in_plane=True)
    np.testing.assert_array_equal(found[0], image[:, :, ::-1])
    np.testing.assert_array_equal(found[1], labels[:, :, ::-1])
