"""Dice of held-out patches during training, by hand and by brute force."""

import json
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from brats_unet.data.patches.pipeline import read_batch
from brats_unet.data.patches.sampling import Sampler
from brats_unet.losses import region_dice_bce
from brats_unet.losses.compound import deep_supervision
from brats_unet.models.checkpoint import State
from brats_unet.models.unet import unet3d
from brats_unet.run import Run
from brats_unet.schemes.scheme_file import builtin
from brats_unet.training.averaging import Average
from brats_unet.training.pseudo_dice import PatchScores, PatchValidation, best_so_far, patch_measure, pooled_dice
from brats_unet.training.tracker import Trackers
from tests.glioma import Region, region_masks


@pytest.fixture(scope="module")
def sampler(tmp_path_factory, write_prepared):
    folder = tmp_path_factory.mktemp("cases")
    labels = np.random.default_rng(0).choice(np.array([0, 0, 1, 2, 3, 4], np.uint8), size=(3, 10, 10, 10))
    return Sampler([write_prepared(folder, f"case_{i}", labels[i]) for i in range(3)], (8, 8, 8), 4, 0.5, None, 9)


def loss(logits, labels):
    return deep_supervision(region_dice_bce(), logits, labels, scheme=builtin())


def measure_of(model, sampler, *, outputs="regions", loss=loss, batches=2, at_once=2, average=None):
    return patch_measure(
        model=model,
        outputs=outputs,
        scheme=builtin(),
        loss=loss,
        sampler=sampler,
        batches=batches,
        at_once=at_once,
        average=average,
    )


def small_unet(seed=0):
    return unet3d(channels=2, outputs=3, seed=seed, features=[4, 8], convolutions=1, deep_supervision=True)


def validation(*means):
    scores = iter(means)
    return PatchValidation(lambda number: PatchScores(None, {"WT": next(scores), "TC": None}), 100)


def go(patches, tmp_path, best=None, step=100, tracker=None):
    return patches.validate(step, best, Run(tmp_path), tracker or Trackers())


# By hand


def test_dice_of_3_true_1_false_and_2_missed_voxels_is_two_thirds():
    assert pooled_dice(3, 1, 2) == pytest.approx(2 / 3)


def test_a_region_that_is_only_predicted_or_only_missed_has_dice_0():
    assert pooled_dice(0, 5, 0) == 0.0 and pooled_dice(0, 0, 5) == 0.0


def test_a_region_that_is_nowhere_has_no_dice_and_is_left_out_of_the_mean():
    assert pooled_dice(0, 0, 0) is None
    assert PatchScores(1.0, {"WT": 0.8, "TC": 0.4, "ET": None}).mean == pytest.approx(0.6)
    assert PatchScores(1.0, {"WT": None, "TC": None, "ET": None}).mean is None


def test_the_running_mean_starts_at_the_first_value_and_keeps_nine_tenths(tmp_path):
    patches = validation(0.5, 0.9, None, 0.1)
    found = [(go(patches, tmp_path, best), patches.running_mean) for best in (None, 0.5, 0.54, 0.54)]
    # 0.5; 0.45 + 0.09; unchanged without a region; 0.486 + 0.01
    assert found == [
        (True, 0.5),
        (True, pytest.approx(0.54)),
        (False, pytest.approx(0.54)),
        (False, pytest.approx(0.496)),
    ]


def test_only_a_running_mean_above_the_best_is_an_improvement(tmp_path):
    assert not go(validation(0.5), tmp_path, best=0.5)
    assert go(validation(0.5), tmp_path, best=0.499)
    assert not go(validation(None), tmp_path, best=None)


def test_patches_are_due_at_every_interval_and_at_the_end():
    patches = validation()
    assert [step for step in range(1, 251) if patches.due(step, 250)] == [100, 200, 250]
    assert [step for step in range(1, 8) if patches.due(step, 7)] == [7]


def test_the_number_of_a_measurement_depends_on_the_step_only(tmp_path):
    seen = []
    patches = PatchValidation(lambda number: seen.append(number) or PatchScores(0.5, {"WT": 0.5}), 100)
    for step in (100, 200, 250, 300):
        go(patches, tmp_path, step=step)
    assert seen == [1, 2, 3, 3]


def test_a_best_value_counts_only_if_the_same_quantity_chooses_now():
    by_patches, by_volumes, patches = State(1, best=0.9, running_mean=0.8), State(1, best=0.9), validation()
    assert (best_so_far(by_patches, patches), patches.running_mean) == (0.9, 0.8)
    assert (best_so_far(by_volumes, patches), patches.running_mean) == (None, None)
    assert best_so_far(by_volumes, None) == 0.9 and best_so_far(by_patches, None) is None


def test_journal_and_trackers_hold_the_scores_of_the_measurement(tmp_path):
    scores = iter([PatchScores(0.75, {"WT": 0.5, "TC": None}), PatchScores(None, {"WT": 0.7, "TC": 0.3})])
    patches = PatchValidation(lambda number: next(scores), 100)
    told = []
    tracker = SimpleNamespace(scalars=lambda values, step: told.append((step, values)))
    go(patches, tmp_path, step=100, tracker=tracker)
    go(patches, tmp_path, best=0.5, step=200, tracker=tracker)
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert all(line.pop("seconds") >= 0 for line in lines)
    shared = {"event": "patches", "running_mean_dice": 0.5}
    assert lines == [
        {**shared, "step": 100, "loss": 0.75, "dice": {"WT": 0.5, "TC": None}, "best": True},
        {**shared, "step": 200, "loss": None, "dice": {"WT": 0.7, "TC": 0.3}, "best": False},
    ]
    mean = "held_out/patch_dice_running_mean"
    assert told == [
        (100, {"held_out/loss": 0.75, "held_out/patch_dice_WT": 0.5, mean: 0.5}),
        (200, {"held_out/patch_dice_WT": 0.7, "held_out/patch_dice_TC": 0.3, mean: 0.5}),
    ]


# The measurement, against NumPy


def probabilities(model, images, outputs):
    heads = model(images, training=False)
    logits = np.asarray(heads[0] if isinstance(heads, list) else heads, np.float64)
    if outputs == "regions":
        return 1 / (1 + np.exp(-logits))
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return np.stack([chances[..., 1:].sum(-1), chances[..., 1] + chances[..., 3], chances[..., 3]], axis=-1)


def nnunet_dice(model, sampler, outputs, number, batches):
    """Dice of each region as nnU-Net's `on_validation_epoch_end` sums and divides."""
    tp, fp, fn = np.zeros(3), np.zeros(3), np.zeros(3)
    for batch in range(number * batches, (number + 1) * batches):
        images, labels = read_batch(sampler, batch, np.arange(sampler.batch))
        if len(model.inputs[0].shape) == 4:
            images, labels = images[:, :, :, 0], labels[:, :, :, 0]
        predicted, reference = probabilities(model, images, outputs) > 0.5, region_masks(labels)
        axes = tuple(range(labels.ndim))
        tp += (predicted & reference).sum(axes)
        fp += (predicted & ~reference).sum(axes)
        fn += (~predicted & reference).sum(axes)
    return 2 * tp / (2 * tp + fp + fn)


@pytest.mark.parametrize("outputs", ["regions", "labels"])
@pytest.mark.parametrize("rank", [2, 3])
def test_dice_is_pooled_over_all_patches_of_the_measurement(sampler, outputs, rank):
    image = keras.Input((*[None] * rank, 2))
    kernel = keras.initializers.RandomNormal(stddev=1.0, seed=1)
    conv = {2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[rank]
    layer = conv(3 if outputs == "regions" else 4, 3, padding="same", kernel_initializer=kernel)
    full = layer(image)
    model = keras.Model(image, [full, full[:, ::2]])  # the second head does not count
    sampler = sampler if rank == 3 else replace(sampler, patch=(8, 8, 1))
    measure = measure_of(model, sampler, outputs=outputs, loss=lambda heads, labels: tf.zeros(2))
    expected = nnunet_dice(model, sampler, outputs, 5, 2)
    assert list(measure(5).dice.values()) == pytest.approx(expected) and list(measure(5).dice) == list(Region)
    assert expected.min() > 0.05 and expected.max() < 1


def constant(bias):
    """A network whose logits are the same everywhere."""
    image = keras.Input((None, None, None, 2))
    layer = keras.layers.Conv3D(3, 1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(bias))
    return keras.Model(image, layer(image))


def test_a_network_that_sees_tumour_everywhere_is_wrong_wherever_there_is_none(tmp_path, write_prepared):
    labels = np.zeros((4, 4, 4), np.uint8)
    labels[0] = 2  # a quarter is oedema: 2 * 16 / (2 * 16 + 48) in WT, nothing in TC and ET
    sampler = Sampler([write_prepared(tmp_path, "case", labels)], (4, 4, 4), 2, 0.0, None, 9)
    scores = measure_of(constant(5.0), sampler)(1)
    assert scores.dice == {"WT": 0.4, "TC": 0.0, "ET": 0.0} and scores.mean == pytest.approx(0.4 / 3)
    scores = measure_of(constant(-5.0), sampler)(1)
    assert scores.dice == {"WT": 0.0, "TC": None, "ET": None} and scores.mean == 0.0


def test_the_loss_is_the_mean_over_patches_however_many_are_computed_at_once(sampler):
    model = small_unet()
    expected = []
    for batch in (6, 7):
        images, labels = read_batch(sampler, batch, np.arange(4))
        expected += list(np.asarray(loss(model(images, training=False), labels)))
    found = [measure_of(model, sampler, at_once=count)(3) for count in (1, 2, 4)]
    assert [scores.loss for scores in found] == pytest.approx([float(np.mean(expected))] * 3, rel=1e-5)
    assert found[0].dice == found[1].dice == found[2].dice


def test_a_loss_that_is_not_finite_is_none(sampler):
    scores = measure_of(small_unet(), sampler, loss=lambda heads, labels: tf.constant([np.inf, 1.0]))(1)
    assert scores.loss is None and scores.dice["WT"] is not None


def test_a_measurement_is_the_same_when_repeated_and_another_one_sees_other_patches(sampler):
    measure, again = measure_of(small_unet(), sampler), measure_of(small_unet(), sampler)
    first, second = measure(1), measure(2)
    assert first != second
    assert (again(2), again(1)) == (second, first)


def test_the_averaged_weights_are_measured_and_those_in_training_stay(sampler):
    model, evaluated = small_unet(seed=1), small_unet(seed=2)
    average = Average(model, 0.9, tf.distribute.get_strategy())
    average.update(tf.constant(0))  # the first mean is the weights
    before = measure_of(small_unet(seed=1), sampler)(1)
    trained = [np.asarray(weight) for weight in model.weights]
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    assert measure_of(evaluated, sampler, average=average)(1) == before
    assert all(not np.asarray(weight).any() for weight in model.weights) and any(weight.any() for weight in trained)


def test_the_graph_is_traced_once(sampler):
    traced = []
    measure = measure_of(small_unet(), sampler, loss=lambda heads, labels: traced.append(labels.shape) or tf.zeros(2))
    measure(1)
    measure(2)
    assert traced == [(2, 8, 8, 8)]
