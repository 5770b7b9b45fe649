"""Scans as the page holds them."""

import base64
import gzip
from pathlib import Path

import numpy as np
import pytest

from brats_unet.anatomy import Label
from brats_unet.report.scans import GREYS, Packed, grey_levels, packed, packed_case, packed_mask


def unpacked(text, shape):
    """As template/viewer.js does it."""
    left = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(shape, order="F").astype(int)
    whole = np.zeros(tuple(n + 1 for n in shape), int)
    for x, y, z in np.ndindex(*shape):
        foretold = (whole[x, y + 1, z + 1] + whole[x + 1, y, z + 1] + whole[x + 1, y + 1, z]) // 3
        whole[x + 1, y + 1, z + 1] = (left[x, y, z] + foretold) & 255
    return whole[1:, 1:, 1:].astype(np.uint8)


def unpacked_mask(text, shape):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(shape, order="F")


@pytest.mark.parametrize("highest", [3, 63, 255])
def test_what_is_packed_comes_back(highest):
    volume = np.random.default_rng(0).integers(0, highest + 1, (7, 5, 6)).astype(np.uint8)
    assert (unpacked(packed(volume), volume.shape) == volume).all()


def test_a_mask_that_is_packed_comes_back():
    mask = np.random.default_rng(0).integers(0, 4, (7, 5, 6)).astype(np.uint8)
    assert (unpacked_mask(packed_mask(mask), mask.shape) == mask).all()


def test_the_background_is_0_the_darkest_of_the_head_1_and_the_brightest_the_last_grey():
    image = np.full((12, 12, 12), -5.0, np.float32)
    image[2:10, 2:10, 2:10] = np.linspace(0, 1000, 8)[:, None, None]
    levels = grey_levels(image)
    assert levels[0, 0, 0] == 0
    assert levels[2, 5, 5] == 1
    assert levels[9, 5, 5] == GREYS - 1
    assert (np.diff(levels[2:10, 5, 5].astype(int)) >= 0).all()


def test_a_case_is_cropped_to_its_head_and_begins_in_its_tumour(evaluated_run):
    from brats_unet.evaluation.record import open_evaluation, pairs_of
    from brats_unet.evaluation.score import read_labels

    pair = next(iter(pairs_of(open_evaluation(evaluated_run.folder)).values()))
    found = packed_case(pair)
    assert isinstance(found, Packed)
    assert list(found.scans) == ["flair", "t1", "t1ce", "t2"]
    depth = unpacked_mask(found.masks["reference"], found.shape)
    labels = read_labels(pair)[0].array
    assert [np.count_nonzero(depth >= n) for n in (1, 2, 3)] == [
        np.count_nonzero(labels),
        np.count_nonzero((labels == Label.NECROTIC) | (labels == Label.ENHANCING)),
        np.count_nonzero(labels == Label.ENHANCING),
    ]
    assert all(n < whole for n, whole in zip(found.shape, labels.shape, strict=True))
    assert all(0 <= at < n for at, n in zip(found.centre, found.shape, strict=True))


def test_a_case_whose_scans_are_gone_is_said_and_no_error(evaluated_run):
    from dataclasses import replace

    from brats_unet.evaluation.record import open_evaluation, pairs_of

    pair = next(iter(pairs_of(open_evaluation(evaluated_run.folder)).values()))
    assert "no scan beside its mask" in packed_case(replace(pair, images=None))
    assert "nowhere" in packed_case(replace(pair, reference=Path("nowhere.nii.gz")))
