import math
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

import brats_unet.losses
from brats_unet.errors import SettingsError
from brats_unet.losses import LOSSES
from brats_unet.losses.compound import deep_supervision, head_weights, masks_of
from brats_unet.losses.loss import Loss
from brats_unet.parts import build
from brats_unet.schemes.scheme_file import builtin, scheme_of
from tests.losses.labels_and_logits import labels_of, logits_of, masks_for, value


def test_masks_in_the_graph_are_those_of_the_scheme():
    labels = np.array([[0, 1, 2, 3, 4]], "uint8")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(masks_of(labels, "regions", builtin())), builtin().predicted_masks(labels)
    )


def test_classes_are_exclusive_and_a_cavity_is_background():
    one_hot = ops.convert_to_numpy(masks_of(np.array([0, 1, 2, 3, 4], "uint8"), "labels", builtin()))
    assert one_hot.argmax(axis=-1).tolist() == [0, 1, 2, 0, 3]
    assert one_hot.sum(axis=-1).tolist() == [1] * 5


def test_regions_of_an_undecided_network_by_hand():
    # One voxel of oedema beside one of background, every probability 0.5:
    # Dice loss of WT 1 - 1/2, of TC and ET (empty) 1 - 0/1; cross-entropy ln 2.
    labels = np.array([[[[2, 0]]]], "uint8")
    found = value(LOSSES["region_dice_bce"](), np.zeros((1, 1, 1, 2, 3), "float32"), labels)
    assert found == pytest.approx([(0.5 + 1 + 1) / 3 + math.log(2)], abs=1e-4)


def test_labels_of_an_undecided_network_by_hand():
    # The same voxels, every class 1/4: Dice loss of oedema 1 - 2 · 1/4 / (1/2 + 1), of the absent tissues 1; ln 4.
    labels = np.array([[[[2, 0]]]], "uint8")
    found = value(LOSSES["label_dice_ce"](), np.zeros((1, 1, 1, 2, 4), "float32"), labels)
    assert found == pytest.approx([(2 / 3 + 1 + 1) / 3 + math.log(4)], abs=1e-4)


HALVES = {"false_positives": 0.5, "false_negatives": 0.5}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("label_dice_ce", {"dice": 0}), ("label_ce", {})),
        (("label_dice_ce", {"smooth": 1e9}), ("label_ce", {})),  # infinite smoothing makes every Dice 1
        (("label_dice_ce", {"dice": 0, "focus": 2}), ("label_ce", {"focus": 2})),
        (("region_tversky", HALVES), ("region_dice_bce", {"bce": 0})),
        (("region_tversky", {**HALVES, "bce": 1, "batch_dice": True}), ("region_dice_bce", {"batch_dice": True})),
        (("label_tversky", {**HALVES, "ce": 1}), ("label_dice_ce", {})),
    ],
    ids=str,
)
def test_a_loss_is_a_simpler_one_at_its_limit(one, other):
    first, second = (LOSSES[name](**options) for name, options in (one, other))
    labels = labels_of(2, 4, 4, 2)
    logits = logits_of(first, labels)
    np.testing.assert_allclose(value(first, logits, labels), value(second, logits, labels), rtol=1e-5)


@pytest.mark.parametrize(("name", "entropy"), [("region_dice_bce", "bce"), ("label_dice_ce", "ce")])
def test_the_two_terms_have_the_weights_of_their_options(name, entropy):
    labels = labels_of(2, 4, 4, 2)
    logits = logits_of(LOSSES[name](), labels)
    dice, nats, both = (
        value(LOSSES[name](**options), logits, labels)
        for options in ({entropy: 0}, {"dice": 0}, {"dice": 0.25, entropy: 3.0})
    )
    np.testing.assert_allclose(both, 0.25 * dice + 3.0 * nats, rtol=1e-5)


def test_a_higher_cost_of_missed_voxels_pushes_logits_up():
    # At logits of 0, the gradient of the loss falls as missed voxels cost more.
    labels = labels_of(1, 4, 4, 4, values=(0, 0, 0, 4))

    def push(false_negatives):
        loss = LOSSES["region_tversky"](false_positives=1 - false_negatives, false_negatives=false_negatives)
        logits = tf.zeros((1, 4, 4, 4, 3))
        with tf.GradientTape() as tape:
            tape.watch(logits)
            found = loss.per_sample(logits, masks_for(loss, labels))
        return float(tf.reduce_sum(tape.gradient(found, logits)))

    assert push(0.9) < push(0.5) < push(0.1)


def test_one_tissue_by_regions_and_by_labels_has_the_same_dice():
    # Oedema alone is the whole tumour. The other regions are empty and predicted empty: both Dice terms are of one mask.
    labels = labels_of(1, 4, 4, 4, values=(0, 2))
    x = logits_of(LOSSES["label_ce"](), labels)[..., :1]
    never = np.full_like(x, -1e4)
    by_region = value(LOSSES["region_dice_bce"](), np.concatenate([x, never, never], -1), labels)
    by_label = value(LOSSES["label_dice_ce"](), np.concatenate([0 * x, never, x, never], -1), labels)
    bce = np.logaddexp(0, np.where(labels[..., None] == 2, -x, x)).mean()
    np.testing.assert_allclose(by_region - bce / 3, by_label - bce, rtol=1e-4)


@pytest.mark.parametrize(
    ("heads", "expected"), [(1, [1]), (2, [1, 0]), (3, [2 / 3, 1 / 3, 0]), (4, [4 / 7, 2 / 7, 1 / 7, 0])]
)
def test_head_weights_halve_end_in_0_and_sum_to_1(heads, expected):
    assert head_weights(heads) == pytest.approx(expected)


def test_if_the_lowest_head_is_trained_its_weight_halves_like_the_others():
    assert head_weights(3, lowest=True) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    assert head_weights(1, lowest=True) == (1,)


def test_a_lowest_head_that_is_trained_counts_in_the_loss():
    loss, labels = LOSSES["region_dice_bce"](), labels_of(2, 4, 4, 4)
    heads = [logits_of(loss, labels), logits_of(loss, labels[:, ::2, ::2, ::2])]
    found = ops.convert_to_numpy(
        deep_supervision(loss, heads, ops.convert_to_tensor(labels), lowest=True, scheme=builtin())
    )
    expected = 2 / 3 * value(loss, heads[0], labels) + 1 / 3 * value(loss, heads[1], labels[:, ::2, ::2, ::2])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_single_head_has_the_same_loss_with_and_without_a_list():
    loss, labels = LOSSES["region_dice_bce"](), labels_of(2, 4, 4, 2)
    logits = ops.convert_to_tensor(logits_of(loss, labels))
    alone = value(loss, logits, labels)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(deep_supervision(loss, [logits], labels, scheme=builtin())), alone
    )
    np.testing.assert_array_equal(ops.convert_to_numpy(deep_supervision(loss, logits, labels, scheme=builtin())), alone)


@pytest.mark.parametrize("shape", [(1, 8, 8, 4), (1, 8, 8)], ids=["volumes", "slices"])
def test_coarser_heads_learn_voxel_0_of_blocks_of_2_and_voxel_1_of_blocks_of_4(shape):
    labels = labels_of(*shape)
    heads = [(8, 8, 4), (4, 4, 4), (2, 2, 2)]
    seen = labels_seen(labels, [edges[: labels.ndim - 1] for edges in heads])
    np.testing.assert_array_equal(seen[0], labels)
    np.testing.assert_array_equal(seen[1], labels[:, ::2, ::2])
    np.testing.assert_array_equal(seen[2], labels[:, 1::4, 1::4, ::2] if len(shape) == 4 else labels[:, 1::4, 1::4])


@pytest.mark.parametrize(
    ("stride", "voxel"),
    [((2, 2, 1), (0, 0, 0)), ((4, 2, 1), (1, 0, 0)), ((8, 4, 2), (3, 1, 0)), ((3, 6, 5), (1, 2, 2))],
)
@pytest.mark.parametrize("edges", [(2, 4, 2), (1, 3, 5)], ids=["even", "odd"])
def test_each_axis_takes_its_voxel_by_its_own_stride_also_on_grids_of_odd_edges(stride, voxel, edges):
    # the label of a voxel is its index within its block, along one axis after the other
    full = [s * edge for s, edge in zip(stride, edges, strict=True)]
    for axis in range(3):
        index = np.indices(full)[axis] % stride[axis]
        seen = labels_seen(index[None], [tuple(full), edges])
        np.testing.assert_array_equal(seen[1], np.full((1, *edges), voxel[axis]))


def test_the_voxel_is_the_mirror_image_of_nnunets_in_its_block():
    # torch's nearest-exact, which nnU-Net uses, takes floor((i + 1/2) s)
    for size in range(1, 17):
        theirs = int((0 + 0.5) * size)
        seen = labels_seen(np.arange(3 * size).reshape(1, -1, 1), [(3 * size, 1), (3, 1)])
        np.testing.assert_array_equal(seen[1].ravel(), [i * size + size - 1 - theirs for i in range(3)])


def test_the_rules_of_version_1_take_the_corner_of_every_block():
    labels = labels_of(1, 8, 8, 4)
    seen = labels_seen(labels, [(8, 8, 4), (2, 4, 1)], corner=True)
    np.testing.assert_array_equal(seen[1], labels[:, ::4, ::2, ::4])


def test_labels_that_no_whole_block_covers_are_refused():
    with pytest.raises(ValueError, match="An edge of 9 labels is not a multiple of the 4 logits of a head"):
        labels_seen(labels_of(1, 8, 9, 8), [(8, 9, 8), (4, 4, 4)])


def labels_seen(labels, heads, **options):
    """The labels that each head is compared with, for heads of these edges."""
    seen = []
    binary = scheme_of(  # label v lies in the regions of its binary digits, so that the masks give any label back
        {
            "labels": {f"L{value}": value for value in range(1, 64)},
            "regions": {f"R{bit}": [f"L{value}" for value in range(1, 64) if value >> bit & 1] for bit in range(6)},
        }
    )
    spy = Loss("regions", lambda logits, masks: (seen.append(np.asarray(masks) > 0), ops.zeros((1,)))[1])
    deep_supervision(spy, [np.zeros((1, *edges, 3)) for edges in heads], labels, **options, scheme=binary)
    return [binary.labels_from_masks(masks) for masks in seen]


def test_every_head_has_a_gradient_and_the_lowest_one_of_zero():
    loss, labels = LOSSES["region_dice_bce"](), labels_of(2, 8, 8, 8)
    heads = [tf.constant(logits_of(loss, labels[:, ::s, ::s, ::s])) for s in (1, 2, 4)]

    @tf.function(input_signature=[[tf.TensorSpec((None,) * 4 + (3,))] * 3, tf.TensorSpec((None,) * 4, tf.uint8)])
    def gradients(logits, labels):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            total = deep_supervision(loss, logits, labels, scheme=builtin())
        return total, tape.gradient(total, logits)

    total, (full, half, quarter) = gradients(heads, tf.constant(labels))
    assert total.shape == (2,)
    assert np.abs(full).max() > 0 and np.abs(half).max() > 0 and np.abs(quarter).max() == 0


def test_a_misspelt_loss_or_option_is_answered_with_the_right_one():
    with pytest.raises(SettingsError, match=r"no loss named region_dice_cbe. Did you mean region_dice_bce\?"):
        build("loss", LOSSES, {"name": "region_dice_cbe"})
    with pytest.raises(SettingsError, match=r"loss=label_dice_ce has no option smoth. Did you mean smooth\?"):
        build("loss", LOSSES, {"name": "label_dice_ce", "smoth": 1})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("region_dice_bce", {"focus": -1}, r"loss.focus is -1.0. Expected a number, 0 or above"),
        ("region_dice_bce", {"dice": 0, "bce": 0}, r"loss.dice and loss.bce are both 0"),
        ("label_dice_ce", {"ce": -0.5}, r"loss.ce is -0.5"),
        ("label_dice_ce", {"smooth": "much"}, r"loss.smooth=much does not fit. Expected a number"),
        ("label_ce", {"focus": float("nan")}, r"loss.focus=nan does not fit. Expected a finite number"),
        ("region_tversky", {"false_negatives": -1}, r"loss.false_negatives is -1"),
        ("region_tversky", {"false_negatives": 0, "false_positives": 0}, r"one of the first two above 0"),
        ("label_tversky", {"power": 0}, r"loss.power 0.0. Expected"),
        ("region_generalised_dice", {"bce": -2}, r"loss.bce is -2"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(name, options, message):
    with pytest.raises(SettingsError, match=message):
        build("loss", LOSSES, {"name": name, **options})


def test_the_losses_never_import_tensorflow():
    for file in Path(brats_unet.losses.__file__).parent.glob("*.py"):
        assert not re.search(r"^\s*(import|from) tensorflow", file.read_text(), re.MULTILINE), file
