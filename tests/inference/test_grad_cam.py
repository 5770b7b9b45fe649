"""Grad-CAM equals the formula by hand, in 2D and 3D, for both kinds of outputs."""

import keras
import numpy as np
import pytest

from brats_unet import load
from brats_unet.errors import SettingsError
from brats_unet.inference.grad_cam import grad_cam
from brats_unet.inference.keras_gradients import KerasGradients
from brats_unet.inference.network import Network
from brats_unet.schemes.scheme_file import builtin

SCHEME = builtin()


def network(rank, outputs, weights, *, features=2):
    """Features by a 1-voxel convolution named encoder_0 without bias, logits by another: everything is linear."""
    channels = 1
    image = keras.Input((None,) * rank + (channels,))
    convolution = keras.layers.Conv2D if rank == 2 else keras.layers.Conv3D
    x = convolution(features, 1, use_bias=False, name="encoder_0")(image)
    logits = convolution(3 if outputs == "regions" else 4, 1, use_bias=False, name="logits")(x)
    model = keras.Model(image, logits)
    for layer, values in zip(("encoder_0", "logits"), weights, strict=True):
        kernel = model.get_layer(layer).kernel
        model.get_layer(layer).set_weights([np.reshape(values, kernel.shape)])
    return model


def image_and_mask():
    image = np.zeros((4, 4, 2, 1), np.float32)
    image[1, 2, 0], image[3, 3, 1] = 2, 5
    mask = np.zeros((4, 4, 2), bool)
    mask[1, 2, 0] = mask[0, 0, 0] = True
    return image, mask


def test_of_a_3d_network_it_is_the_features_weighted_by_their_mean_slope():
    """Logit of ET = 3 a - b with a = x and b = -x. Slopes in 2 of 32 voxels: 3 and -1, mean 6/32 and -2/32.

    Heat = (6/32) x + (2/32) x = x / 4.
    """
    model = network(3, "regions", ([1, -1], [[0, 0, 3], [0, 0, -1]]))
    image, mask = image_and_mask()
    heat = KerasGradients(model, "regions", SCHEME).heat(image, mask, "ET", "encoder_0")
    np.testing.assert_allclose(heat, image[..., 0] / 4, rtol=1e-6)


def test_of_a_2d_network_each_slice_has_its_own_slopes():
    """The mask lies in slice 0 alone: there the mean slope is that of 2 of 16 pixels; the other slice is not asked."""
    model = network(2, "regions", ([1, -1], [[0, 0, 3], [0, 0, -1]]))
    image, mask = image_and_mask()
    heat = KerasGradients(model, "regions", SCHEME).heat(image, mask, "ET", "encoder_0")
    expected = np.zeros((4, 4, 2))
    expected[..., 0] = image[..., 0, 0] / 2
    np.testing.assert_allclose(heat, expected, rtol=1e-6)


def test_what_lowers_a_region_is_zero():
    model = network(3, "regions", ([1, 0], [[0, 0, -3], [0, 0, 0]]))
    image, mask = image_and_mask()
    assert not KerasGradients(model, "regions", SCHEME).heat(image, mask, "ET", "encoder_0").any()


def test_of_classes_it_is_the_log_odds_of_the_region():
    """WT of a softmax: log of the classes 1, 2, 4 against the background; by the formula, slope by slope."""
    rng = np.random.default_rng(0)
    into, out = rng.normal(size=(1, 2)), rng.normal(size=(2, 4))
    model = network(3, "labels", (into, out))
    image, mask = image_and_mask()
    heat = KerasGradients(model, "labels", SCHEME).heat(image, mask, "WT", "encoder_0")

    features = image @ into  # (X, Y, Z, 2)

    def score(features):
        logits = features[mask] @ out
        return (np.log(np.exp(logits[:, 1:]).sum(1)) - logits[:, 0]).sum()

    weights = np.zeros(2)
    for index in range(2):
        for voxel in np.argwhere(mask):
            step = np.zeros_like(features)
            step[(*voxel, index)] = 1e-5
            weights[index] += (score(features + step) - score(features - step)) / 2e-5 / mask.size
    np.testing.assert_allclose(heat, np.maximum(features @ weights, 0), rtol=1e-4, atol=1e-6)


def test_coarse_features_are_enlarged_to_the_image():
    image_in = keras.Input((None, None, None, 1))
    pooled = keras.layers.AveragePooling3D(2, name="encoder_0")(image_in)
    logits = keras.layers.Conv3D(3, 1, kernel_initializer="ones")(keras.layers.UpSampling3D(2)(pooled))
    image, mask = np.ones((4, 4, 2, 1), np.float32), np.ones((4, 4, 2), bool)
    heat = KerasGradients(keras.Model(image_in, logits), "regions", SCHEME).heat(image, mask, "WT", "encoder_0")
    np.testing.assert_allclose(heat, np.full((4, 4, 2), 8.0), rtol=1e-6)  # each feature feeds 8 logits


class Marked:
    """Gradients that answer with the mask that they are given, and remember the shapes."""

    slices = False

    def layer(self, name):
        return name or "deepest"

    def heat(self, image, mask, region, layer):
        self.shape, self.voxels = image.shape, int(mask.sum())
        return mask.astype(np.float32) * 3


def opened(probability, gradients, tile=(4, 4, 4)):
    """A network whose probability of TC is given, of the others 0."""
    answer = np.zeros((*probability.shape, 3), np.float32)
    answer[..., 1] = probability
    recipe = {"inference": {"mode": "whole", "tile": tile}, "stride": [2, 2, 2], "scheme": SCHEME.as_dict()}
    return Network(lambda patches: answer[None], recipe, (1, 1, 1), gradients=gradients)


def test_a_network_of_patches_is_asked_about_one_tile_around_the_region():
    probability, gradients = np.zeros((12, 12, 3)), Marked()
    probability[8:12, 0, 1] = 1
    found = grad_cam(opened(probability, gradients), np.zeros((12, 12, 3, 1)), "TC", None)
    assert gradients.shape == (4, 4, 4, 1) and gradients.voxels == 4  # 3 slices are padded to the stride
    np.testing.assert_array_equal(found.heat, probability)
    np.testing.assert_array_equal(found.probability, probability)
    assert found.layer == "deepest"


def test_an_absent_region_is_explained_where_it_comes_closest():
    probability, gradients = np.zeros((12, 12, 3)), Marked()
    probability[0, 11, 2] = 0.4
    found = grad_cam(opened(probability, gradients), np.zeros((12, 12, 3, 1)), "TC", "some")
    assert gradients.voxels == 4 * 4 * 3
    assert found.heat[:4, 8:].all() and not found.heat[4:].any() and found.heat.max() == 1


def test_the_largest_value_is_1_in_the_tile_or_in_each_slice():
    class Rising(Marked):
        def heat(self, image, mask, region, layer):
            return np.broadcast_to(np.arange(1, 5, dtype=np.float32), mask.shape) * mask

    probability, gradients = np.ones((4, 4, 4)), Rising()
    heat = grad_cam(opened(probability, gradients), np.zeros((4, 4, 4, 1)), "TC", None).heat
    np.testing.assert_allclose(heat[0, 0], [0.25, 0.5, 0.75, 1])
    gradients.slices = True
    heat = grad_cam(opened(probability, gradients), np.zeros((4, 4, 4, 1)), "TC", None).heat
    np.testing.assert_allclose(heat[0, 0], 1)


def test_what_cannot_be_explained_is_said():
    image = np.zeros((4, 4, 2, 1), np.float32)
    with pytest.raises(SettingsError, match=r"An exported network has no gradients\. Give its run folder"):
        grad_cam(opened(np.zeros((4, 4, 2)), None), image, "TC", None)
    with pytest.raises(SettingsError, match=r"region=XX: expected one of WT, TC, ET\."):
        grad_cam(opened(np.zeros((4, 4, 2)), Marked()), image, "XX", None)
    gradients = KerasGradients(network(3, "regions", ([1, -1], np.zeros(6))), "regions", SCHEME)
    with pytest.raises(
        SettingsError, match=r"layer=encoder_1: the network has no such layer .* Did you mean encoder_0"
    ):
        gradients.layer("encoder_1")
    assert gradients.layer(None) == "encoder_0"


def test_a_network_of_this_project_names_its_deepest_layer(small_run):
    (found,) = load(small_run.folder).networks
    assert found.gradients.layer(None) == "encoder_1_act_1"
