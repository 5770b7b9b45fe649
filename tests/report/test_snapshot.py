"""The small picture of a case during a training."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from brats_unet.report.snapshot import case_snapshot
from brats_unet.schemes.scheme_file import builtin


def case(shape=(60, 70, 50)):
    """A ball of noise, as smooth as that of a scan, as the head, and labels in it."""
    at = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    far = np.sqrt((at**2).sum(axis=0))
    noise = gaussian_filter(np.random.default_rng(0).standard_normal(shape), 1.5)
    image = np.where(far < 0.95, 100 + 100 * noise, 0).astype(np.float32)
    labels = np.select([far < 0.2, far < 0.3, far < 0.5], [4, 1, 2], 0).astype(np.uint8)
    return image, labels


def pixels(png):
    with Image.open(BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB"), int)


def halves(image, reference, prediction, **options):
    """Coloured pixels in the row of the reference and in that of the prediction, without title and legend."""
    found = pixels(case_snapshot(image, reference, prediction, "step 1", scheme=builtin(), **options))[40:-30]
    coloured = np.ptp(found, axis=2) > 40
    middle = len(coloured) // 2
    return coloured[:middle].sum(), coloured[middle:].sum()


def test_reference_and_prediction_are_outlined_in_a_row_each():
    image, labels = case()
    none = np.zeros_like(labels)
    assert min(halves(image, labels, labels)) > 200
    drawn, empty = halves(image, labels, none)
    assert drawn > 200 and empty == 0
    empty, drawn = halves(image, none, labels)
    assert drawn > 200 and empty == 0
    assert halves(image, none, none) == (0, 0)


@pytest.mark.parametrize("shape", [(240, 240, 155), (10, 12, 8), (64, 64, 1), (32, 40, 3)])
def test_it_is_a_png_of_800_pixels_and_at_most_100_kb_for_any_shape(shape):
    image, labels = case(shape)
    png = case_snapshot(image, labels, labels, "step 1", scheme=builtin(), spacing_known=shape[2] > 3)
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and len(png) <= 100_000
    assert pixels(png).shape[1] == 800


def test_other_schemes_are_drawn_in_their_regions():
    image, labels = case()
    scheme = builtin("metastasis_post")
    png = case_snapshot(image, labels % 3, labels % 3, "step 1", scheme=scheme)
    assert pixels(png).shape[1] == 800


def test_a_scan_of_noise_is_drawn_in_fewer_colours_and_takes_no_more():
    image, labels = case((240, 240, 155))
    noise = np.random.default_rng(0).standard_normal(image.shape)
    sharp = np.where(image > 0, 100 + 30 * noise, 0).astype(np.float32)
    png = case_snapshot(sharp, labels, labels, "step 1", scheme=builtin())
    with Image.open(BytesIO(png)) as picture:
        assert len(picture.getcolors()) <= 16 and len(png) <= 100_000
