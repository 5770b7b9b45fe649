"""Scans that look wrong give warnings; BraTS scans give none."""

import numpy as np
import pytest

from brats_unet.data.prepare import plausible
from brats_unet.data.prepare.plausible import (
    dice_of,
    litres_sentence,
    refuse_edges,
    refuse_larger_than_memory,
    scan_warnings,
    share_on_faces,
)
from brats_unet.data.prepare.preprocess import Preparation, prepare
from brats_unet.data.readers.discovery import find_cases
from brats_unet.errors import DataError
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


def test_edges_of_real_scans_are_accepted_and_others_refused():
    for length in (0.05, 0.4, 1, 5, 30):
        refuse_edges("a: x.nii.gz", (1, length, 1))
    for length in (0.001, 0.049, 31, 1000, float("nan")):
        with pytest.raises(
            DataError, match=r"a: x\.nii\.gz: voxels of 1×\S+×1 mm by its header. Expected edges from 0.05 to"
        ):
            refuse_edges("a: x.nii.gz", (1, length, 1))


def test_a_case_larger_than_the_memory_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(plausible, "memory_available_bytes", lambda: 2**30)
    refuse_larger_than_memory("a", (200, 200, 150), 4, (1, 1, 1))
    with pytest.raises(
        DataError, match=r"a: prepared as 9000×9000×150 voxels, its 4 scans take 271.6 GiB, and 1.0 GiB"
    ):
        refuse_larger_than_memory("a", (9000, 9000, 150), 4, (20, 20, 1))


@pytest.mark.parametrize(
    ("litres", "skull", "words"),
    [(1.2, False, ""), (4, True, ""), (2.3, False, "more than any brain. Are they"), (13, True, "more than any head."),
     (0.5, False, "Is this a whole brain?"), (0.5, True, "Is this a whole head?")],
)  # fmt: skip
def test_a_brain_or_head_has_litres(litres, skull, words):
    sentence = litres_sentence(litres, with_skull=skull)
    assert words in sentence and bool(sentence) == bool(words)
