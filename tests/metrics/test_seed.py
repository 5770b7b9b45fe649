"""The seed notebook's formulas, and what they say of a predictor that finds nothing."""

import numpy as np
import pytest

from brats_unet.metrics.seed import (
    CLAIM,
    class_indices,
    hard_sums,
    one_hot,
    protocol_slices,
    resize_bilinear,
    resize_nearest,
    scores_of,
    seed_rows,
    soft_sums,
)
from brats_unet.schemes.scheme_file import builtin

GLIOMA = builtin()
VALUES = GLIOMA.class_values
NCR, ED, ET = 1, 2, 4  # labels in memory

NAMES = {
    "accuracy",
    "precision_micro",
    "sensitivity_micro",
    "specificity_micro",
    "dice_macro4_s1",
    "dice_micro_all",
    "dice_slice_mean_s1",
    "dice_slice_mean_s1e-9",
    "dice_ncr_sq",
    "dice_ed_sq",
    "dice_et_sq",
}


def some_labels(seed: int, shape=(6, 8, 8)) -> np.ndarray:
    return np.random.default_rng(seed).choice([0, 1, 2, 4], size=shape, p=[0.7, 0.1, 0.1, 0.1]).astype(np.uint8)


def keras_formulas(y: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """The notebook's functions, line by line, in numpy."""
    epsilon = 1e-7

    def clip(x):
        return np.clip(x, 0, 1)

    total = 0.0
    for c in range(4):
        total += (2 * np.sum(y[..., c] * p[..., c]) + 1) / (np.sum(y[..., c]) + np.sum(p[..., c]) + 1)
    scores = {
        "dice_macro4_s1": total / 4,
        "precision_micro": np.sum(np.round(clip(y * p))) / (np.sum(np.round(clip(p))) + epsilon),
        "sensitivity_micro": np.sum(np.round(clip(y * p))) / (np.sum(np.round(clip(y))) + epsilon),
        "specificity_micro": np.sum(np.round(clip((1 - y) * (1 - p)))) / (np.sum(np.round(clip(1 - y))) + epsilon),
        "accuracy": np.mean(y.argmax(-1) == p.argmax(-1)),
        "dice_micro_all": 2 * np.sum(y * p) / (np.sum(y) + np.sum(p)),
    }
    for name, c in (("ncr", 1), ("ed", 2), ("et", 3)):
        squares = np.sum(y[..., c] ** 2) + np.sum(p[..., c] ** 2) + 1e-6
        scores[f"dice_{name}_sq"] = 2 * np.sum(np.abs(y[..., c] * p[..., c])) / squares
    for name, smooth in (("s1", 1.0), ("s1e-9", 1e-9)):
        slices = []
        for y_slice, p_slice in zip(1 - y[..., 0], 1 - p[..., 0], strict=True):
            slices.append((2 * np.sum(y_slice * p_slice) + smooth) / (np.sum(y_slice) + np.sum(p_slice) + smooth))
        scores[f"dice_slice_mean_{name}"] = np.mean(slices)
    return scores


def test_soft_formulas_equal_the_notebooks_line_by_line():
    random = np.random.default_rng(3)
    y, p = random.dirichlet(np.full(4, 0.3), size=(2, 5, 7, 9))
    scores = scores_of(soft_sums(y, p))
    assert scores.keys() == NAMES
    assert scores == pytest.approx(keras_formulas(y, p), rel=1e-5)


def test_counting_hard_masks_equals_the_arithmetic_on_their_one_hot():
    reference, prediction = some_labels(1), some_labels(2)
    counted = scores_of(hard_sums(class_indices(reference, VALUES), class_indices(prediction, VALUES)))
    assert counted == pytest.approx(
        scores_of(soft_sums(one_hot(reference, VALUES), one_hot(prediction, VALUES))), rel=1e-6
    )
    assert counted == pytest.approx(keras_formulas(one_hot(reference, VALUES), one_hot(prediction, VALUES)), rel=1e-6)


def test_on_hard_masks_precision_and_sensitivity_are_accuracy_and_specificity_follows():
    scores = scores_of(hard_sums(class_indices(some_labels(1), VALUES), class_indices(some_labels(2), VALUES)))
    assert scores["precision_micro"] == pytest.approx(scores["accuracy"])
    assert scores["sensitivity_micro"] == pytest.approx(scores["accuracy"])
    assert scores["dice_micro_all"] == pytest.approx(scores["accuracy"])
    assert scores["specificity_micro"] == pytest.approx(1 - (1 - scores["accuracy"]) / 3)


def test_a_perfect_prediction_scores_1():
    scores = scores_of(hard_sums(class_indices(some_labels(1), VALUES), class_indices(some_labels(1), VALUES)))
    assert scores == pytest.approx(dict.fromkeys(NAMES, 1.0), abs=1e-6)


def volume_with_tumour(edge: int = 45) -> np.ndarray:
    """A square of oedema on 50 of the 100 slices; the default is 1.76 % of their pixels, the share in BraTS 2020."""
    volume = np.zeros((240, 240, 155), np.uint8)
    volume[:edge, :edge, 22:72] = ED
    return volume


def test_the_all_background_predictor_scores_98_percent_where_2_percent_is_tumour():
    rows, left_out = seed_rows("a", volume_with_tumour(), volume_with_tumour(), scheme=GLIOMA)
    assert left_out == ""
    background = {row.metric: row.value for row in rows if row.predictor == "all_background"}
    assert background["accuracy"] == pytest.approx(0.982, abs=1e-3)
    assert background["precision_micro"] == background["sensitivity_micro"] == pytest.approx(background["accuracy"])
    assert background["specificity_micro"] == pytest.approx(0.994, abs=1e-3)
    assert background["dice_macro4_s1"] == pytest.approx((0.991 + 0 + 1 + 1) / 4, abs=2e-3)
    assert background["dice_slice_mean_s1e-9"] == pytest.approx(0.5)  # every slice without tumour scores 1
    assert background["dice_ed_sq"] == 0.0


def test_a_case_with_all_three_tissues_gives_the_all_background_predictor_a_dice_of_a_quarter():
    volume = volume_with_tumour()
    volume[:15, :45, 22:72], volume[15:30, :45, 22:72] = NCR, ET
    rows, _ = seed_rows("a", volume, volume, scheme=GLIOMA)
    value = next(r.value for r in rows if r.predictor == "all_background" and r.metric == "dice_macro4_s1")
    assert value == pytest.approx(0.248, abs=1e-3)


def test_a_class_absent_from_both_scores_0_in_the_squared_dice_and_1_in_the_smoothed():
    empty = class_indices(np.zeros((2, 4, 4), np.uint8), VALUES)
    scores = scores_of(hard_sums(empty, empty))
    assert scores["dice_et_sq"] == 0.0
    assert scores["dice_macro4_s1"] == scores["dice_slice_mean_s1"] == 1.0


def test_soft_rows_appear_only_with_probabilities():
    volume = volume_with_tumour(20)[:64, :64]
    hard, _ = seed_rows("a", volume, volume, scheme=GLIOMA)
    both, _ = seed_rows("a", volume, volume, scheme=GLIOMA, probabilities=one_hot(volume, VALUES).astype(np.float16))
    assert {row.masks for row in hard} == {"hard"}
    assert {(row.predictor, row.masks) for row in both} == {
        (predictor, masks) for predictor in ("prediction", "all_background") for masks in ("hard", "soft")
    }
    assert all(0 <= row.value <= 1 for row in both)


def test_slices_22_to_121_are_taken_of_the_third_axis():
    volume = np.broadcast_to(np.arange(155), (3, 4, 155))
    slices = protocol_slices(volume)
    assert slices.shape == (100, 3, 4)
    assert (slices[0, 0, 0], slices[-1, 0, 0]) == (22, 121)


def test_a_volume_that_ends_below_slice_22_is_left_out_with_the_reason():
    rows, left_out = seed_rows("a", np.zeros((8, 8, 20), np.uint8), np.zeros((8, 8, 20), np.uint8), scheme=GLIOMA)
    assert rows == []
    assert left_out == "20 axial slices; the seed's begin at 22"


def test_resizing_to_the_same_size_changes_nothing():
    labels = some_labels(1, (2, 128, 128))
    assert np.array_equal(resize_nearest(labels), labels)
    assert np.array_equal(resize_bilinear(one_hot(labels, VALUES)), one_hot(labels, VALUES))


def test_halving_takes_the_mean_of_two_neighbours():
    ramp = np.broadcast_to(np.arange(256, dtype=np.float32)[:, None, None], (1, 256, 256, 1))
    resized = resize_bilinear(ramp)
    assert np.array_equal(resized[0, :, 0, 0], np.arange(128) * 2 + 0.5)


def test_classes_are_in_the_seeds_order_and_a_cavity_is_background():
    assert VALUES == (0, NCR, ED, ET)
    assert class_indices(np.array([0, 1, 2, 3, 4], np.uint8), VALUES).tolist() == [0, 1, 2, 0, 3]


def test_every_number_of_the_page_but_its_dice_is_computed_under_its_name():
    assert set(CLAIM) - NAMES == {"dice"}
