"""The first and the last layers of a network, found in its graph."""

import keras
import pytest
from keras import layers

from brats_unet.models import MODELS
from brats_unet.models.ends import head_layers, input_layers
from brats_unet.models.resenc import resenc_unet
from brats_unet.models.unet import unet2d, unet3d

SMALL = {"channels": 2, "outputs": 3, "features": [4, 6, 8]}


@pytest.mark.parametrize("name", ["unet2d", "unet3d", "resenc_unet", "nvidia_unet"])
@pytest.mark.parametrize("foreground", [False, True])
def test_the_first_layer_of_a_u_net_reads_the_image_also_with_the_foreground(name, foreground):
    blocks = {"blocks": 1} if name == "resenc_unet" else {}
    model = MODELS[name](**SMALL, **blocks, deep_supervision=1, foreground_channel=foreground)
    assert input_layers(model) == {"lead_in_conv_0" if name == "resenc_unet" else "encoder_0_conv_0"}
    assert head_layers(model) == {"head_0", "head_1"}


def test_all_heads_of_deep_supervision_are_found_also_one_that_upsamples():
    assert head_layers(unet3d(**SMALL, strides=[2, 2, 2])) == {"head_full", "head_0", "head_1"}
    assert head_layers(unet2d(**SMALL, deep_supervision=False)) == {"head_0"}
    assert head_layers(resenc_unet(**SMALL, blocks=1)) == {"head_0", "head_1"}


def test_layers_of_any_name_are_found_through_layers_without_weights():
    image = keras.Input((8, 8, 8, 2))
    first = layers.Conv3D(4, 3, padding="same", name="a")(keras.ops.abs(image))
    side = layers.Conv3D(4, 1, name="b")(layers.AveragePooling3D(1)(image))
    both = layers.Conv3D(4, 1, name="c")(layers.Add()([first, side]))
    logits = layers.Activation("linear")(
        layers.Add()([layers.Conv3D(3, 1, name="d")(both), keras.ops.abs(first[..., :3])])
    )
    model = keras.Model(image, {"full": logits})
    assert input_layers(model) == {"a", "b"}
    assert head_layers(model) == {"a", "d"}


def test_a_layer_that_reads_features_beside_the_image_is_no_first_layer():
    image = keras.Input((8, 8, 8, 2))
    first = layers.Conv3D(4, 1, name="a")(image)
    last = layers.Conv3D(3, 1, name="b")(layers.Concatenate()([first, image]))
    assert input_layers(keras.Model(image, last)) == {"a"}


def test_a_network_without_a_graph_has_no_ends():
    class Subclass(keras.Model):
        def call(self, image):
            return image

    assert input_layers(Subclass()) == head_layers(Subclass()) == frozenset()
