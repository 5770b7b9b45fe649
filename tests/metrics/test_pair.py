"""Mask pairs and the table of metrics."""

import numpy as np
import pytest

from brats_unet.metrics import METRICS, UNITS, _of_packages, metrics_of
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import PROTOCOLS

RULES = PROTOCOLS["brats2023"]  # the one that knows every metric


def pair(reference_voxels, prediction_voxels) -> MaskPair:
    masks = [np.zeros((9, 8, 7), bool) for _ in range(2)]
    for mask, voxels in zip(masks, (reference_voxels, prediction_voxels), strict=True):
        for voxel in voxels:
            mask[voxel] = True
    return MaskPair(*masks, (1.0, 2.0, 3.0), RULES)


PAIRS = [
    pair([(1, 1, 1), (1, 1, 2)], [(1, 1, 2), (4, 4, 4)]),
    pair([(0, 0, 0)], [(8, 7, 6)]),
    pair([], [(3, 3, 3)]),
    pair([(3, 3, 3)], []),
    pair([], []),
]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("masks", PAIRS)
def test_cropping_changes_no_score(name, masks):
    assert METRICS[name](masks.cropped()) == pytest.approx(METRICS[name](masks), abs=0, nan_ok=True)


def test_cropping_keeps_only_the_box_of_both_masks():
    assert PAIRS[0].cropped().reference.shape == (4, 4, 4)
    assert PAIRS[4].cropped().reference.shape == (1, 1, 1)


SIGNED = {"volume_difference", "volume_difference_relative"}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("masks", PAIRS)
def test_every_metric_is_a_float_and_a_share_unless_it_has_a_unit_or_a_sign(name, masks):
    value = METRICS[name](masks)
    assert isinstance(value, float | int)
    if name == "volume_difference_relative" and masks is PAIRS[2]:
        assert np.isnan(value)  # nothing to relate it to
        return
    assert np.isfinite(value)
    if name not in UNITS and name not in SIGNED:
        assert 0 <= value <= 1


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("tolerances", [(1.0, 2.0), (0.5,), ()])
def test_every_metric_of_every_protocol_answers_every_pair(protocol, tolerances):
    for masks in PAIRS:
        judged = MaskPair(masks.reference, masks.prediction, masks.spacing_mm, protocol)
        for name, (metric, unit) in metrics_of(protocol, tolerances).items():
            assert isinstance(metric(judged), float | int), name
            assert unit in {"1", "mm", "mm3", "lesions"}


def test_the_surface_dice_is_named_by_its_tolerance():
    names = list(metrics_of(RULES, (0.5, 2)))
    assert [name for name in names if name.startswith("nsd")] == ["nsd_0.5mm", "nsd_2mm"]


def test_volume_differences_are_signed():
    assert METRICS["volume_difference"](PAIRS[2]) == 6.0
    assert METRICS["volume_difference"](PAIRS[3]) == -6.0
    assert METRICS["volume_difference_relative"](PAIRS[3]) == -1.0
    assert METRICS["volume_difference_relative"](PAIRS[4]) == 0.0


def test_lesions_are_refused_to_a_protocol_that_has_none():
    masks = MaskPair(PAIRS[0].reference, PAIRS[0].prediction, (1.0, 1.0, 1.0), PROTOCOLS["brats2020"])
    with pytest.raises(ValueError, match="brats2020 has no rules for lesions"):
        METRICS["lesion_dice"](masks)


def test_volumes_are_in_cubic_millimetres():
    assert METRICS["volume_reference"](PAIRS[0]) == 12.0
    assert METRICS["volume_prediction"](PAIRS[3]) == 0.0


def test_a_metric_of_an_installed_package_joins_ours_with_its_unit(monkeypatch):
    def far_voxels(masks: MaskPair) -> float:
        return 7.0

    far_voxels.unit = "voxels"
    monkeypatch.setattr("brats_unet.metrics.with_plugins", lambda table, group: {**table, "far_voxels": far_voxels})
    _of_packages.cache_clear()
    try:
        assert metrics_of(RULES)["far_voxels"] == (far_voxels, "voxels")
        assert metrics_of(RULES)["hd95"][1] == "mm"
        assert metrics_of(RULES)["dice"][1] == "1"
    finally:
        _of_packages.cache_clear()
