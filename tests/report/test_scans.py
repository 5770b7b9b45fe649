"""Compression of scans and masks for the HTML report."""

import base64
import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brats_unet.evaluation.mask_paths import pairs_of
from brats_unet.evaluation.record import open_evaluation
from brats_unet.evaluation.score import read_labels
from brats_unet.report.scans import GREYS, Packed, grey_levels, packed, packed_case, packed_mask


def unpacked(text, shape):
    """Inverse of `packed`, written like template/viewer.js."""
    differences = np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(shape, order="F").astype(int)
    whole = np.zeros(tuple(n + 1 for n in shape), int)
    for x, y, z in np.ndindex(*shape):
        predicted = (whole[x, y + 1, z + 1] + whole[x + 1, y, z + 1] + whole[x + 1, y + 1, z]) // 3
        whole[x + 1, y + 1, z + 1] = (differences[x, y, z] + predicted) & 255
    return whole[1:, 1:, 1:].astype(np.uint8)


def unpacked_mask(text, shape):
    return np.frombuffer(gzip.decompress(base64.b64decode(text)), np.uint8).reshape(shape, order="F")


@pytest.mark.parametrize("highest", [3, 63, 255])
def test_unpacking_restores_the_packed_scan(highest):
    volume = np.random.default_rng(0).integers(0, highest + 1, (7, 5, 6)).astype(np.uint8)
    assert (unpacked(packed(volume), volume.shape) == volume).all()


def test_unpacking_restores_the_packed_mask():
    mask = np.random.default_rng(0).integers(0, 4, (7, 5, 6)).astype(np.uint8)
    assert (unpacked_mask(packed_mask(mask), mask.shape) == mask).all()


def test_background_is_grey_0_and_the_head_uses_1_to_the_last_grey():
    image = np.full((12, 12, 12), -5.0, np.float32)
    image[2:10, 2:10, 2:10] = np.linspace(0, 1000, 8)[:, None, None]
    levels = grey_levels(image)
    assert levels[0, 0, 0] == 0
    assert levels[2, 5, 5] == 1
    assert levels[9, 5, 5] == GREYS - 1
    assert (np.diff(levels[2:10, 5, 5].astype(int)) >= 0).all()


def test_a_case_is_cropped_to_the_head_and_centred_on_the_tumour(evaluated_run):
    pair = next(iter(pairs_of(open_evaluation(evaluated_run.folder)).values()))
    found = packed_case(pair)
    assert isinstance(found, Packed)
    assert list(found.scans) == ["flair", "t1", "t1ce", "t2"]
    shown = unpacked_mask(found.masks["reference"], found.shape)
    labels = read_labels(pair)[0].array
    assert [np.count_nonzero(shown == n) for n in (1, 2, 4)] == [np.count_nonzero(labels == n) for n in (1, 2, 4)]
    assert set(np.unique(shown)) == {0, 1, 2, 4}
    assert all(n < whole for n, whole in zip(found.shape, labels.shape, strict=True))
    assert all(0 <= at < n for at, n in zip(found.centre, found.shape, strict=True))


def test_a_case_without_its_files_gives_a_reason_instead_of_an_error(evaluated_run):
    pair = next(iter(pairs_of(open_evaluation(evaluated_run.folder)).values()))
    assert "it has no scan" in packed_case(replace(pair, images=None))
    assert "nowhere" in packed_case(replace(pair, reference=Path("nowhere.nii.gz")))


def test_every_region_of_any_scheme_can_be_shown_from_the_packed_labels(evaluated_as, schemes):
    for name, scheme in schemes.items():
        pair = list(pairs_of(open_evaluation(evaluated_as(name))).values())[1]
        found = packed_case(pair)
        for kind, volume in zip(("reference", "prediction"), read_labels(pair), strict=True):
            shown = unpacked_mask(found.masks[kind], found.shape)
            for region in scheme.scored:
                in_file = np.count_nonzero(np.isin(volume.array, scheme.values(region)))
                assert np.count_nonzero(np.isin(shown, scheme.values(region))) == in_file
