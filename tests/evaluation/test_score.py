"""Scoring of label volumes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brats_unet.errors import DataError, SettingsError
from brats_unet.evaluation.score import Pair, read_labels, score_case, score_cases
from brats_unet.metrics import metrics_of
from brats_unet.metrics.protocols import PROTOCOLS
from brats_unet.nifti import read_integers, write_volume
from brats_unet.schemes.convention import conventions
from brats_unet.schemes.scheme_file import builtin
from brats_unet.volume import Volume

GLIOMA = builtin()
BRATS2017, BRATS2023 = conventions(GLIOMA)["brats2017"], conventions(GLIOMA)["brats2023"]
REGIONS = ("WT", "TC", "ET")
MM = (1.0, 1.0, 1.0)


def tumour(shape=(20, 20, 30)) -> np.ndarray:
    labels = np.zeros(shape, np.uint8)
    labels[4:14, 4:14, 4:14], labels[6:12, 6:12, 6:12], labels[8:10, 8:10, 8:10] = 2, 4, 1
    return labels


def values(rows) -> dict[tuple[str, str], float]:
    return {(row.region, row.metric): row.value for row in rows}


def write(path, labels):
    write_volume(path, Volume(labels))
    return path


def test_there_is_one_row_for_each_region_and_metric():
    rows = score_case("a", tumour(), tumour(), MM, scheme=GLIOMA)
    names = metrics_of(PROTOCOLS["brats2020"])
    assert [(row.region, row.metric) for row in rows] == [(region, name) for region in REGIONS for name in names]
    assert {row.case for row in rows} == {"a"}


def test_a_perfect_prediction_scores_perfectly():
    found = values(score_case("a", tumour(), tumour(), MM, scheme=GLIOMA))
    for region in REGIONS:
        assert found[region, "hd95"] == 0.0
        assert {found[region, name] for name in ("dice", "sensitivity", "specificity", "precision", "accuracy")} == {
            1.0
        }
        assert found[region, "volume_reference"] == found[region, "volume_prediction"]
    assert found["WT", "volume_reference"] == 1000.0
    assert found["TC", "volume_reference"] == 216.0
    assert found["ET", "volume_reference"] == 208.0


def test_wt_is_perfect_although_the_core_is_missed():
    prediction = np.where(tumour() > 0, 2, 0).astype(np.uint8)
    found = values(score_case("a", tumour(), prediction, (1.0, 1.0, 2.0), scheme=GLIOMA))
    assert found["WT", "dice"] == 1.0
    assert (found["TC", "dice"], found["TC", "hd95"]) == (0.0, 373.12866)
    assert found["WT", "volume_prediction"] == 2000.0


def test_two_empty_masks_score_by_the_rule_of_the_protocol():
    empty = np.zeros((6, 6, 6), np.uint8)
    found = values(score_case("a", empty, empty, MM, scheme=GLIOMA))
    assert (found["ET", "dice"], found["ET", "hd95"], found["ET", "accuracy"], found["ET", "volume_reference"]) == (
        1.0,
        0.0,
        1.0,
        0.0,
    )


def test_true_negatives_are_counted_over_the_whole_grid():
    prediction = tumour()
    prediction[0, 0, 0] = 2
    small = values(score_case("a", tumour(), prediction, MM, scheme=GLIOMA))
    assert small["WT", "specificity"] == pytest.approx(1 - 1 / (20 * 20 * 30 - 1000))
    assert small["ET", "specificity"] == 1.0


def test_a_margin_of_air_changes_only_accuracy_and_specificity():
    prediction = np.roll(tumour(), 2, 0)
    near = values(score_case("a", tumour(), prediction, MM, scheme=GLIOMA))
    far = values(score_case("a", np.pad(tumour(), 7), np.pad(prediction, 7), MM, scheme=GLIOMA))
    for key, value in near.items():
        assert (far[key] == value) != (key[1] in ("accuracy", "specificity"))


def test_a_resection_cavity_is_in_no_region():
    with_cavity = tumour()
    with_cavity[16:18] = 3
    assert values(score_case("a", with_cavity, tumour(), MM, scheme=GLIOMA))["WT", "dice"] == 1.0


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"a: reference has shape \(20, 20, 30\), prediction \(19, 20, 30\)"):
        score_case("a", tumour(), tumour()[:-1], MM, scheme=GLIOMA)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(SettingsError, match="no protocol named brats1999"):
        score_case("a", tumour(), tumour(), MM, scheme=GLIOMA, protocol="brats1999")


def test_files_with_different_conventions_are_compared_by_the_meaning_of_their_labels(tmp_path):
    write(tmp_path / "reference.nii.gz", BRATS2017.encode(tumour()))
    write(tmp_path / "prediction.nii.gz", BRATS2023.encode(tumour()))
    pair = Pair("a", tmp_path / "reference.nii.gz", tmp_path / "prediction.nii.gz", None, BRATS2017, BRATS2023)
    (scored,) = score_cases([pair])
    assert scored.value("ET", "dice") == 1.0


def test_a_missing_prediction_is_all_background(tmp_path):
    write(tmp_path / "reference.nii.gz", tumour())
    pair = Pair("a", tmp_path / "reference.nii.gz", None, None, BRATS2017, BRATS2017)
    reference, prediction = read_labels(pair)
    assert reference.array.any()
    assert not prediction.array.any()
    assert score_cases([pair])[0].value("WT", "dice") == 0.0


def pairs_in(tmp_path, count) -> list[Pair]:
    pairs = []
    for index in range(count):
        labels = np.roll(tumour(), 14, 2)  # into the slices that the seed notebook uses
        reference = write(tmp_path / f"{index}_reference.nii", labels)
        prediction = write(tmp_path / f"{index}_prediction.nii", np.roll(labels, index, 2))
        pairs.append(Pair(str(index), reference, prediction, None, BRATS2017, BRATS2017))
    return pairs


def test_two_processes_give_the_same_scores_in_the_same_order_as_one(tmp_path):
    pairs = pairs_in(tmp_path, 6)
    seen = []
    alone = score_cases(pairs, workers=1, seed_scores=True)
    together = score_cases(pairs, workers=2, seed_scores=True, progress=lambda done, total: seen.append((done, total)))
    assert together == alone
    assert [case.case_id for case in together] == ["0", "1", "2", "3", "4", "5"]
    assert seen == [(count, 6) for count in range(1, 7)]


def test_seed_rows_are_computed_only_on_request(tmp_path):
    pairs = pairs_in(tmp_path, 1)
    assert score_cases(pairs)[0].seed_rows == []
    assert {row.predictor for row in score_cases(pairs, seed_scores=True)[0].seed_rows} == {
        "prediction",
        "all_background",
    }


def test_softmax_probabilities_give_the_soft_rows(tmp_path):
    (pair,) = pairs_in(tmp_path, 1)
    labels = read_integers(pair.prediction).array
    files = {}
    for region, members in (("WT", (1, 2, 4)), ("TC", (1, 4)), ("ET", (4,))):
        probability = np.where(np.isin(labels, members), 0.9, 0.0).astype(np.float32)
        write_volume(tmp_path / f"{region}.nii.gz", Volume(probability))
        files[region] = tmp_path / f"{region}.nii.gz"
    soft = Pair(pair.case_id, pair.reference, pair.prediction, None, BRATS2017, BRATS2017, files)
    rows = {(r.predictor, r.masks, r.metric): r.value for r in score_cases([soft], seed_scores=True)[0].seed_rows}
    assert rows["prediction", "hard", "dice_micro_all"] == 1.0
    assert 0.9 < rows["prediction", "soft", "dice_micro_all"] < 1.0
    assert 0.98 < rows["prediction", "soft", "accuracy"] < 1.0  # resizing the slices blurs the edges


def test_one_message_lists_all_broken_pairs(tmp_path):
    pairs = pairs_in(tmp_path, 3)
    pairs[0].prediction.write_bytes(b"not a scan")
    write(pairs[2].prediction, tumour((20, 20, 29)))
    with pytest.raises(DataError) as refusal:
        score_cases(pairs)
    assert "0_prediction.nii: cannot be read as NIfTI" in str(refusal.value)
    assert "2: " in str(refusal.value)
    assert "20×20×29 voxels, not 20×20×30" in str(refusal.value)


@pytest.mark.real
def test_a_perfect_predictor_scores_perfectly_on_real_masks(real_scans):
    for path in sorted((real_scans / "BraTS2021").glob("*/*_seg.nii.gz"))[:3]:
        pair = Pair(path.parent.name, path, path, None, BRATS2017, BRATS2017)
        for row in score_cases([pair])[0].rows:
            if row.metric in ("dice", "sensitivity", "specificity", "precision", "accuracy"):
                assert row.value == 1.0
            if row.metric == "hd95":
                assert row.value == 0.0


def probability_files(folder, labels, change=lambda array: array) -> dict[str, Path]:
    files = {}
    for region in REGIONS:
        files[region] = folder / f"a_probability_{region}.nii.gz"
        write_volume(files[region], Volume(change(GLIOMA.region_mask(labels, region).astype(np.float32))))
    return files


def test_region_probabilities_are_scored_for_calibration(tmp_path):
    mask = write(tmp_path / "r.nii.gz", tumour())
    files = probability_files(tmp_path, tumour(), lambda array: 0.25 + array / 2)
    pair = Pair("a", mask, mask, None, BRATS2017, BRATS2017, files, softmax=False)
    (scored,) = score_cases([pair])
    for region in REGIONS:
        assert scored.value(region, "ece") == pytest.approx(0.25)
        assert scored.value(region, "brier") == pytest.approx(0.0625)
    assert "ece" not in {row.metric for row in score_cases([replace(pair, probabilities=None)])[0].rows}


def test_one_message_lists_all_invalid_probability_files(tmp_path):
    mask = write(tmp_path / "r.nii.gz", tumour())
    files = probability_files(tmp_path, tumour(), lambda array: 3 * array - 1)
    write_volume(files["TC"], Volume(np.zeros((3, 3, 3), np.float32)))
    files["ET"] = tmp_path / "absent.nii.gz"
    with pytest.raises(DataError) as refusal:
        score_cases([Pair("a", mask, mask, None, BRATS2017, BRATS2017, files, softmax=False)])
    message = str(refusal.value)
    assert "a_probability_WT.nii.gz holds values from -1 to 2. Expected probabilities, 0 to 1" in message
    assert "a_probability_TC.nii.gz does not lie on the grid" in message
    assert "absent.nii.gz" in message


def test_rows_are_named_by_their_tolerance_and_invalid_tolerances_are_refused(tmp_path):
    mask = write(tmp_path / "r.nii.gz", tumour())
    pair = Pair("a", mask, mask, None, BRATS2017, BRATS2017)
    assert score_cases([pair], tolerances_mm=[0.5])[0].value("WT", "nsd_0.5mm") == 1.0
    with pytest.raises(SettingsError, match="tolerances_mm holds -1"):
        score_cases([pair], tolerances_mm=[-1.0])


def test_two_empty_masks_have_no_dice_by_the_nnunet_protocol():
    empty = np.zeros((6, 6, 6), np.uint8)
    found = values(score_case("a", empty, empty, MM, scheme=GLIOMA, protocol="nnunet"))
    assert np.isnan(found["ET", "dice"])
    assert found["ET", "accuracy"] == 1.0


def test_brats2023_scores_by_lesion():
    found = values(score_case("a", tumour(), tumour(), MM, scheme=GLIOMA, protocol="brats2023"))
    assert (found["WT", "lesion_dice"], found["WT", "lesion_hd95"], found["WT", "lesions_found"]) == (1.0, 0.0, 1.0)


def test_without_a_spacing_distances_are_in_pixels_and_nothing_is_in_mm():
    reference, prediction = np.zeros((2, 12, 10, 4), np.uint8)
    reference[2:6, 2:6, 1:3], prediction[2:8, 2:6, 1:4] = 2, 2
    known = {(row.region, row.metric): row for row in score_case("a", reference, prediction, (1, 1, 1), scheme=GLIOMA)}
    rows = score_case("a", reference, prediction, None, scheme=GLIOMA)
    assert {row.unit for row in rows} == {"1", "px", "voxels"}
    found = {(row.region, row.metric): row.value for row in rows}
    assert (found["WT", "hd95_slice_px"], found["WT", "voxels_reference"], found["WT", "voxels_prediction"]) == (
        2,
        32,
        72,
    )
    assert found["ET", "hd95_slice_px"] == 0
    shared = [key for key in found if key in known]
    assert {key: found[key] for key in shared} == {key: known[key].value for key in shared}
    assert ("WT", "dice") in shared and ("WT", "hd95") not in found
