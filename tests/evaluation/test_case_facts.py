"""Facts of cases: stratum, absent scans, slices, components, edges and places of regions."""

import math
from dataclasses import replace

import numpy as np
import pytest

from brats_unet.errors import DataError
from brats_unet.evaluation.case_facts import CaseFacts, case_facts
from brats_unet.evaluation.record import CASES, read_facts, write_rows
from brats_unet.evaluation.score import Pair
from brats_unet.modality import Modality
from brats_unet.nifti import write_volume
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import ImageFile, Volume

BINARY = conventions(builtin("lesion"))["binary"]
SHAPE = (20, 24, 12)


def pair_of(tmp_path, reference, prediction=None, scan=None, affine=None):
    placed = Volume(np.zeros(SHAPE)).affine if affine is None else affine
    files = {}
    for name, array in {"reference": reference, "prediction": prediction, "scan": scan}.items():
        if array is not None:
            files[name] = tmp_path / f"{name}.nii.gz"
            write_volume(files[name], Volume(array.astype(np.uint8), placed))
    images = {Modality.FLAIR: ImageFile(files["scan"])} if scan is not None else None
    return Pair("case", files["reference"], files.get("prediction"), images, BINARY, BINARY)


def facts_of(pair):
    (facts,) = case_facts([pair], workers=1)
    return facts


def brain():
    """A skull-stripped scan: a box of brain that reaches neither face, 10 x 12 x 6 voxels from (5, 6, 3)."""
    scan = np.zeros(SHAPE)
    scan[5:15, 6:18, 3:9] = 100 + np.indices((10, 12, 6)).sum(0)
    return scan


def box(*ranges):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*one) for one in ranges)] = True
    return mask


def test_slices_and_components_are_counted_and_corners_connect(tmp_path):
    reference = box((6, 8), (8, 10), (4, 6)) | box((8, 9), (10, 11), (6, 7))  # they share a corner
    prediction = box((6, 7), (8, 9), (4, 5)) | box((12, 13), (8, 9), (4, 5)) | box((6, 7), (8, 9), (8, 9))
    facts = facts_of(pair_of(tmp_path, reference, prediction))
    assert (facts.slices, facts.slices_reference) == (12, 3)
    assert (facts.components_reference, facts.components_prediction) == (1, 3)


def test_an_empty_reference_has_no_slices_components_edges_or_place(tmp_path):
    facts = facts_of(pair_of(tmp_path, np.zeros(SHAPE), None, brain()))
    assert (facts.slices_reference, facts.components_reference, facts.components_prediction) == (0, 0, 0)
    assert (facts.at_volume_edge, facts.at_head_edge) == (0, 0)
    assert math.isnan(facts.left) and math.isnan(facts.posterior) and math.isnan(facts.superior)


@pytest.mark.parametrize(
    ("ranges", "volume", "head"),
    [
        (((8, 10), (10, 12), (5, 6)), 0, 0),
        (((8, 10), (10, 12), (3, 5)), 0, 1),  # the lowest layer of the brain
        (((8, 10), (10, 12), (4, 5)), 0, 0),  # one above it
        (((8, 10), (10, 12), (0, 2)), 1, 1),
        (((8, 10), (10, 12), (11, 12)), 1, 1),
    ],
)
def test_edges_of_the_brain_and_of_the_volume_are_told_apart(tmp_path, ranges, volume, head):
    facts = facts_of(pair_of(tmp_path, box(*ranges), None, brain()))
    assert (facts.at_volume_edge, facts.at_head_edge) == (volume, head)


def test_a_region_cut_by_the_field_of_view_does_not_touch_the_edge_of_the_head(tmp_path):
    scan = np.zeros(SHAPE)
    scan[5:15, 6:18, :] = 100 + np.indices((10, 12, 12)).sum(0)
    facts = facts_of(pair_of(tmp_path, box((8, 10), (10, 12), (10, 12)), None, scan))
    assert (facts.at_volume_edge, facts.at_head_edge) == (1, 0)


def test_the_head_of_a_scan_with_noise_in_the_air_is_not_the_whole_volume(tmp_path):
    noise = np.random.default_rng(0).integers(0, 12, SHAPE)
    facts = facts_of(pair_of(tmp_path, box((5, 7), (8, 10), (5, 6)), None, np.maximum(brain(), noise)))
    assert facts.at_head_edge == 1
    assert facts.left == pytest.approx(0.1, abs=0.05)


def test_places_run_from_right_front_and_bottom_whatever_the_axes_of_the_file(tmp_path):
    reference = box((5, 6), (17, 18), (3, 4))
    facts = facts_of(pair_of(tmp_path, reference, None, brain()))
    assert (facts.left, facts.posterior, facts.superior) == pytest.approx((0.05, 1 - 0.5 / 12, 0.5 / 6))
    ras = np.diag([1.0, 1.0, 1.0, 1.0])  # x runs to the patient's right, y to the front
    facts = facts_of(pair_of(tmp_path, reference, None, brain(), ras))
    assert (facts.left, facts.posterior, facts.superior) == pytest.approx((0.95, 0.5 / 12, 0.5 / 6))


def test_without_a_sound_scan_places_and_the_edge_of_the_head_are_unknown(tmp_path):
    reference = box((6, 8), (8, 10), (4, 6))
    without = pair_of(tmp_path, reference)
    write_volume(tmp_path / "constant.nii.gz", Volume(np.full(SHAPE, 7, np.uint8)))
    write_volume(tmp_path / "smaller.nii.gz", Volume(brain()[:-1].astype(np.uint8)))
    scans = [{Modality.FLAIR: ImageFile(tmp_path / f"{name}.nii.gz")} for name in ("constant", "smaller", "missing")]
    for pair in (without, *(replace(without, images=images) for images in scans)):
        facts = facts_of(pair)
        assert math.isnan(facts.at_head_edge) and math.isnan(facts.left)
        assert facts.at_volume_edge == 0 and facts.slices_reference == 2


def test_absent_scans_are_named_and_none_differs_from_unknown(tmp_path):
    pair = pair_of(tmp_path, box((6, 8), (8, 10), (4, 6)))
    assert (facts_of(pair).absent, facts_of(pair).stratum) == ("", "")
    assert facts_of(replace(pair, absent=())).absent == "none"
    known = facts_of(replace(pair, absent=(Modality.T1, Modality.T1CE), stratum="DU 2"))
    assert (known.absent, known.stratum) == ("t1 t1ce", "DU 2")


def test_written_facts_are_read_back_unchanged_and_a_broken_line_is_named(tmp_path):
    facts = CaseFacts("=case", "WT", "-1", "t1 t1ce", 20, 8, 1, 3, 0, 1.0, 0.25, 0.5, 0.75)
    write_rows(tmp_path / CASES, CaseFacts, [facts, facts])
    assert read_facts(tmp_path / CASES) == [facts, facts]
    text = (tmp_path / CASES).read_text()
    (tmp_path / CASES).write_text(text.replace(",20,", ",many,", 1))
    with pytest.raises(DataError, match=r"line 2 cannot be read \(invalid literal.*Evaluate again"):
        read_facts(tmp_path / CASES)
    (tmp_path / CASES).write_text(text.replace("t1 t1ce", "t1 2d", 1))
    with pytest.raises(DataError, match=r"line 2 cannot be read \('2d' is no name of a scan"):
        read_facts(tmp_path / CASES)
    (tmp_path / CASES).write_text("case,region\na,WT\n")
    with pytest.raises(DataError, match="found the columns case, region, without stratum"):
        read_facts(tmp_path / CASES)
