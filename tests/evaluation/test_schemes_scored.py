"""Scores, calibration, trivial rows and fusion in schemes of one, three, four and five regions, nested or not."""

import numpy as np
import pytest

from brats_unet.evaluation.fusion import METHODS, Fused, fused_by_label, fused_by_region
from brats_unet.evaluation.probabilities import calibration
from brats_unet.evaluation.score import Pair, score_case, score_cases
from brats_unet.evaluation.summary import summarise
from brats_unet.evaluation.trivial import FRAME, in_frame, mean_shape
from brats_unet.geometry import Box
from brats_unet.metrics.seed import seed_rows
from brats_unet.nifti import write_volume
from brats_unet.run import probability_file
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import scheme_of
from brats_unet.volume import Volume
from tests.inference.scheme_examples import FIVE, GLIOMA, LESION, POST, SCHEMES

MM = (1.0, 1.0, 1.0)
every_scheme = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)


def blocks(scheme, shape=(14, 12, 28)):
    """Labels as in memory: a slab of each predicted label, side by side, with background around."""
    labels = np.zeros(shape, np.uint8)
    for index, value in enumerate(scheme.class_values[1:]):
        labels[2 + 2 * index : 4 + 2 * index, 3:9, 4:26] = value
    return labels


@every_scheme
def test_a_perfect_prediction_scores_perfectly_in_every_scored_region(scheme, tmp_path):
    labels, convention = blocks(scheme), next(iter(conventions(scheme).values()))
    mask = tmp_path / "mask.nii.gz"
    write_volume(mask, Volume(convention.encode(labels) if convention.name != "brats2017" else labels))
    files = {region: probability_file(tmp_path, "a", region) for region in scheme.predicted}
    for region, path in files.items():
        write_volume(path, Volume(scheme.region_mask(labels, region).astype(np.float32)))
    (scored,) = score_cases([Pair("a", mask, mask, None, convention, convention, files)], seed_scores=True)
    assert list(dict.fromkeys(row.region for row in scored.rows)) == list(scheme.scored)
    for region in scheme.scored:
        found = {name: scored.value(region, name) for name in ("dice", "hd95", "ece", "brier", "sensitivity")}
        assert found == {"dice": 1, "hd95": 0, "ece": 0, "brier": 0, "sensitivity": 1}
        assert scored.value(region, "volume_reference") == 264 * len(scheme.regions[region].labels)
    summary = summarise([scored], scheme=scheme, protocol="brats2020").as_json()
    assert list(summary["regions"]) == list(scheme.scored)
    assert scheme_of(summary["scheme"]) == scheme


def test_a_half_lost_cavity_and_a_core_called_enhancing_by_hand():
    reference = blocks(POST)
    prediction = reference.copy()
    prediction[:, :6][reference[:, :6] == 3] = 0  # half of the cavity
    prediction[reference == 1] = 4
    rows = score_case("a", reference, prediction, MM, scheme=POST)
    dice = {row.region: row.value for row in rows if row.metric == "dice"}
    assert dice == {"WT": 1, "TC": 1, "ET": pytest.approx(2 / 3), "RC": pytest.approx(2 / 3), "NETC": 0, "SNFH": 1}


def test_a_scored_region_that_is_not_predicted_has_the_probability_of_its_labels():
    reference = np.zeros((3, 3, 3), np.uint8)
    predicted = np.empty((3, 3, 3, 4), np.float32)
    predicted[...] = 0.9, 0.6, 0.2, 0.05  # WT, TC, ET, RC
    found = calibration(reference, POST.scored_probabilities(predicted), POST)
    assert found["NETC"]["brier"] == pytest.approx(0.4**2, rel=1e-5)
    assert found["SNFH"]["brier"] == pytest.approx(0.3**2, rel=1e-5)
    assert found["RC"]["ece"] == pytest.approx(0.05, rel=1e-5)


def test_calibration_covers_a_cavity_far_from_the_tumour():
    reference = np.zeros((60, 5, 5), np.uint8)
    reference[2, 2, 2], reference[57, 2, 2] = 4, 3
    exact = POST.masks(reference, POST.scored).astype(np.float32)
    missed = exact.copy()
    missed[..., POST.scored.index("RC")] = 0
    assert calibration(reference, exact, POST)["RC"]["brier"] == 0
    assert calibration(reference, missed, POST)["RC"]["brier"] == pytest.approx(1 / reference.size)


def test_two_masks_of_one_pair_must_have_one_scheme(tmp_path):
    one, other = conventions(POST)["brats2024"], conventions(GLIOMA)["brats2024"]
    with pytest.raises(ValueError, match="a: schemes glioma_post and glioma"):
        Pair("a", tmp_path, tmp_path, None, one, other)


@pytest.mark.parametrize("scheme", [POST, LESION, FIVE], ids=lambda scheme: scheme.name)
def test_other_schemes_have_no_scores_of_the_seed_and_the_reason_is_said(scheme):
    rows, why = seed_rows("a", blocks(scheme), blocks(scheme), scheme=scheme)
    assert rows == []
    assert why == f"the scheme {scheme.name} has other classes than the seed's NCR, ED, ET"


@every_scheme
def test_the_mean_shape_of_one_case_is_that_case(scheme):
    labels = blocks(scheme, FRAME)
    masks = in_frame(labels, Box((0, 0, 0), FRAME), scheme)
    assert masks.shape == (*FRAME, len(scheme.predicted))
    np.testing.assert_array_equal(mean_shape([masks]).labels(FRAME, scheme), labels)


@every_scheme
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fuse", [fused_by_region, fused_by_label])
def test_equal_masks_are_fused_into_the_same_mask(fuse, method, scheme):
    labels = blocks(scheme)
    found, weights = fuse(np.stack([labels] * 3), method, scheme)
    np.testing.assert_array_equal(found, labels)
    assert len(weights) == len(scheme.predicted if fuse is fused_by_region else scheme.classes)


def test_weights_are_named_by_label_and_those_of_glioma_as_before_there_were_schemes():
    labels = np.stack([blocks(GLIOMA)] * 3)
    assert list(fused_by_label(labels, "majority", GLIOMA)[1]) == ["oedema", "necrotic", "enhancing"]
    assert list(fused_by_label(labels, "majority", POST)[1]) == ["ED", "RC", "NCR", "ET"]


@pytest.mark.parametrize(("one", "other", "inner"), [(2, 1, 1), (1, 4, 4), (2, 4, 4), (4, 3, 4)])
def test_of_two_fused_labels_a_voxel_gets_the_one_in_more_regions(one, other, inner, monkeypatch):
    monkeypatch.setitem(METHODS, "any", lambda masks: Fused(masks.any(axis=0), (1.0,) * len(masks)))
    for pair in ((one, other), (other, one)):
        labels = np.array(pair, np.uint8).reshape(2, 1, 1, 1)
        assert fused_by_label(labels, "any", POST)[0].item() == inner


# Dice and HD95 of each region from before there were schemes, at commit b0cbe78.
STORED = {
    "brats2020": (0.7345132743362832, 1.0, 0.4413793103448276, 2.0, 0.23880597014925373, 5.776955262170036),
    "brats2023": (0.7345132743362832, 1.0, 0.4413793103448276, 2.0, 0.23880597014925373, 4.58257569495584),
    "nnunet": (0.7345132743362832, 1.0, 0.4413793103448276, 2.0, 0.23880597014925373, 4.47213595499958),
}


@pytest.mark.parametrize("protocol", ["brats2020", "brats2023", "nnunet"])
def test_scores_of_glioma_are_those_from_before_there_were_schemes(protocol):
    random = np.random.default_rng(3)
    reference, prediction = (
        np.repeat(np.repeat(random.choice([0, 1, 2, 4], (5, 5, 6)), 3, 0), 4, 2).astype(np.uint8) for _ in range(2)
    )
    rows = score_case("a", reference, prediction, (1.0, 1.0, 2.0), scheme=GLIOMA, protocol=protocol)
    assert tuple(row.value for row in rows if row.metric in ("dice", "hd95")) == STORED[protocol]
