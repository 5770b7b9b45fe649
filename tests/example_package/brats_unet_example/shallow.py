"""A network with one level: a strided convolution down, a transposed convolution up."""

import zlib
from typing import Annotated

from brats_unet.binding import Range
from brats_unet.models.network_shape import NetworkShape, with_shape
from brats_unet.parts import contract_options

Count = Annotated[int, Range(1)]


@contract_options({"features": 4}, {"features": 6, "kernel": 1})
@with_shape(lambda *, features, kernel: NetworkShape(rank=3, strides=((1, 1, 1), (2, 2, 2)), heads=1))
def shallow(*, channels, outputs, dtype="float32", seed=0, features: Count = 16, kernel: Count = 3):
    """Images (B, X, Y, Z, channels) to a list of float32 logits (B, X, Y, Z, outputs), full resolution first."""
    from keras import Input, Model, initializers, layers  # here, so that help and typos are answered without Keras

    def named(name):  # checkpoints are keyed by layer names; the seed of a layer depends on its name
        initial = initializers.HeNormal(seed=zlib.crc32(f"{seed}/{name}".encode()))
        return {"kernel_initializer": initial, "name": name, "dtype": dtype}

    image = Input((None, None, None, channels), name="image")
    x = layers.Conv3D(features, kernel, strides=2, padding="same", activation="relu", **named("down"))(image)
    x = layers.Conv3DTranspose(outputs, 2, strides=2, **named("up"))(x)
    return Model(image, [layers.Activation("linear", name="logits", dtype="float32")(x)], name="shallow")
