"""The head in scans with skull and air."""

import numpy as np
import pytest

from brats_unet.data.prepare.head_mask import air_threshold, head_mask, otsu_threshold
from brats_unet.data.readers.discovery import find_cases
from brats_unet.modality import Modality
from brats_unet.scan_files import read_mask, read_scan


def head(background=3):
    """A head of 6 x 6 x 4 voxels with a dark hole in its middle, in air with noise; one stray bright voxel."""
    scan = background + np.random.default_rng(0).integers(0, 3, (12, 12, 4))
    scan[3:9, 3:9] = 90
    scan[5:7, 5:7] = 5
    scan[0, 0, 0] = 200
    return scan.astype(np.uint8)


@pytest.fixture
def expected():
    """The mask of `head`."""
    mask = np.zeros((12, 12, 4), bool)
    mask[3:9, 3:9] = True
    return mask


def test_the_threshold_of_two_values_lies_between_them():
    assert 10 < otsu_threshold(np.array([10, 10, 10, 50])) < 50
    assert otsu_threshold(np.full(4, 7)) == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_threshold_is_that_of_a_search_over_all_values(seed):
    draw = np.random.default_rng(seed)
    values = np.concatenate([draw.normal(20, 6, 700), draw.normal(80, 15, 300)])
    values = np.clip(np.rint(values), 0, 255)

    def between(threshold):
        low, high = values[values <= threshold], values[values > threshold]
        return low.size * high.size * (low.mean() - high.mean()) ** 2 if low.size and high.size else 0

    best = max(between(threshold) for threshold in np.unique(values))
    assert between(otsu_threshold(values)) > 0.999 * best


def test_the_head_is_filled_and_stray_voxels_are_not_in_it(expected):
    assert np.array_equal(head_mask([head()], axial=2), expected)


@pytest.mark.parametrize("background", [0, 3, 76])
def test_the_background_need_not_be_0(expected, background):
    scan = head(background)
    assert background < air_threshold(scan) < 90
    assert np.array_equal(head_mask([scan], axial=2), expected)


def test_the_head_is_that_of_all_scans_together(expected):
    left, right = head(), head()
    left[6:9], right[3:6] = 3, 3
    assert np.array_equal(head_mask([left, right], axial=2), expected)


def test_holes_are_filled_within_axial_slices_only(expected):
    tunnel = head()  # along z it is open at both ends, so that it is a hole of slices alone
    turned = np.moveaxis(tunnel, 2, 0)
    assert np.array_equal(head_mask([turned], axial=0), np.moveaxis(expected, 2, 0))
    assert not head_mask([turned], axial=1)[0, 5, 5]


def test_a_scan_with_hardly_any_bright_voxel_has_a_head():
    scan = np.zeros((20, 20, 5), np.int16)
    scan[10, 10, 2] = 400
    assert np.argwhere(head_mask([scan], axial=2)).tolist() == [[10, 10, 2]]


def outside_and_shares(cases):
    """Voxels of each tumour outside the head, and the share of the volume that is head, by case."""
    outside, shares = {}, {}
    for case in cases:
        found = head_mask([read_scan(file).array for file in case.images.values()], axial=2)
        outside[case.id] = int(np.count_nonzero((read_mask(case.mask).array > 0) & ~found))
        shares[case.id] = float(found.mean())
    return outside, shares


def lgg_cases(real_scans):
    return find_cases(real_scans / "kaggle_3m", modalities=[Modality.FLAIR, Modality.T1, Modality.T1CE]).cases


@pytest.mark.real
def test_no_tumour_of_the_hardest_lgg_patients_lies_outside_the_head(real_scans):
    """With Otsu's threshold itself, these four lose 1 to 9617 voxels: a background of 76, dark tumours, a tight field."""
    hardest = {"TCGA_FG_5962_20000626", "TCGA_FG_7634_20000128", "TCGA_DU_7013_19860523", "TCGA_HT_A61B_19991127"}
    outside, shares = outside_and_shares(case for case in lgg_cases(real_scans) if case.id in hardest)
    assert outside == dict.fromkeys(sorted(hardest), 0)
    assert min(shares.values()) > 0.25 and max(shares.values()) < 0.7


@pytest.mark.real
@pytest.mark.slow
def test_no_tumour_of_the_lgg_data_set_lies_outside_the_head(real_scans):
    outside, shares = outside_and_shares(lgg_cases(real_scans))
    assert len(outside) == 45 and not any(outside.values())
    assert min(shares.values()) > 0.25 and max(shares.values()) < 0.7
