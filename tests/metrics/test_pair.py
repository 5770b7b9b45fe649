"""Mask pairs and the table of metrics."""

import numpy as np
import pytest

from brats_unet.metrics import METRICS, UNITS, all_metrics
from brats_unet.metrics.empty import PROTOCOLS
from brats_unet.metrics.pair import MaskPair

RULES = PROTOCOLS["brats2020"]


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
    assert METRICS[name](masks.cropped()) == METRICS[name](masks)


def test_cropping_keeps_only_the_box_of_both_masks():
    assert PAIRS[0].cropped().reference.shape == (4, 4, 4)
    assert PAIRS[4].cropped().reference.shape == (1, 1, 1)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("masks", PAIRS)
def test_every_metric_is_a_finite_float_and_a_share_unless_it_has_a_unit(name, masks):
    value = METRICS[name](masks)
    assert isinstance(value, float | int)
    assert np.isfinite(value)
    if name not in UNITS:
        assert 0 <= value <= 1


def test_volumes_are_in_cubic_millimetres():
    assert METRICS["volume_reference"](PAIRS[0]) == 12.0
    assert METRICS["volume_prediction"](PAIRS[3]) == 0.0


def test_a_metric_of_an_installed_package_joins_ours_with_its_unit(monkeypatch):
    def far_voxels(masks: MaskPair) -> float:
        return 7.0

    far_voxels.unit = "voxels"
    monkeypatch.setattr("brats_unet.metrics.with_plugins", lambda table, group: {**table, "far_voxels": far_voxels})
    all_metrics.cache_clear()
    try:
        assert all_metrics()["far_voxels"] == (far_voxels, "voxels")
        assert all_metrics()["hd95"][1] == "mm"
        assert all_metrics()["dice"][1] == "1"
    finally:
        all_metrics.cache_clear()
