"""Mirroring: every set of axes once, mirrored back exactly, with an equivariant mean for any predictor."""

import numpy as np
import pytest

from brats_unet.errors import SettingsError
from brats_unet.inference.tta import axes_of, flips, mirrored

IMAGE = np.random.default_rng(0).random((5, 6, 7, 2), np.float32)


def position_dependent(image):
    """A predictor that depends on the position of a voxel."""
    x, y, z = np.indices(image.shape[:3])
    return image * (1 + 0.1 * x - 0.05 * y + 0.02 * z**2)[..., None]


@pytest.mark.parametrize(
    ("setting", "axes"), [("none", ()), ("all", (0, 1, 2)), ("y", (1,)), (["z", "x"], (0, 2)), (["x"], (0,))]
)
def test_settings_name_axes(setting, axes):
    assert axes_of(setting) == axes
    assert len(flips(axes)) == 2 ** len(axes) and flips(axes)[0] == ()


@pytest.mark.parametrize("setting", ["w", [], ["x", "x"], ["x", 1], 3, None, ["all"], [["x"]], {"x": 1}])
def test_other_settings_are_refused(setting):
    with pytest.raises(SettingsError, match="none of the choices: none, all, or a list of axes"):
        axes_of(setting)


def test_a_voxelwise_predictor_gives_the_same_in_every_mirroring():
    for found in mirrored(lambda image: image**2, IMAGE, (0, 1, 2)):
        np.testing.assert_array_equal(found, IMAGE**2)


@pytest.mark.parametrize("flip", flips((0, 1, 2)))
def test_the_mean_of_a_mirrored_volume_is_the_mirrored_mean(flip):
    mean = np.mean(list(mirrored(position_dependent, IMAGE, (0, 1, 2))), axis=0)
    of_mirrored = np.mean(list(mirrored(position_dependent, np.flip(IMAGE, flip), (0, 1, 2))), axis=0)
    np.testing.assert_allclose(of_mirrored, np.flip(mean, flip), rtol=1e-5)


def test_one_axis_gives_two_predictions():
    seen = []
    list(mirrored(lambda image: seen.append(image.copy()) or image, IMAGE, (0,)))
    np.testing.assert_array_equal(seen[1], IMAGE[::-1])
    assert len(seen) == 2
