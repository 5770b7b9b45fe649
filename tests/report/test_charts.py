"""Charts as SVG."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from brats_unet.report.charts import LEFT, RIGHT, WIDTH, apart, dice_curves, loss_curve, smoothed
from brats_unet.report.distribution_chart import distribution
from brats_unet.report.looks import css_class
from brats_unet.schemes.scheme_file import builtin, scheme_of

GLIOMA = builtin()
POINTS = {"WT": [("case<1>", 0.0), ("b", 0.5), ("c", 1.0)], "TC": [], "ET": [("a", 0.5)] * 4}


def test_every_case_is_a_mark_with_its_name_and_score_as_a_tooltip():
    svg = ET.fromstring(distribution("Dice", POINTS, scheme=GLIOMA))
    titles = [title.text for title in svg.iter("title")]
    assert titles[:2] == ["case<1>: 0.000", "b: 0.500"]
    assert len(titles) == 7


def test_zero_is_on_the_left_one_on_the_right_and_one_half_in_the_middle():
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', distribution("Dice", POINTS, scheme=GLIOMA))]
    assert xs == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]


def test_distances_are_on_a_logarithmic_axis():
    svg = distribution(
        "HD95", {"WT": [("a", 0.0), ("b", math.sqrt(301) - 1), ("c", 300.0)]}, distance="mm", scheme=GLIOMA
    )
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg)]
    assert xs == pytest.approx([LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT], abs=0.1)


def test_equal_scores_do_not_cover_one_another():
    svg = distribution("Dice", {"WT": [(str(i), 0.9) for i in range(5)]}, scheme=GLIOMA)
    assert len(set(re.findall(r'cy="([\d.]+)"', svg))) == 5


def test_each_region_has_its_own_mark_and_a_region_without_cases_has_none():
    svg = distribution("Dice", {"WT": [("a", 0.5)], "TC": [("a", 0.5)], "ET": [("a", 0.5)]}, scheme=GLIOMA)
    marks = re.findall(r'<(\w+) ([^>]*) class="point"', svg)
    assert [shape for shape, _ in marks] == ["circle", "path", "path"]
    assert marks[1][1].count("L") == 3 and marks[2][1].count("L") == 2  # a square and a triangle
    assert 'class="point"' not in distribution("Dice", {"WT": []}, scheme=GLIOMA)


def test_trivial_predictors_have_a_mark_with_their_name():
    svg = distribution("Dice", {"WT": [("a", 0.5)]}, trivial={"WT": [("mean training shape", 0.3)]}, scheme=GLIOMA)
    assert "<title>mean training shape: 0.3</title>" in svg


def test_curves_are_well_formed_and_their_labels_give_the_last_values():
    svg = ET.fromstring(loss_curve({step: 2 / step for step in range(1, 2000)}))
    assert svg.get("aria-label") == "Loss over 1999 steps, from 2.000 to 0.001"
    svg = ET.fromstring(dice_curves({"WT": [(10, 0.5), (20, 0.912)], "ET": []}, scheme=GLIOMA))
    label = "Mean Dice of the held-out cases during training; last validation: WT 0.91"
    assert svg.get("aria-label") == label


def test_the_dice_of_patches_is_a_thin_line_without_marks():
    svg = dice_curves({"WT": [(10, 0.5)]}, {"WT": [(5, 0.25), (10, 0.5), (40, 0.75)], "ET": []}, scheme=GLIOMA)
    (thin,) = re.findall(r'<g class="look-0072b2 mark-0"><path class="thin" d="([^"]+)"/></g>', svg)
    assert len(re.findall("[ML]", thin)) == 3
    assert svg.count('class="point"') == 1 and 'class="thin"' not in dice_curves({"WT": [(10, 0.5)]}, scheme=GLIOMA)


def test_a_constant_loss_and_a_single_validation_can_be_drawn():
    ET.fromstring(loss_curve({1: 0.5, 2: 0.5}))
    ET.fromstring(dice_curves({"WT": [(10, 0.5)]}, scheme=GLIOMA))


def test_smoothing_changes_neither_a_constant_nor_the_middle_of_a_line():
    assert smoothed(np.full(100, 2.0)) == pytest.approx(np.full(100, 2.0))
    line = np.arange(200.0)
    assert smoothed(line)[50:150] == pytest.approx(line[50:150])


def test_every_region_of_any_scheme_has_its_own_strip_mark_and_line(schemes):
    for scheme in schemes.values():
        points = {region: [("a", 0.5), ("b", 0.25)] for region in scheme.scored}
        svg = distribution("Dice", points, scheme=scheme)
        ET.fromstring(svg)
        assert re.findall(r'<g class="([^"]+)">', svg) == [css_class(scheme, region) for region in scheme.scored]
        curves = ET.fromstring(dice_curves({region: [(1, 0.1), (9, 0.6)] for region in scheme.scored}, scheme=scheme))
        looks = {
            (one.get("class"), one[0].get("stroke-dasharray"))
            for one in curves.iter()
            if "mark-" in one.get("class", "")
        }
        assert len(looks) == len(scheme.scored)


def test_a_long_name_is_cut_and_leaves_room_for_the_points():
    scheme = scheme_of(
        {
            "labels": {"a": 1},
            "regions": {"infratentorial": ["a"], "an-even-longer-name": ["a"]},
            "predicted": ["infratentorial"],
            "scored": ["infratentorial", "an-even-longer-name"],
        }
    )
    svg = distribution("Dice", {region: [("a", 0.0)] for region in scheme.scored}, scheme=scheme)
    names = re.findall(r'class="name" x="([\d.]+)" y="[\d.]+" text-anchor="end">([^<]+)<', svg)
    assert [name for _, name in names] == ["infratentorial", "an-even-longe…"]
    assert float(names[0][0]) == 128 and 'cx="138' in svg


def test_labels_that_would_touch_are_moved_apart_and_stay_above_the_last_position():
    assert apart([10, 12, 50], 5, last=100) == [10, 15, 50]
    assert apart([98, 99, 99], 5, last=100) == [90, 95, 100]
    assert apart([], 5, last=100) == []


def test_the_labels_of_eight_lines_near_zero_stay_above_the_axis(schemes):
    scheme = schemes["eight"]
    svg = dice_curves({region: [(10, 0.0)] for region in scheme.scored}, scheme=scheme)
    heights = [float(y) for y in re.findall(r'class="name" x="[\d.]+" y="([\d.]+)"', svg)]
    assert len(heights) == 8 and max(heights) <= 200 and (np.diff(heights) >= 14).all()
