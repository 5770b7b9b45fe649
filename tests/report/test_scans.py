"""Compression of scans and masks for the HTML report."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brats_unet.evaluation.mask_paths import pairs_of
from brats_unet.evaluation.record import open_evaluation
from brats_unet.evaluation.score import read_labels
from brats_unet.geometry import Box
from brats_unet.report.scans import Packed, base85, fitted, grey_levels, packed, packed_case, packed_mask


def decoded(text):
    """Inverse of `base85`, written like template/viewer.js."""
    digits = [ord(letter.replace("}", "<")) - 40 for letter in text] + [84] * (-len(text) % 5)
    groups = [
        sum(digit * 85 ** (4 - at) for at, digit in enumerate(digits[i : i + 5])) for i in range(0, len(digits), 5)
    ]
    return b"".join(group.to_bytes(4, "big") for group in groups)[: len(text) * 4 // 5]


def unpacked(text, shape, greys):
    """Inverse of `packed`, written like template/viewer.js."""
    stored = gzip.decompress(decoded(text))
    sizes = np.frombuffer(stored[:12], "<u4")
    following = [iter(stored[12 + sizes[:n].sum() : 12 + sizes[: n + 1].sum()]) for n in range(3)]
    whole = np.zeros(tuple(n + 1 for n in shape), int)
    for z, y, x in np.ndindex(*shape[::-1]):
        a, b, c = whole[x, y + 1, z + 1], whole[x + 1, y, z + 1], whole[x + 1, y + 1, z]
        between = whole[x, y, z + 1] + whole[x, y + 1, z] + whole[x + 1, y, z]
        predicted = min(greys - 1, max(0, (4 * (a + b + c) - between) // 9))
        spread = abs(a - predicted) + abs(b - predicted) + abs(c - predicted)
        group = 0 if spread == 0 else 1 if spread <= greys // 12 else 2
        whole[x + 1, y + 1, z + 1] = (predicted + next(following[group])) & 255
    return whole[1:, 1:, 1:].astype(np.uint8)


def unpacked_mask(text, shape):
    return np.frombuffer(gzip.decompress(decoded(text)), np.uint8).reshape(shape, order="F")


@pytest.mark.parametrize("greys", [4, 64, 256])
def test_unpacking_restores_the_packed_scan(greys):
    volume = np.random.default_rng(0).integers(0, greys, (7, 5, 6)).astype(np.uint8)
    volume[:3] = greys - 1
    assert (unpacked(packed(volume, greys), volume.shape, greys) == volume).all()


def test_unpacking_restores_the_packed_mask():
    mask = np.random.default_rng(0).integers(0, 4, (7, 5, 6)).astype(np.uint8)
    assert (unpacked_mask(packed_mask(mask), mask.shape) == mask).all()


def test_text_holds_bytes_of_any_length_in_five_characters_for_four_and_cannot_end_an_element():
    data = bytes(range(256)) * 9
    for length in (0, 1, 2, 3, 4, 5, 2304):
        text = base85(data[:length])
        assert decoded(text) == data[:length] and "<" not in text
        assert len(text) == -(-length * 5 // 4)


def test_a_scan_keeps_256_greys_if_they_fit_and_a_noisy_one_loses_some():
    noise = np.random.default_rng(0).normal(500, 90, (40, 40, 20)).astype(np.float32)
    noise[0] = noise[:, 0] = 0
    box = Box((0, 0, 0), noise.shape)
    texts, greys = fitted({"flair": noise}, box, 10**6)
    assert greys == 256
    fewer, less = fitted({"flair": noise}, box, len(texts["flair"]) * 3 // 4)
    assert 12 < less < 100
    assert 0.65 < len(fewer["flair"]) / len(texts["flair"]) <= 0.75
    assert unpacked(fewer["flair"], noise.shape, less).max() == less - 1
    assert fitted({"flair": noise}, box, 1)[1] == 12


def test_background_is_grey_0_and_the_head_uses_1_to_the_last_grey():
    image = np.full((12, 12, 12), -5.0, np.float32)
    image[2:10, 2:10, 2:10] = np.linspace(0, 1000, 8)[:, None, None]
    levels = grey_levels(image, 64)
    assert levels[0, 0, 0] == 0
    assert levels[2, 5, 5] == 1
    assert levels[9, 5, 5] == 63
    assert (np.diff(levels[2:10, 5, 5].astype(int)) >= 0).all()


def test_a_case_is_cropped_to_the_head_with_its_labels(evaluated_run):
    pair = next(iter(pairs_of(open_evaluation(evaluated_run.folder)).values()))
    found = packed_case(pair)
    assert isinstance(found, Packed)
    assert list(found.scans) == ["flair", "t1", "t1ce", "t2"]
    shown = unpacked_mask(found.masks["reference"], found.shape)
    labels = read_labels(pair)[0].array
    assert [np.count_nonzero(shown == n) for n in (1, 2, 4)] == [np.count_nonzero(labels == n) for n in (1, 2, 4)]
    assert set(np.unique(shown)) == {0, 1, 2, 4}
    assert all(n < whole for n, whole in zip(found.shape, labels.shape, strict=True))


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
