"""The names of run folders, which shells and tables take without quotes."""

import re

import pytest

from brats_unet.assembly.run_names import LONGEST_TAG, short_tag


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("optimizer.rate=0.01", "rate0.01"),
        ("loss=region_dice,optimizer.rate=1e-3", "region_dice-rate1e-3"),
        ("augmentation=none", "augmentationnone"),
        ("model.features=[4,8],steps=20", "features4-8-steps20"),
        ("sampling.overhang=true", "overhangtrue"),
        ("rate0.003", "rate0.003"),
        ("hardware.precision='float32'", "float32"),
        ("sampling.foreground=null", "foregroundnull"),
    ],
)
def test_a_tag_is_short_and_readable(tag, expected):
    assert short_tag(tag) == expected


@pytest.mark.parametrize(
    "tag",
    [
        "data.root=/scans/a",
        "data.root=/scans,a",
        "my tag",
        "a/b",
        "x={a:1}",
        "model.features=" + str([4] * 40),
        "=",
        "[]",
    ],
)
def test_a_tag_of_other_signs_or_a_long_one_ends_in_a_hash_of_all_of_it(tag):
    name = short_tag(tag)
    assert re.fullmatch(r"([\w.+-]+-)?[0-9a-f]{6}", name) and len(name) <= LONGEST_TAG
    assert short_tag(tag + "x") != name


def test_a_tag_with_unprintable_signs_is_a_plain_name():
    assert re.fullmatch(r"[\w.+-]+", short_tag("a=\x1b[31m\n.."))
