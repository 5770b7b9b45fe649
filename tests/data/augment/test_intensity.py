import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from brats_unet.data.augment import intensity
from brats_unet.data.augment.options import Blur, Factors, Gamma, LowResolution, Noise, Shift

TRANSFORMS = {
    "noise": intensity.gaussian_noise(Noise(1, [0, 0.1])),
    "blur": intensity.gaussian_blur(Blur(1, 0.5, [0.5, 1.5])),
    "brightness": intensity.brightness(Factors(1, [0.7, 1.3])),
    "contrast": intensity.contrast(Factors(1, [0.65, 1.5])),
    "low_resolution": intensity.low_resolution(LowResolution(1, 0.5, [0.5, 1])),
    "low_resolution_in_plane": intensity.low_resolution(LowResolution(1, 0.5, [0.5, 1]), in_plane=True),
    "gamma": intensity.gamma(Gamma(1, [0.5, 1.6])),
    "gamma_inverted": intensity.inverted_gamma(Gamma(1, [0.5, 1.6])),
    "shift": intensity.shift(Shift(1, 0.5, 0.2)),
    "modality_dropout": intensity.modality_dropout(0.5),
}
NEUTRAL = {
    "noise": {"sigma": 0.0},
    "blur": {"taken": [False] * 4, "sigma": [[1.0] * 3] * 4},
    "brightness": {"factors": [1.0] * 4},
    "contrast": {"factors": [1.0] * 4},
    "low_resolution": {"taken": [False] * 4, "zoom": [0.5] * 4},
    "low_resolution_in_plane": {"taken": [False] * 4, "zoom": [0.5] * 4},
    "gamma": {"factors": [1.0] * 4},
    "gamma_inverted": {"factors": [1.0] * 4},
    "shift": {"shift": [0.0] * 4},
    "modality_dropout": {"numbers": [0.6, 0.7, 0.8, 0.9]},
}
# (x - mean) + mean and the like round; the others are exact.
ROUNDED = {"contrast", "gamma", "gamma_inverted"}


def scan(shape=(8, 9, 10), channels=4, dtype=np.float32):
    """Noise in a box, exactly 0 around it, and labels."""
    rng = np.random.default_rng(0)
    image = np.zeros((*shape, channels), dtype)
    image[1:-1, 1:-1, 1:-1] = rng.normal(size=image[1:-1, 1:-1, 1:-1].shape)
    return image, rng.choice(np.array([0, 1, 2, 4], np.uint8), size=shape)


def changed(name, image, normals=None, **parameters):
    drawn = {key: ops.convert_to_tensor(np.asarray(value)) for key, value in parameters.items()}
    drawn = {key: ops.cast(value, "float32") if value.dtype == "float64" else value for key, value in drawn.items()}
    labels = np.zeros(image.shape[:3], np.uint8)
    found, same = TRANSFORMS[name].apply(ops.convert_to_tensor(image), labels, drawn, normals)
    assert same is labels  # places stay
    return ops.convert_to_numpy(found)


def drawn_sample(name, seed=3):
    """One sample's parameters, of odd numbers."""
    transform = TRANSFORMS[name]
    uniforms = np.random.default_rng(seed).random((1, transform.uniforms)).astype(np.float32)
    return {
        key: ops.convert_to_numpy(value)[0] for key, value in transform.draw(ops.convert_to_tensor(uniforms)).items()
    }


@pytest.mark.parametrize("name", TRANSFORMS)
def test_at_neutral_parameters_it_is_the_identity(name):
    image, _ = scan()
    found = changed(name, image, np.ones_like(image), **NEUTRAL[name])
    if name in ROUNDED:
        np.testing.assert_allclose(found, image, atol=2e-6)
    else:
        np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_outside_the_brain_stays_exactly_0_and_float16_stays_float16(name):
    image, _ = scan(dtype=np.float16)
    found = changed(name, image, np.ones(image.shape, np.float32), **drawn_sample(name))
    outside = (image == 0).all(axis=-1)
    assert found.dtype == np.float16 and outside.mean() > 0.3
    assert not found[outside].any()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_modalities_are_changed_independently(name):
    image, _ = scan()
    drawn = drawn_sample(name)
    normals = np.random.default_rng(1).normal(size=image.shape).astype(np.float32)
    found = changed(name, image, normals, **drawn)
    other = image.copy()
    other[1:-1, 1:-1, 1:-1, 1:] *= 1.5
    again = changed(name, other, normals, **drawn)
    np.testing.assert_allclose(again[..., 0], found[..., 0], atol=1e-6)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_fewer_modalities_than_brats_has_will_do(name):
    image, _ = scan(channels=2)
    drawn = drawn_sample(name)
    found = changed(name, image, np.ones_like(image), **drawn)
    wide = np.concatenate([image, image], axis=-1)
    if name != "modality_dropout":  # which keeps the last of those that are there
        np.testing.assert_allclose(found, changed(name, wide, np.ones_like(wide), **drawn)[..., :2], atol=1e-6)
    assert found.shape == image.shape


@pytest.mark.parametrize("name", TRANSFORMS)
def test_compiled_it_is_what_it_is_without(name):
    image, labels = scan()
    drawn = {key: tf.constant(value) for key, value in drawn_sample(name).items()}
    normals = tf.constant(np.random.default_rng(1).normal(size=image.shape).astype(np.float32))
    apply = TRANSFORMS[name].apply
    eager = apply(tf.constant(image), tf.constant(labels), drawn, normals)
    for jit in (False, True):
        found = tf.function(apply, jit_compile=jit)(tf.constant(image), tf.constant(labels), drawn, normals)
        np.testing.assert_allclose(found[0], eager[0], atol=1e-5)


@pytest.mark.parametrize("name", ["gamma", "gamma_inverted"])
@pytest.mark.parametrize("exponent", [0.5, 1.6])
def test_gamma_keeps_mean_and_deviation_of_each_modality_and_the_order_of_voxels(name, exponent):
    image, _ = scan()
    image += 0.001  # all in the brain
    found = changed(name, image, factors=[exponent] * 4)
    axes = (0, 1, 2)
    np.testing.assert_allclose(found.mean(axes), image.mean(axes), atol=1e-5)
    np.testing.assert_allclose(found.std(axes), image.std(axes), atol=1e-5)
    order = np.argsort(image[..., 0], axis=None)
    assert (np.diff(found[..., 0].ravel()[order]) >= -1e-6).all()


def test_inverted_gamma_is_gamma_of_the_negative():
    image, _ = scan()
    np.testing.assert_allclose(
        changed("gamma_inverted", image, factors=[0.6] * 4), -changed("gamma", -image, factors=[0.6] * 4), atol=1e-6
    )


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_contrast_scales_about_the_mean_and_keeps_the_range(factor):
    image, _ = scan()
    image += 0.001
    found = changed("contrast", image, factors=[factor] * 4)
    low, high = image.min((0, 1, 2)), image.max((0, 1, 2))
    assert (found >= low).all() and (found <= high).all()
    wanted = (image - image.mean((0, 1, 2))) * factor + image.mean((0, 1, 2))
    np.testing.assert_allclose(found, np.clip(wanted, low, high), atol=1e-5)


def test_brightness_noise_and_shift_by_hand():
    image = np.full((1, 1, 1, 4), 2, np.float32)
    assert changed("brightness", image, factors=[0.5, 1.0, 2.0, 3.0]).ravel().tolist() == [1, 2, 4, 6]
    assert changed("shift", image, shift=[0.5, 0.0, -2.0, 1.0]).ravel().tolist() == [2.5, 2, 0, 3]
    normals = np.array([1, -1, 2, 0], np.float32).reshape(1, 1, 1, 4)
    assert changed("noise", image, normals, sigma=0.5).ravel().tolist() == [2.5, 1.5, 3, 2]


def test_dropout_blanks_what_was_drawn_and_keeps_the_greatest_number():
    image = np.full((1, 1, 1, 4), 2, np.float32)
    assert changed("modality_dropout", image, numbers=[0.1, 0.6, 0.4, 0.7]).ravel().tolist() == [0, 2, 0, 2]
    assert changed("modality_dropout", image, numbers=[0.1, 0.2, 0.4, 0.3]).ravel().tolist() == [0, 0, 2, 0]


def test_a_blur_of_a_constant_is_the_constant_and_of_a_point_the_kernel():
    matrices = ops.convert_to_numpy(intensity.blur_matrices(9, ops.convert_to_tensor([0.5, 1.0, 1.5]), 6))
    np.testing.assert_allclose(matrices.sum(axis=-1), 1, rtol=1e-6)
    # sigma 1: 7 taps; sigma 0.5: 3 taps, exp(-2) beside 1
    assert (matrices[:, 4] > 0).sum(axis=-1).tolist() == [3, 7, 9]
    beside = np.exp(-2.0)
    np.testing.assert_allclose(matrices[0, 4, 3:6], np.array([beside, 1, beside]) / (1 + 2 * beside), rtol=1e-6)
    # reflected without repeating the edge: voxel 0 takes its right neighbour twice
    np.testing.assert_allclose(matrices[0, 0, :2], np.array([1, 2 * beside]) / (1 + 2 * beside), rtol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_an_axis_shorter_than_the_kernel_is_reflected_over_and_over(n):
    matrices = ops.convert_to_numpy(intensity.blur_matrices(n, ops.convert_to_tensor([1.5]), 6))
    assert matrices.shape == (1, n, n) and np.isfinite(matrices).all()
    np.testing.assert_allclose(matrices.sum(axis=-1), 1, rtol=1e-6)


def test_half_the_resolution_by_hand():
    matrix = ops.convert_to_numpy(intensity.coarse_matrices(4, ops.convert_to_tensor([0.5, 1.0])))
    # two nodes at voxels 1 and 3 (the later of two as near), then linear: 0.25, 0.75 between them
    np.testing.assert_allclose(
        matrix[0], [[0, 1, 0, 0], [0, 0.75, 0, 0.25], [0, 0.25, 0, 0.75], [0, 0, 0, 1]], atol=1e-6
    )
    np.testing.assert_array_equal(matrix[1], np.eye(4))


def test_a_sum_over_two_million_float32_is_exact_to_a_millionth():
    image = np.random.default_rng(0).normal(3, 1, size=(128, 128, 128, 1)).astype(np.float32)
    mean = ops.convert_to_numpy(intensity.mean_of(ops.convert_to_tensor(image)))
    assert mean[0] == pytest.approx(image.astype(np.float64).mean(), rel=1e-6)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_is_drawn_lies_in_its_range(name):
    transform = TRANSFORMS[name]
    uniforms = np.random.default_rng(8).random((3000, transform.uniforms)).astype(np.float32)
    found = {k: ops.convert_to_numpy(v) for k, v in transform.draw(ops.convert_to_tensor(uniforms)).items()}
    ranges = {
        "noise": ("sigma", 0, 0.1),
        "blur": ("sigma", 0.5, 1.5),
        "brightness": ("factors", 0.7, 1.3),
        "contrast": ("factors", 0.65, 1.5),
        "low_resolution": ("zoom", 0.5, 1),
        "gamma": ("factors", 0.5, 1.6),
        "gamma_inverted": ("factors", 0.5, 1.6),
    }
    if name == "shift":
        given = found["shift"][found["shift"] != 0]
        assert given.std() == pytest.approx(0.2, rel=0.05) and abs(given.mean()) < 0.01
        assert (found["shift"] != 0).mean() == pytest.approx(0.5, abs=0.02)
    elif name in ranges:
        key, low, high = ranges[name]
        values = found[key]
        assert low <= values.min() < low + 0.02 * (high - low) and high - 0.02 * (high - low) < values.max() <= high
        if key == "factors":
            assert (values < 1).mean() == pytest.approx(0.5, abs=0.02)
            assert np.unique(values[0]).size == 4  # each modality its own


def test_low_resolution_in_plane_treats_each_axial_slice_as_it_does_alone():
    image, _ = scan((9, 10, 4))
    coarse = {"taken": [True] * 4, "zoom": [0.5, 0.6, 0.7, 0.8]}
    found = changed("low_resolution_in_plane", image, **coarse)
    for z in range(4):
        alone = changed("low_resolution", image[:, :, z : z + 1], **coarse)
        np.testing.assert_allclose(found[:, :, z], alone[:, :, 0], atol=1e-6)
    assert not np.allclose(found, changed("low_resolution", image, **coarse), atol=1e-3)
