"""Scans that look wrong give warnings; BraTS scans give none."""

import numpy as np
import pytest

from brats_unet.data.prepare.plausible import dice_of, scan_warnings, share_on_faces
from brats_unet.data.prepare.preprocess import Preparation, prepare
from brats_unet.data.readers.discovery import find_cases
from brats_unet.modality import Modality


def ball(radius, centre=(10, 10, 10)):
    index = np.indices((21, 21, 21)).T - centre
    return radius**2 >= (index**2).sum(axis=-1).T


BRAIN = {"flair": ball(8), "t1": ball(8)}
ONE_LITRE = (1000, 1000.0)  # voxels, mm³ each


def test_a_brain_of_one_litre_with_equal_masks_gives_no_warning():
    assert scan_warnings("a", BRAIN, *ONE_LITRE) == ()


@pytest.mark.parametrize(
    ("scan_masks", "size", "message"),
    [
        (BRAIN, (3000, 1000.0), "fills 3.0 litres, more than any brain. Are they skull-stripped?"),
        (BRAIN, (300, 1000.0), "fills only 0.30 litres"),
        ({"flair": ball(8), "t1": ball(8, (14, 10, 10))}, ONE_LITRE, "the t1 and flair scans cover different voxels"),
        ({"flair": np.ones((5, 5, 5), bool)}, ONE_LITRE, "100% of the voxels on the outer faces of the flair scan"),
    ],
)
def test_each_defect_gives_exactly_one_warning(scan_masks, size, message):
    warnings = scan_warnings("a", scan_masks, *size)
    assert len(warnings) == 1 and warnings[0].startswith("a: ")
    assert message in warnings[0]


def test_share_on_faces_and_dice_by_hand():
    mask = np.zeros((4, 4, 4), bool)
    mask[0] = True
    assert share_on_faces(mask) == pytest.approx((16 + 4 * 4) / 96)
    assert dice_of(ball(5), ball(5)) == 1


@pytest.mark.real
def test_real_brats_cases_give_no_warning(real_scans):
    for case in find_cases(real_scans / "BraTS2021", modalities=list(Modality)).cases[:3]:
        assert prepare(case, Preparation(tuple(Modality)), None).warnings == ()
