"""Mask pairs, and the metrics of a protocol."""

import numpy as np
import pytest

from brats_unet.metrics import METRICS, metrics_of
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


def test_cropping_keeps_only_the_box_of_both_masks():
    assert PAIRS[0].cropped().reference.shape == (4, 4, 4)
    assert PAIRS[4].cropped().reference.shape == (1, 1, 1)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=lambda protocol: protocol.name)
@pytest.mark.parametrize("tolerances", [(1.0, 2.0), (0.5,), ()])
def test_every_metric_of_every_protocol_scores_every_pair(protocol, tolerances):
    for masks in PAIRS:
        judged = MaskPair(masks.reference, masks.prediction, masks.spacing_mm, protocol)
        for name, metric in metrics_of(protocol, tolerances).items():
            assert metric.name == name and not metric.per_tolerance
            assert isinstance(metric.function(judged), float | int), name


def test_the_surface_dice_has_its_tolerance_in_its_name():
    names = list(metrics_of(RULES, (0.5, 2)))
    assert [name for name in names if name.startswith("nsd")] == ["nsd_0.5mm", "nsd_2mm"]


def test_volume_differences_are_signed():
    assert METRICS["volume_difference"].function(PAIRS[2]) == 6.0
    assert METRICS["volume_difference"].function(PAIRS[3]) == -6.0
    assert METRICS["volume_difference_relative"].function(PAIRS[3]) == -1.0
    assert METRICS["volume_difference_relative"].function(PAIRS[4]) == 0.0


def test_lesions_are_refused_to_a_protocol_that_has_none():
    masks = MaskPair(PAIRS[0].reference, PAIRS[0].prediction, (1.0, 1.0, 1.0), PROTOCOLS["brats2020"])
    with pytest.raises(ValueError, match="brats2020 has no rules for lesions"):
        METRICS["lesion_dice"].function(masks)


def test_volumes_are_in_cubic_millimetres():
    assert METRICS["volume_reference"].function(PAIRS[0]) == 12.0
    assert METRICS["volume_prediction"].function(PAIRS[3]) == 0.0
