"""Dice over whole held-out volumes, as training validates."""

from types import SimpleNamespace

import numpy as np

from brats_unet.schemes.scheme_file import builtin
from brats_unet.training.held_out_dice import held_out_dice, mean_by_region
from tests.glioma import region_masks


def case_of(labels):
    labels = np.array(labels, np.uint8).reshape(1, 1, -1)
    return SimpleNamespace(image=labels[..., None].astype(np.float16), labels=labels)


def network_of(predict):
    return SimpleNamespace(
        scheme=builtin(), on_prepared_grid=lambda image: predict(region_masks(image[..., 0].astype(np.uint8)))
    )


def test_a_perfect_network_has_dice_1_also_in_a_region_that_no_voxel_belongs_to():
    found = held_out_dice(network_of(lambda masks: masks.astype(float)), [case_of([0, 2, 2, 1]), case_of([0, 4, 4, 0])])
    assert found == 2 * [{"WT": 1.0, "TC": 1.0, "ET": 1.0}]


def test_the_mean_is_taken_over_cases_by_hand():
    # The network predicts nothing: 0 where a region is present, 1 (empty in both) where it is absent.
    found = held_out_dice(network_of(np.zeros_like), [case_of([0, 2]), case_of([0, 1]), case_of([0, 4])])
    assert mean_by_region(found) == {"WT": 0.0, "TC": 1 / 3, "ET": 2 / 3}


def test_enhancing_tumour_outside_the_whole_tumour_counts_for_all_three_regions():
    only_et = network_of(lambda masks: masks * np.array([0, 0, 1]))
    assert held_out_dice(only_et, [case_of([0, 4])]) == [{"WT": 1.0, "TC": 1.0, "ET": 1.0}]


def test_the_first_case_is_kept_with_its_predicted_labels_and_dice():
    kept = []
    network = network_of(lambda masks: masks.astype(float))
    cases = [case_of([0, 4, 2, 1]), case_of([0, 2])]
    found = held_out_dice(network, cases, keep_first=lambda labels, dice: kept.append((labels.ravel().tolist(), dice)))
    assert kept == [([0, 4, 2, 1], found[0])]
