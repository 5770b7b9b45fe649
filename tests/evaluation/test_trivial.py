"""Trivial predictors, which ignore the scans."""

import numpy as np
import pytest

from brats_unet.errors import DataError
from brats_unet.evaluation.score import Pair
from brats_unet.evaluation.trivial import FRAME, in_frame, mean_shape, mean_shape_of, score_trivial
from brats_unet.geometry import Box
from brats_unet.modality import Modality
from brats_unet.nifti import write_volume
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Case, ImageFile, Volume

GLIOMA = builtin()
BRATS2017 = conventions(GLIOMA)["brats2017"]
NCR, ED, ET = 1, 2, 4  # labels in memory
WHOLE = Box((0, 0, 0), FRAME)


def frame_labels(stop=30):
    labels = np.zeros(FRAME, np.uint8)
    labels[10:stop, 10:30, 10:30], labels[12:20, 12:20, 12:20] = ED, ET
    return labels


def case_files(folder, name, labels, affine=None):
    """Write a scan that is bright except for a margin of 4 voxels, and a mask; return both paths."""
    shape = tuple(n + 8 for n in labels.shape)
    scan, mask = np.zeros(shape, np.int16), np.zeros(shape, np.uint8)
    inner = (slice(4, -4),) * 3
    scan[inner], mask[inner] = 100, labels
    volumes = [Volume(scan), Volume(mask)]
    if affine is not None:
        volumes = [Volume(volume.array, affine) for volume in volumes]
    for what, volume in zip(("flair", "seg"), volumes, strict=True):
        write_volume(folder / f"{name}_{what}.nii.gz", volume)
    return {Modality.FLAIR: ImageFile(folder / f"{name}_flair.nii.gz")}, folder / f"{name}_seg.nii.gz"


def test_the_mean_of_one_case_is_that_case():
    masks = in_frame(frame_labels(), WHOLE, GLIOMA)
    shape = mean_shape([masks])
    assert (GLIOMA.predicted_masks(shape.labels(FRAME, GLIOMA)) == masks).all()


def test_voxels_of_two_of_three_cases_are_predicted_and_voxels_of_one_case_are_not():
    masks = [in_frame(frame_labels(stop), WHOLE, GLIOMA) for stop in (30, 30, 34)]
    labels = mean_shape(masks).labels(FRAME, GLIOMA)
    assert labels[29, 15, 15] == ED
    assert labels[31, 15, 15] == 0


def test_the_threshold_has_the_best_dice_on_the_training_cases():
    random = np.random.default_rng(0)
    starts = random.integers(8, 16, 12)
    masks = []
    for start in starts:
        labels = np.zeros(FRAME, np.uint8)
        labels[start : start + 14, 20:34, 20:34] = ED
        masks.append(in_frame(labels, WHOLE, GLIOMA))
    shape = mean_shape(masks)
    share = np.mean([mask[..., 0] for mask in masks], axis=0)

    def score(level):
        claimed = share >= level
        return np.mean([2 * (m[..., 0] & claimed).sum() / (m[..., 0].sum() + claimed.sum()) for m in masks])

    assert score(shape.levels[0]) == max(score(level) for level in np.linspace(0, share.max(), 21)[1:-1])


def test_a_region_that_no_training_case_has_is_never_predicted():
    labels = frame_labels()
    labels[labels == ET] = NCR
    found = mean_shape([in_frame(labels, WHOLE, GLIOMA)]).labels(FRAME, GLIOMA)
    assert ET not in found
    assert NCR in found


def test_a_brain_of_twice_the_size_gives_the_same_mask_in_the_common_frame():
    labels = frame_labels()
    large = labels.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    assert (in_frame(large, Box((0, 0, 0), large.shape), GLIOMA) == in_frame(labels, WHOLE, GLIOMA)).all()


def test_a_mean_shape_of_no_case_is_refused():
    with pytest.raises(ValueError, match="at least one case"):
        mean_shape([])


@pytest.mark.parametrize("affine", [None, np.diag([1.0, 1.0, 1.0, 1.0])], ids=["LPS", "RAS"])
def test_the_mean_shape_of_one_case_scores_perfectly_on_that_case_in_any_axes(tmp_path, affine):
    images, mask = case_files(tmp_path, "a", frame_labels(), affine)
    shape = mean_shape_of([Case("a", images, mask)], BRATS2017)
    [scored] = score_trivial([Pair("a", mask, None, images, BRATS2017, BRATS2017)], {"a": shape}, protocol="brats2020")
    dice = {(row.predictor, row.region): row.value for row in scored.rows if row.metric == "dice"}
    assert all(dice["mean_shape", region] == 1.0 for region in GLIOMA.scored)
    assert all(dice["all_background", region] == 0.0 for region in GLIOMA.scored)


def test_without_a_scan_the_mean_shape_is_not_scored_and_the_reason_is_recorded(tmp_path):
    images, mask = case_files(tmp_path, "a", frame_labels())
    shape = mean_shape_of([Case("a", images, mask)], BRATS2017)
    [scored] = score_trivial([Pair("a", mask, None, None, BRATS2017, BRATS2017)], {"a": shape}, protocol="brats2020")
    assert {row.predictor for row in scored.rows} == {"all_background"}
    assert scored.left_out == "a: no scan found"


def test_all_training_cases_that_cannot_be_read_are_named(tmp_path):
    cases = []
    for name in "ab":
        images, mask = case_files(tmp_path, name, frame_labels())
        mask.write_bytes(b"x")
        cases.append(Case(name, images, mask))
    with pytest.raises(DataError, match=r"(?s)a_seg.*b_seg"):
        mean_shape_of(cases, BRATS2017)
