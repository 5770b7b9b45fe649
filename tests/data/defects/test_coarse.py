"""Averaging the voxels of a case over blocks of about 4 mm."""

import numpy as np

from brats_unet.data.defects.coarse import CoarseBuilder, block_edges, block_means
from brats_unet.modality import Modality
from brats_unet.volume import Turn


def test_blocks_have_edges_near_4_mm() -> None:
    assert block_edges((240, 240, 155), (1.0, 1.0, 1.0)) == (4, 4, 4)
    assert block_edges((256, 256, 20), (0.94, 0.94, 5.0)) == (4, 4, 1)
    assert block_edges((3, 99, 99), (0.1, 1.0, 9.0)) == (3, 4, 1)


def test_without_a_spacing_an_axial_slice_gets_about_60_blocks_across() -> None:
    assert block_edges((256, 256, 24), None) == (4, 4, 1)


def test_block_means_leave_out_what_fills_no_block() -> None:
    array = np.arange(12, dtype=np.int16).reshape(4, 3, 1)
    assert block_means(array, (2, 2, 1)).tolist() == [[[2.0]], [[8.0]]]


def test_a_case_is_turned_to_lps_axes_and_its_labels_become_shares() -> None:
    turn = Turn((2, 1, 0), (True, False, False))
    array = np.zeros((8, 8, 8), np.int16)
    array[2:6, 2:6, 6:8] = 5
    builder = CoarseBuilder(turn, (2.0, 2.0, 4.0), with_skull=False)
    builder.add_scan(Modality.T1, array)
    mask = np.zeros((8, 8, 8), np.uint8)
    mask[2, 2, 7] = 4
    builder.add_mask(mask)
    coarse = builder.coarse()
    assert coarse is not None
    assert coarse.edges_mm == (4.0, 4.0, 4.0)
    assert coarse.brain.shape == (8, 4, 4)
    assert np.argwhere(coarse.brain).min(axis=0).tolist() == [0, 1, 1]
    assert coarse.labels[4][0, 1, 1] == 0.25
    assert not coarse.tells


def test_a_case_without_a_scan_has_no_coarse_grid() -> None:
    assert CoarseBuilder(Turn((0, 1, 2), (False, False, False)), None, with_skull=True).coarse() is None
