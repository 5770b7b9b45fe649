from itertools import product

import numpy as np
import pytest

from brats_unet.anatomy import (
    CLASSES,
    REGION_LABELS,
    Label,
    Modality,
    Region,
    labels_from_regions,
    region_mask,
    region_masks,
)

TUMOUR = np.array([0, 1, 2, 4], np.uint8)


def test_the_integers_are_those_of_brats_2017_to_2021():
    assert {label.name: int(label) for label in Label} == {
        "BACKGROUND": 0,
        "NECROTIC": 1,
        "OEDEMA": 2,
        "CAVITY": 3,
        "ENHANCING": 4,
    }


def test_the_order_of_channels_regions_and_classes():
    assert [str(m) for m in Modality] == ["flair", "t1", "t1ce", "t2"]
    assert [str(r) for r in Region] == ["WT", "TC", "ET"]
    assert CLASSES == (0, 1, 2, 4)


def test_whole_tumour_is_1_2_4_tumour_core_1_4_and_enhancing_tumour_4():
    labels = np.array([0, 1, 2, 3, 4], np.uint8)
    assert region_mask(labels, Region.WT).tolist() == [False, True, True, False, True]
    assert region_mask(labels, Region.TC).tolist() == [False, True, False, False, True]
    assert region_mask(labels, Region.ET).tolist() == [False, False, False, False, True]


def test_each_region_contains_the_next():
    assert set(REGION_LABELS[Region.WT]) > set(REGION_LABELS[Region.TC]) > set(REGION_LABELS[Region.ET])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_masks_are_boolean_for_any_integer_type(dtype):
    masks = region_masks(np.array([[0, 4]], dtype))
    assert masks.dtype == bool and masks.tolist() == [[[False] * 3, [True] * 3]]


def test_labels_to_regions_and_back_is_the_identity():
    labels = np.random.default_rng(0).choice(TUMOUR, size=(5, 6, 7))
    back = labels_from_regions(region_masks(labels))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, labels)


def test_a_resection_cavity_is_in_no_region_and_becomes_background():
    assert labels_from_regions(region_masks(np.array([3], np.uint8))).tolist() == [0]


@pytest.mark.parametrize(
    ("wt", "tc", "et", "label"),
    [(0, 0, 0, 0), (1, 0, 0, 2), (1, 1, 0, 1), (1, 1, 1, 4), (0, 1, 0, 1), (0, 0, 1, 4), (1, 0, 1, 4), (0, 1, 1, 4)],
)
def test_the_innermost_region_of_a_voxel_decides_its_label(wt, tc, et, label):
    assert labels_from_regions(np.array([[wt, tc, et]], bool)).tolist() == [label]


def test_regions_that_are_not_nested_become_nested():
    masks = np.array(list(product([False, True], repeat=3)))
    wt, tc, et = np.moveaxis(region_masks(labels_from_regions(masks)), -1, 0)
    assert (wt >= tc).all() and (tc >= et).all()
    np.testing.assert_array_equal(et, masks[:, 2])


def test_an_empty_volume_has_empty_masks():
    assert region_masks(np.zeros((0, 2), np.uint8)).shape == (0, 2, 3)
    assert labels_from_regions(np.zeros((0, 2, 3), bool)).shape == (0, 2)
