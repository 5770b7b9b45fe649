"""Grad-CAM of networks on a prepared case: which tile, which voxels, which layer. See `keras_gradients`."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from brats_unet.data.prepare.preprocess import Preparation, Prepared
from brats_unet.errors import SettingsError
from brats_unet.geometry import Box, bounding_box, crop, pad_to, uncrop, unpad
from brats_unet.inference.network import Network


class Explained(NamedTuple):
    """Grad-CAM on the prepared grid, or on that of the case.

    Attributes:
        heat: float32 (X, Y, Z), from 0 to 1, its largest value, that of each slice for a network of slices; all 0 if no
            feature raises the region.
        probability: Probability of the region, float32 (X, Y, Z). If it is below 0.5 everywhere, `heat` is about the
            slice or tile in which it is highest.
        layer: Name of the layer.
    """

    heat: np.ndarray
    probability: np.ndarray
    layer: str


def explain_case(
    networks: Sequence[Network], prepared: Mapping[Preparation, Prepared], region: str, layer: str | None
) -> Explained:
    """The mean of `grad_cam` over networks, on the grid of the case.

    Args:
        networks: At least one network with gradients.
        prepared: The case by preparation, as `predicting.prepared_for` gives it.
        region: One of the regions that the networks predict.
        layer: Name of a layer; None is the last one of the encoder of each network.

    Raises:
        SettingsError: What `grad_cam` raises.
    """
    heats, probabilities, layers = [], [], []
    for network in networks:
        one = prepared[network.preparation]
        found = grad_cam(network, one.image, region, layer)
        heats.append(one.grid.to_case(found.heat))
        probabilities.append(one.grid.to_case(found.probability))
        layers.append(found.layer)
    return Explained(np.mean(heats, axis=0), np.mean(probabilities, axis=0), ", ".join(dict.fromkeys(layers)))


def grad_cam(network: Network, image: np.ndarray, region: str, layer: str | None) -> Explained:
    """Which parts of a prepared image make a network predict a region.

    A network of patches is asked about one tile of its own size, around the middle of the region, because that is what
    it was trained on; a network of slices about each slice that holds the region.

    Args:
        network: Network with gradients.
        image: Prepared scans, shape (X, Y, Z, M).
        region: One of the regions that the network predicts.
        layer: Name of a layer; None is the last one of the encoder.

    Raises:
        SettingsError: The network has no gradients, no such region or no such layer.
    """
    gradients = network.gradients
    if gradients is None:
        raise SettingsError("An exported network has no gradients. Give its run folder, or its .keras file.")
    if region not in network.scheme.predicted:
        raise SettingsError(f"region={region}: expected one of {', '.join(network.scheme.predicted)}.")
    name = gradients.layer(layer)
    probability = network.on_prepared_grid(image)[..., network.scheme.predicted.index(region)]
    mask = probability >= 0.5
    if mask.any():
        middle = bounding_box(mask)
        centre = tuple((start + stop) // 2 for start, stop in zip(middle.start, middle.stop, strict=True))
    else:
        centre = tuple(int(at) for at in np.unravel_index(probability.argmax(), mask.shape))
        mask = np.zeros_like(mask)
        mask[:, :, centre[2] if gradients.slices else slice(None)] = True
    stride = tuple(network.recipe["stride"])
    if gradients.slices:
        box = Box((0, 0, 0), mask.shape)
    else:
        tile = network.recipe["inference"]["tile"]
        box = _around(centre, [min(t, n) for t, n in zip(tile, mask.shape, strict=True)], mask.shape)
    part, marked = crop(image, box), crop(mask, box)
    padding = pad_to(marked.shape, stride)
    heat = gradients.heat(np.pad(part, (*padding, (0, 0))), np.pad(marked, padding), region, name)
    heat = uncrop(unpad(heat, padding), box, mask.shape)
    largest = heat.max((0, 1) if gradients.slices else None)
    return Explained(heat / np.maximum(largest, np.finfo(np.float32).tiny), probability, name)


def _around(centre: tuple[int, ...], lengths: list[int], shape: tuple[int, ...]) -> Box:
    """A box of these lengths around a voxel, shifted into an array of this shape."""
    starts = [min(max(0, c - n // 2), whole - n) for c, n, whole in zip(centre, lengths, shape, strict=True)]
    return Box(tuple(starts), tuple(start + n for start, n in zip(starts, lengths, strict=True)))
