"""Augmentations with the values of conf/, and small samples to apply them to."""

from pathlib import Path

import numpy as np
import yaml
from keras import ops

from brats_unet.data.augment import AUGMENTATIONS
from brats_unet.data.augment.augmentation import of_sample, plain_run
from brats_unet.parts import build

CONF = Path(__file__).parents[3] / "conf" / "augmentation"


def settings(name, **changed):
    """The YAML of a group, with `part__option` changed."""
    found = yaml.safe_load((CONF / f"{name}.yaml").read_text())
    for key, value in changed.items():
        part, _, option = key.partition("__")
        if option:
            found[part][option] = value
        else:
            found[part] = value
    return found


def built(name, **changed):
    return build("augmentation", AUGMENTATIONS, settings(name, **changed))


def batch(samples=3):
    """Images float16 (B, 2, 3, 4, 2) whose first channel is their label, uint8 (B, 2, 3, 4)."""
    labels = np.arange(samples * 24, dtype=np.uint8).reshape(samples, 2, 3, 4)
    return np.stack([labels, 2 * labels.astype(np.float16)], axis=-1).astype(np.float16), labels


def brains(samples=3, edge=12, channels=4):
    """Float16 noise within a box, 0 around it, and nested labels."""
    rng = np.random.default_rng(4)
    images = np.zeros((samples, edge, edge + 2, edge + 1, channels), np.float16)
    images[:, 2:-2, 2:-2, 2:-2] = rng.normal(size=images[:, 2:-2, 2:-2, 2:-2].shape)
    labels = np.zeros(images.shape[:-1], np.uint8)
    for reach, label in ((4, 2), (3, 1), (2, 4)):
        middle = tuple(slice(n // 2 - reach, n // 2 + reach) for n in labels.shape[1:])
        labels[(slice(None), *middle)] = label
    return images, labels


def applied(augmentation, uniforms, images, labels):
    """The batch after augmentation, sample by sample, without a graph."""
    parameters = augmentation.draw(ops.convert_to_tensor(uniforms))
    run = plain_run(lambda transform, shape: np.random.default_rng(9).normal(size=shape).astype(np.float32))
    found = [
        augmentation.apply(ops.convert_to_tensor(image), ops.convert_to_tensor(label), of_sample(parameters, i), run)
        for i, (image, label) in enumerate(zip(images, labels, strict=True))
    ]
    return tuple(np.stack([ops.convert_to_numpy(pair[i]) for pair in found]) for i in (0, 1))


def numbers(augmentation, samples=3, seed=0):
    return np.random.default_rng(seed).random((samples, augmentation.uniforms)).astype(np.float32)
