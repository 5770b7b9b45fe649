"""Masks on nothing, mirrored masks, masks of the brain, specks."""

from dataclasses import replace

import numpy as np

from brats_unet.data.defects.mask_fit import label_means, odd_extent, off_tumour, specks
from brats_unet.data.readers.findings import Kind
from brats_unet.modality import Modality
from tests.brains import SHAPE, TUMOUR, coarse, ellipsoid


def mask(*, shift: tuple[int, int, int] = (0, 0, 0)) -> np.ndarray:
    array = np.zeros(SHAPE, np.float32)
    array[tuple(slice(s.start + by, s.stop + by) for s, by in zip(TUMOUR, shift, strict=True))] = 1
    return array


def test_a_mask_on_the_tumour_has_no_findings() -> None:
    assert off_tumour("x", coarse()) == []
    assert odd_extent("x", coarse()) == []


def test_a_mask_beside_the_tumour_is_found() -> None:
    (finding,) = off_tumour("x", coarse(mask=mask(shift=(-2, -18, 3))))
    assert (finding.kind, finding.scan) == (Kind.MASK, "mask")
    assert "no scan shows a contrast between the mask and its surroundings" in finding.found


def test_t1_and_t1ce_alone_say_nothing_about_a_mask_because_they_hardly_show_oedema() -> None:
    wrong = coarse(mask=mask(shift=(-2, -18, 3)))
    blind = {name: scan for name, scan in wrong.scans.items() if name in (Modality.T1, Modality.T1CE)}
    assert off_tumour("x", replace(wrong, scans=blind)) == []
    assert off_tumour("x", replace(wrong, scans=blind | {Modality.T2: wrong.scans[Modality.T2]})) != []


def test_a_mirrored_mask_is_called_mirrored() -> None:
    (finding,) = off_tumour("x", coarse(mask=mask()[::-1]))
    assert finding.kind is Kind.MIRRORED
    assert "fits the scans better when it is mirrored left-right" in finding.found


def test_small_masks_masks_off_the_brain_and_no_mask_are_left_alone() -> None:
    few = np.zeros(SHAPE, np.float32)
    few[10, 20:27, 15] = 1
    corner = np.zeros(SHAPE, np.float32)
    corner[:5, :5, :5] = 1
    for one in (few, corner, np.zeros(SHAPE, np.float32)):
        assert off_tumour("x", coarse(mask=one)) == []


def test_a_mask_of_the_whole_brain_is_found() -> None:
    (finding,) = odd_extent("x", coarse(mask=ellipsoid().astype(np.float32)))
    assert finding.kind is Kind.LABELS
    assert finding.found == "the mask fills 100% of the brain. Expected a tumour."


def test_thirty_pieces_of_one_voxel_are_specks_and_29_are_not() -> None:
    array = np.zeros((60, 6, 6), np.uint8)
    array[0:58:2, 0, 0] = 2
    array[0:40, 3:5, 3:5] = 1
    assert specks("x", array) == []
    array[58, 0, 0] = 4
    assert specks("x", array)[0].found == "the mask has 30 pieces of 3 voxels or fewer, of 31 in all."


def test_the_means_of_a_label_stand_in_the_order_of_the_scans() -> None:
    means = label_means(coarse())
    assert list(means) == [1]
    flair, t1, t1ce, t2 = means[1]
    assert flair > 1 and t1ce > 1 and t2 > 1 and t1 < 1
