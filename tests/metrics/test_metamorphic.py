"""What each score must do when the masks are swapped, moved, mirrored, stretched, or given a voxel far away."""

import numpy as np
import pytest
from scipy import ndimage

from brats_unet.metrics import metrics_of
from brats_unet.metrics.metric import SHARE
from brats_unet.metrics.pair import MaskPair
from brats_unet.metrics.protocols import PROTOCOLS

NAMES = ("brats2020", "brats2023", "nnunet", "seed")
SPACING = (1.0, 1.5, 2.0)
# Our scores, but for those by lesion and the surface Dice, which have lengths of their own in their rules.
DISTANCES = {"hd95", "assd"}
VOLUMES = {"volume_reference", "volume_prediction", "volume_difference"}
SHARES = {"dice", "iou", "sensitivity", "specificity", "precision", "accuracy", "volume_difference_relative"}
WITH_LENGTHS = {"nsd_1mm", "nsd_2mm", "lesion_dice", "lesion_hd95", "lesion_f1"}
WITH_LENGTHS |= {"lesions_found", "lesions_missed", "lesions_false"}
every_protocol = pytest.mark.parametrize("protocol", NAMES)
every_seed = pytest.mark.parametrize("seed", range(4))


def masks(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two that overlap in part, with room around them."""
    random = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(random.standard_normal((18, 16, 14)), 1.5) for _ in range(2)]
    level = np.quantile(fields[0], 0.9)
    found = [np.pad(field > level, 8) for field in (fields[0], fields[0] + 0.5 * fields[1])]
    return found[0], found[1]


def scores(reference, prediction, protocol, spacing=SPACING) -> dict[str, float]:
    pair = MaskPair(np.ascontiguousarray(reference), np.ascontiguousarray(prediction), spacing, PROTOCOLS[protocol])
    found = metrics_of(PROTOCOLS[protocol])
    return {name: metric.function(pair) for name, metric in found.items()}


def same(found, expected):
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


@every_protocol
@every_seed
def test_swapping_the_masks_swaps_what_is_one_sided_and_keeps_the_rest(seed, protocol):
    reference, prediction = masks(seed)
    one, two = scores(reference, prediction, protocol), scores(prediction, reference, protocol)
    for name in ("dice", "iou", "accuracy", "hd95", "assd", "nsd_1mm", "nsd_2mm"):
        if name in one:
            assert two[name] == pytest.approx(one[name], rel=1e-9), name
    assert two["sensitivity"] == one["precision"]
    assert two["precision"] == one["sensitivity"]
    assert two["volume_difference"] == -one["volume_difference"]
    assert two["volume_reference"] == one["volume_prediction"]


@every_protocol
@every_seed
def test_moving_both_masks_changes_nothing(seed, protocol):
    reference, prediction = masks(seed)
    moved = [np.roll(mask, (5, -6, 7), (0, 1, 2)) for mask in (reference, prediction)]
    same(scores(*moved, protocol), scores(reference, prediction, protocol))


@every_protocol
@every_seed
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirroring_both_masks_changes_nothing(seed, protocol, axis):
    reference, prediction = masks(seed)
    mirrored = [np.flip(mask, axis) for mask in (reference, prediction)]
    same(scores(*mirrored, protocol), scores(reference, prediction, protocol))


@every_protocol
@every_seed
def test_turning_the_axes_with_their_spacing_changes_nothing(seed, protocol):
    reference, prediction = masks(seed)
    turned = [mask.transpose(2, 0, 1) for mask in (reference, prediction)]
    spacing = (SPACING[2], SPACING[0], SPACING[1])
    same(scores(*turned, protocol, spacing), scores(reference, prediction, protocol))


@every_protocol
@every_seed
def test_twice_the_spacing_is_twice_the_distance_eight_times_the_volume_and_the_same_share(seed, protocol):
    reference, prediction = masks(seed)
    one = scores(reference, prediction, protocol)
    two = scores(reference, prediction, protocol, tuple(2 * s for s in SPACING))
    for name in set(one) & (DISTANCES | VOLUMES | SHARES):
        factor = 2 if name in DISTANCES else 8 if name in VOLUMES else 1
        assert two[name] == pytest.approx(factor * one[name], rel=1e-9), name
    if "nsd_2mm" in one:
        assert two["nsd_2mm"] == pytest.approx(one["nsd_1mm"], rel=1e-9)


@every_protocol
@every_seed
def test_a_predicted_voxel_far_away_costs_what_it_must(seed, protocol):
    reference, prediction = masks(seed)
    worse = prediction.copy()
    worse[0, 0, 0] = True
    one, two = scores(reference, prediction, protocol), scores(reference, worse, protocol)
    for name in ("dice", "iou", "precision", "specificity", "accuracy", "nsd_1mm", "lesion_dice", "lesion_f1"):
        if name in one:
            assert two[name] < one[name], name
    assert two["sensitivity"] == one["sensitivity"]
    assert two["volume_difference"] == one["volume_difference"] + 3.0
    assert two["hd95"] >= one["hd95"]  # robust: one voxel of hundreds need not move it
    if "assd" in one:
        assert two["assd"] > one["assd"]
    if "lesions_false" in one:
        assert two["lesions_false"] == one["lesions_false"] + 1


@every_protocol
@every_seed
def test_air_around_both_masks_changes_only_what_counts_air(seed, protocol):
    reference, prediction = masks(seed)
    one = scores(reference, prediction, protocol)
    two = scores(np.pad(reference, 3), np.pad(prediction, 3), protocol)
    for name in ("accuracy", "specificity"):
        assert two[name] > one[name]
    others = set(one) & (DISTANCES | VOLUMES | SHARES | WITH_LENGTHS) - {"accuracy", "specificity"}
    same({name: two[name] for name in others}, {name: one[name] for name in others})


@every_protocol
@every_seed
def test_a_perfect_mask_scores_perfectly(seed, protocol):
    reference, _ = masks(seed)
    found = metrics_of(PROTOCOLS[protocol])
    for name, value in scores(reference, reference, protocol).items():
        if found[name].better in ("low", "near 0"):
            assert value == 0, name
        elif found[name].better == "high" and found[name].range == SHARE:
            assert value == 1, name
