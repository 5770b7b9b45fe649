"""Charts as SVG."""

import math
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from brats_unet.report.charts import LEFT, RIGHT, WIDTH, dice_curves, distribution, loss_curve, smoothed

POINTS = {"WT": [("case<1>", 0.0), ("b", 0.5), ("c", 1.0)], "TC": [], "ET": [("a", 0.5)] * 4}


def test_every_case_is_a_mark_with_its_name_and_score_as_a_tooltip():
    svg = ET.fromstring(distribution("Dice", POINTS))
    titles = [title.text for title in svg.iter("title")]
    assert titles[:2] == ["case<1>: 0.000", "b: 0.500"]
    assert len(titles) == 7


def test_zero_is_on_the_left_one_on_the_right_and_one_half_in_the_middle():
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', distribution("Dice", POINTS))]
    assert xs == [LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT]


def test_distances_are_on_a_logarithmic_axis():
    svg = distribution("HD95", {"WT": [("a", 0.0), ("b", math.sqrt(301) - 1), ("c", 300.0)]}, distance=True)
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', svg)]
    assert xs == pytest.approx([LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT], abs=0.1)


def test_equal_scores_do_not_cover_one_another():
    svg = distribution("Dice", {"WT": [(str(i), 0.9) for i in range(5)]})
    assert len(set(re.findall(r'cy="([\d.]+)"', svg))) == 5


def test_each_region_has_its_own_mark_and_a_region_without_cases_has_none():
    svg = distribution("Dice", {"WT": [("a", 0.5)], "TC": [("a", 0.5)], "ET": [("a", 0.5)]})
    assert {"circle", "rect", "path"} <= set(re.findall(r"<(\w+)[^>]* class=\"point\"", svg))
    assert 'class="point"' not in distribution("Dice", {"WT": []})


def test_trivial_predictors_have_a_mark_with_their_name():
    svg = distribution("Dice", {"WT": [("a", 0.5)]}, trivial={"WT": [("mean training shape", 0.3)]})
    assert "<title>mean training shape: 0.3</title>" in svg


def test_curves_are_well_formed_and_their_labels_give_the_last_values():
    svg = ET.fromstring(loss_curve({step: 2 / step for step in range(1, 2000)}))
    assert svg.get("aria-label") == "Loss over 1999 steps, from 2.000 to 0.001"
    svg = ET.fromstring(dice_curves({"WT": [(10, 0.5), (20, 0.912)], "ET": []}))
    label = "Mean Dice of the held-out cases during training; last validation: WT 0.91"
    assert svg.get("aria-label") == label


def test_the_dice_of_patches_is_a_thin_line_without_marks():
    svg = dice_curves({"WT": [(10, 0.5)]}, {"WT": [(5, 0.25), (10, 0.5), (40, 0.75)], "ET": []})
    (thin,) = re.findall(r'<g class="WT"><path class="thin" d="([^"]+)"/></g>', svg)
    assert len(re.findall("[ML]", thin)) == 3
    assert svg.count('class="point"') == 1 and 'class="thin"' not in dice_curves({"WT": [(10, 0.5)]})


def test_a_constant_loss_and_a_single_validation_can_be_drawn():
    ET.fromstring(loss_curve({1: 0.5, 2: 0.5}))
    ET.fromstring(dice_curves({"WT": [(10, 0.5)]}))


def test_smoothing_changes_neither_a_constant_nor_the_middle_of_a_line():
    assert smoothed(np.full(100, 2.0)) == pytest.approx(np.full(100, 2.0))
    line = np.arange(200.0)
    assert smoothed(line)[50:150] == pytest.approx(line[50:150])
