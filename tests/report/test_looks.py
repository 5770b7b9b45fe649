"""How regions look: readable on any ground, and told apart without colour."""

import re

import pytest

from brats_unet.report.looks import DARK_CARD, MARKS, css, css_class, line_style, marker, number, readable
from brats_unet.schemes.scheme_file import COLOURS, scheme_of


def test_a_colour_that_is_readable_stays():
    assert readable("#0072B2", "#ffffff", 4.5) == "#0072B2"
    assert readable("#0072B2", DARK_CARD, 3.0) == "#0072B2"


def test_a_colour_is_darkened_on_white_and_lightened_on_black():
    assert readable("#ffffff", "#ffffff", 4.5) == "#757575"  # WCAG: #767676 is the lightest grey of 4.5
    assert readable("#F0E442", "#ffffff", 3.0) == "#a1960d"
    assert readable("#000000", "#000000", 5.3) == "#808080"  # WCAG: the contrast of #808080 on black is 5.32


def test_a_contrast_that_no_colour_has_on_this_ground_is_refused():
    with pytest.raises(ValueError, match=r"No colour has a contrast of 15 on #808080\. Expected at most 4\.5"):
        readable("#ff0000", "#808080", 15)


@pytest.mark.parametrize("ground", ["#ffffff", DARK_CARD, "#101014"])
def test_the_colours_of_schemes_stay_different_on_every_ground(ground):
    assert len({readable(colour, ground, 3.0) for colour in COLOURS}) == len(COLOURS)


def test_the_eight_regions_of_a_scheme_differ_in_marker(schemes):
    for scheme in schemes.values():
        marks = [line_style(scheme, region)["marker"] for region in scheme.scored]
        assert len(set(marks)) == len(scheme.scored)
        drawn = {re.sub(r"<title>.*", "", marker(scheme, region, 10, 10, region)) for region in scheme.scored}
        assert len(drawn) == len(scheme.scored)


def test_a_ninth_region_starts_the_markers_again():
    letters = "abcdefgh"
    labels = dict(zip(letters, range(1, 9), strict=True))
    regions = {letter: [letter] for letter in letters} | {"all": {"labels": list(letters), "outline": "dashed"}}
    scheme = scheme_of({"labels": labels, "regions": regions, "predicted": list(letters), "scored": [*letters, "all"]})
    assert (number(scheme, "h"), number(scheme, "all")) == (7, 0)


def test_the_style_of_the_page_has_a_rule_for_every_colour_in_both_modes_and_every_marker(schemes):
    rules = css(schemes.values())
    for scheme in schemes.values():
        for region in scheme.regions:
            look, mark = css_class(scheme, region).split()
            assert rules.count(f".{look} {{ --region: #") == 2
            assert rules.count(f".{mark} i {{") == 1
    assert len(re.findall(r"\.mark-\d i", rules)) == len(MARKS)
    assert ".look-0072b2 { --region: #0072b2; --name: #0072b2; }" in rules


def test_a_tooltip_cannot_add_elements_to_the_page(schemes):
    assert "<script>" not in marker(schemes["glioma"], "WT", 1, 1, "<script>")
