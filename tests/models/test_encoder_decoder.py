import keras
import numpy as np

from brats_unet.models.unet import unet3d


def arrays(logits):
    return [keras.ops.convert_to_numpy(head) for head in logits]


def test_batch_normalisation_follows_the_batch_in_training_and_its_moving_statistics_otherwise():
    model = unet3d(channels=4, outputs=3, features=[4, 6, 8], convolutions=1, norm="batch")
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 8, 4)).astype("float32")
    norm = model.get_layer("encoder_0_norm_0")
    features = keras.Model(model.input, [model.get_layer("encoder_0_conv_0").output, norm.output])
    before, after = arrays(features(image, training=True))
    axes = (0, 1, 2, 3)
    np.testing.assert_allclose(after.mean(axis=axes), 0, atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.1 * before.mean(axis=axes), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.numpy(), 0.9 + 0.1 * before.var(axis=axes), rtol=1e-4)
    plain = arrays(features(image))[1]
    moving = (before - norm.moving_mean.numpy()) / np.sqrt(norm.moving_variance.numpy() + 1e-5)
    np.testing.assert_allclose(plain, moving, rtol=1e-3, atol=1e-4)
