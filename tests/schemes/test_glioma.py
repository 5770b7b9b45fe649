"""The scheme glioma against the labels and regions that were written into the code before there were schemes."""

from itertools import product

import numpy as np
import pytest

from brats_unet.modality import Modality
from brats_unet.schemes.scheme_file import builtin
from tests.glioma import CLASSES, REGION_TISSUE, Label, Region, labels_from_regions, region_mask, region_masks

GLIOMA = builtin("glioma")
LABELS = np.random.default_rng(0).choice([0, 1, 2, 3, 4], size=(5, 6, 7)).astype(np.uint8)


def test_the_order_of_channels_regions_and_classes():
    assert [str(modality) for modality in Modality] == ["flair", "t1", "t1ce", "t2"]
    assert GLIOMA.predicted == GLIOMA.scored == tuple(map(str, Region))
    assert GLIOMA.class_values == CLASSES == (0, 1, 2, 4)


def test_the_integers_in_memory_are_those_of_brats_2017_to_2021():
    assert {name: tissue.value for name, tissue in GLIOMA.labels.items()} == {"NCR": 1, "ED": 2, "ET": 4, "RC": 3}
    assert [GLIOMA.own_label(region) for region in GLIOMA.predicted] == list(REGION_TISSUE.values())
    assert GLIOMA.words_of(Label.CAVITY) == "resection cavity"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64])
def test_masks_are_boolean_for_any_integer_type(dtype):
    masks = GLIOMA.predicted_masks(LABELS.astype(dtype))
    assert masks.dtype == bool
    np.testing.assert_array_equal(masks, region_masks(LABELS))
    for region in Region:
        np.testing.assert_array_equal(GLIOMA.region_mask(LABELS, region), region_mask(LABELS, region))


def test_any_masks_become_the_labels_that_they_became_then():
    masks = np.array(list(product([False, True], repeat=3)))
    np.testing.assert_array_equal(GLIOMA.labels_from_masks(masks), labels_from_regions(masks))
    wt, tc, et = np.moveaxis(GLIOMA.predicted_masks(GLIOMA.labels_from_masks(masks)), -1, 0)
    assert (wt >= tc).all() and (tc >= et).all()
    np.testing.assert_array_equal(et, masks[:, 2])


def test_an_empty_volume_has_empty_masks():
    assert GLIOMA.predicted_masks(np.zeros((0, 2), np.uint8)).shape == (0, 2, 3)
    assert GLIOMA.labels_from_masks(np.zeros((0, 2, 3), bool)).shape == (0, 2)
