"""The protocols: what each says of every way in which masks can be empty, and that its names are known."""

import math

import pytest

from brats_unet.errors import SettingsError
from brats_unet.metrics import METRICS
from brats_unet.metrics.protocols import PROTOCOLS, protocol_named, require_tolerances, surface_dice_name
from brats_unet.metrics.surface import HD95_DEFINITIONS

NAN = math.nan


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_protocol_is_known_by_its_own_name_and_asks_for_what_there_is(name):
    protocol = protocol_named(name)
    assert protocol.name == name
    assert protocol.hd95_definition in HD95_DEFINITIONS
    assert set(protocol.metrics) - {"nsd"} <= set(METRICS)
    assert {"dice", "hd95", "volume_reference", "volume_prediction"} <= set(protocol.metrics)  # the tables show them
    assert (protocol.lesions is not None) == ("lesion_dice" in protocol.metrics)
    assert protocol.seed_scores == (name == "seed")


@pytest.mark.parametrize(
    ("name", "rule", "both", "reference", "prediction"),
    [
        ("brats2020", "dice", 1, 0, 0),
        ("brats2020", "hd95_mm", 0, 373.12866, 373.12866),
        ("brats2020", "sensitivity", 1, 0, 0),
        ("brats2023", "dice", 1, 0, 0),
        ("brats2023", "hd95_mm", 0, 374, 374),
        ("brats2023", "sensitivity", 1, 0, 0),
        ("nnunet", "dice", NAN, 0, 0),
        ("nnunet", "iou", NAN, 0, 0),
        ("nnunet", "hd95_mm", NAN, NAN, NAN),
        ("nnunet", "sensitivity", NAN, NAN, 0),
        ("nnunet", "precision", NAN, 0, NAN),
        ("seed", "dice", 0, 0, 0),
        ("seed", "precision", 0, 0, 0),
    ],
)
def test_a_protocol_rules_as_its_scorer_does(name, rule, both, reference, prediction):
    found = getattr(PROTOCOLS[name], rule)
    assert (found.both, found.reference, found.prediction) == pytest.approx((both, reference, prediction), nan_ok=True)


def test_a_misspelt_protocol_is_answered_with_the_right_one():
    with pytest.raises(SettingsError, match=r"no protocol named nnunet2\. Did you mean nnunet\?"):
        protocol_named("nnunet2")


def test_tolerances_are_told_apart_in_the_name():
    assert [surface_dice_name(value) for value in (1.0, 2, 0.5)] == ["nsd_1mm", "nsd_2mm", "nsd_0.5mm"]


@pytest.mark.parametrize("wrong", [[-1.0], [math.inf], [NAN], [1.0, -0.1]])
def test_a_tolerance_that_is_no_length_is_refused(wrong):
    with pytest.raises(SettingsError, match="Expected lengths in millimetres"):
        require_tolerances(wrong)


def test_a_tolerance_named_twice_is_refused():
    with pytest.raises(SettingsError, match="names one tolerance twice"):
        require_tolerances([1.0, 2.0, 1])


@pytest.mark.parametrize(
    ("name", "hd95", "surface_dice", "tolerances_mm"),
    [
        ("brats2020", "per_direction_max", "area_weighted", (1.0, 2.0)),
        ("brats2023", "area_weighted", "area_weighted", (1.0, 2.0)),
        ("brats2026", "pooled", "mean_of_directions", (1.0,)),
        ("nnunet", "pooled", "area_weighted", (1.0, 2.0)),
        ("seed", "per_direction_max", "area_weighted", (1.0, 2.0)),
    ],
)
def test_the_definitions_of_each_protocol(name, hd95, surface_dice, tolerances_mm):
    protocol = PROTOCOLS[name]
    assert (protocol.hd95_definition, protocol.surface_dice_definition) == (hd95, surface_dice)
    assert protocol.default_tolerances_mm == tolerances_mm


@pytest.mark.parametrize("rule", ["missing_fails", "apart_fails", "failing_left_out", "absent_ranks_first"])
def test_only_brats_2026_has_rules_for_cases_that_fail(rule):
    assert [name for name, protocol in PROTOCOLS.items() if getattr(protocol, rule)] == ["brats2026"]
