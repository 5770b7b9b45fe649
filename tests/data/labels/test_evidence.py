"""The meaning of label names in dataset.json."""

import pytest

from brats_unet.data.labels.evidence import declared_meaning
from brats_unet.schemes.scheme_file import builtin
from tests.glioma import Label

B, N, OE, C, E = Label


@pytest.mark.parametrize(
    ("declared", "meaning"),
    [
        ({"background": 0, "edema": 1, "non-enhancing tumor": 2, "enhancing tumour": 3}, {0: B, 1: OE, 2: N, 3: E}),
        ({"background": 0, "NCR": 1, "ED": 2, "ET": 3}, {0: B, 1: N, 2: OE, 3: E}),
        ({"background": 0, "NCR/NET": 1, "peritumoral oedema": 2, "GD-ET": 4}, {0: B, 1: N, 2: OE, 4: E}),
        (
            {"background": 0, "necrotic core": 1, "SNFH": 2, "enhancing": 3, "resection cavity": 4},
            {0: B, 1: N, 2: OE, 3: E, 4: C},
        ),
        (
            {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]},
            {0: B, 1: OE, 2: N, 3: E},
        ),
        ({"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": 3, "RC": 4}, {0: B, 1: N, 2: OE, 3: E, 4: C}),
    ],
)
def test_label_and_region_names_give_the_meaning_of_each_integer(declared: dict, meaning: dict) -> None:
    assert declared_meaning(declared, builtin()) == meaning


@pytest.mark.parametrize(
    "declared", [None, {}, {"background": 0}, {"background": 0, "tumour": 1}, {"background": 0, "x": [1, 2]}]
)
def test_names_that_are_not_understood_give_none(declared: dict | None) -> None:
    assert declared_meaning(declared, builtin()) is None
