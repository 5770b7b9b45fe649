"""Prepared cases of noise, as large as BraTS cases, to time the data pipeline without data."""

from pathlib import Path

import numpy as np

from brats_unet.data.prepare.cache import PreparedCase, open_prepared, write
from brats_unet.data.prepare.grid import Grid
from brats_unet.data.prepare.prepared_labels import foreground_positions
from brats_unet.data.prepare.preprocess import Preparation, Prepared
from brats_unet.geometry import Box
from brats_unet.schemes.scheme import Scheme
from brats_unet.volume import Turn

BRAIN_MM = (144, 176, 144)  # size of a BraTS volume cropped to the brain
SHARES = (6, 9, 14, 20, 27, 35, 44, 54)  # a box reaches this share of the volume to each side of its middle
WHOLE_MM = (240, 240, 155)  # size of an uncropped BraTS volume


def case_shape(preparation: Preparation) -> tuple[int, int, int]:
    """Voxels of a typical BraTS case on the prepared grid, along x, y, z; at 1 mm if that grid is the case's own."""
    size = WHOLE_MM if preparation.crop == "none" else BRAIN_MM
    spacing_mm = preparation.spacing_mm or (1.0, 1.0, 1.0)
    x, y, z = (max(8, round(mm / s)) for mm, s in zip(size, spacing_mm, strict=True))
    return x, y, z


def noise_case(folder: Path, index: int, preparation: Preparation, scheme: Scheme) -> PreparedCase:
    """Write and open a prepared case of noise, with a tumour of nested boxes, one for each predicted region."""
    shape = case_shape(preparation)
    draw = np.random.default_rng(index)
    labels = np.zeros(shape, np.uint8)
    for region, share in zip(scheme.predicted, SHARES, strict=False):
        x, y, z = (slice(n // 2 - max(1, n // share), n // 2 + max(1, n // share)) for n in shape)
        labels[x, y, z] = scheme.own_label(region)
    image = draw.standard_normal((*shape, len(preparation.modalities)), np.float32).astype(np.float16)
    affine = ((-1.0, 0.0, 0.0, 0.0), (0.0, -1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    grid = Grid(shape, affine, Turn((0, 1, 2), (False, False, False)), Box((0, 0, 0), shape), (1.0, 1.0, 1.0))
    name = f"noise_{index}"
    prepared = Prepared(image, np.ones(shape, bool), labels, foreground_positions(labels, name, scheme), grid)
    write(prepared, name, preparation, folder / name)
    return open_prepared(name, folder / name)
