from functools import lru_cache, partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import yaml

from brats_unet.data.augment.mirror import mirror, none
from brats_unet.data.augment.nnunet import full
from brats_unet.losses import region_dice_bce
from brats_unet.losses.compound import deep_supervision
from brats_unet.models import blocks
from brats_unet.models.unet import unet2d, unet3d
from brats_unet.schemes.scheme_file import builtin
from brats_unet.training.averaging import Average
from brats_unet.training.optimizers import adam, sgd
from brats_unet.training.step import LossScale, build_step, per_replica
from brats_unet.training.strategy import Devices, choose_devices

ONE = Devices(tf.distribute.get_strategy(), 1, "float32", False, "CPU")
BATCH = 4


def batch_of(step, edge=8, batch=BATCH, channels=2):
    rng = np.random.default_rng(step)
    images = rng.normal(size=(batch, edge, edge, edge, channels)).astype(np.float16)
    return images, rng.choice(np.array([0, 1, 2, 4], np.uint8), size=images.shape[:-1])


def shares(devices, step, images, labels, samples=None):
    """Arguments of a step; sample i goes to replica i modulo the number of replicas."""
    samples = np.arange(len(images)) if samples is None else np.asarray(samples)
    slices = [slice(replica, None, devices.replicas) for replica in range(devices.replicas)]
    return per_replica(
        devices,
        [
            (
                tf.constant(step, tf.int64),
                tf.constant(samples[d], tf.int64),
                tf.constant(images[d]),
                tf.constant(labels[d]),
            )
            for d in slices
        ],
    )


def updates(devices, optimizer, steps=4, accumulate=1, augmentation=mirror):
    """(loss, gradient norm) of some updates of a tiny U-Net, and the sums of its kernels and of their means after them."""
    with devices.strategy.scope():
        model = unet3d(channels=2, outputs=3, dtype=devices.policy, seed=0, features=[4, 8], convolutions=1)
        optimizer = optimizer()
    average = Average(model, 0.5, devices.strategy)
    loss = partial(deep_supervision, region_dice_bce(), scheme=builtin())
    step = build_step(
        devices=devices,
        model=model,
        loss=loss,
        optimizer=optimizer,
        augmentation=augmentation(),
        seed=5,
        batch=BATCH,
        accumulate=accumulate,
        average=average,
    )
    found = [[float(x) for x in step(*shares(devices, t, *batch_of(t)))] for t in range(steps)]
    # Biases before an instance normalisation have no effect; their gradients are only rounding errors.
    kernels = [w for w in model.trainable_variables if w.path.endswith("kernel")]
    local = devices.strategy.experimental_local_results
    means = [[float(np.abs(m.numpy()).sum()) for m in local(average.means[w.path])] for w in kernels]
    assert all(len(replica_means) == devices.replicas and len(set(replica_means)) == 1 for replica_means in means)
    return (
        found,
        [float(np.abs(w.numpy()).sum()) for w in kernels],
        [replica_means[0] for replica_means in means],
    )


def statistics_after_an_update(devices, *, synchronized=False):
    """Moving mean and variance of the first feature of a batch normalisation, on each replica, after one update."""
    flat = (1, 1, 1)
    layers = {"dtype": "float32", "seed": 0}
    with devices.strategy.scope():
        # The first stage of a U-Net and its head: a whole one takes XLA three times as long and has the same statistics.
        image = keras.Input((None, None, None, 2))
        style = {"norm": "batch", "groups": 1, "slope": 0.01, "bias": True, **layers}
        x = blocks.stage(image, 4, convolutions=1, kernel=(3, 3, 3), stride=flat, name="encoder_0", **style)
        model = keras.Model(image, [blocks.head(x, 3, enlarge=flat, name="head_0", **layers)])
        optimizer = sgd()
    norm = model.get_layer("encoder_0_norm_0")
    norm.synchronized = synchronized
    loss = partial(deep_supervision, region_dice_bce(), scheme=builtin())
    options = {"optimizer": optimizer, "augmentation": none(), "seed": 5, "batch": BATCH}
    build_step(devices=devices, model=model, loss=loss, **options)(*shares(devices, 0, *batch_of(0)))
    local = devices.strategy.experimental_local_results
    return [[float(values[0]) for values in local(moving.value)] for moving in (norm.moving_mean, norm.moving_variance)]


@lru_cache
def full_augmentation():
    """nnU-Net's augmentation; cached, so that each transform is compiled only once."""
    options = yaml.safe_load((Path(__file__).parents[2] / "conf" / "augmentation" / "nnunet.yaml").read_text())
    del options["name"]
    return full(**options)


# All gradient norms are above 0.1, so every update is clipped.
RULES = {
    "sgd": lambda: sgd(learning_rate=0.1, clip_norm=0.1, weight_decay=0.01),
    "adam": lambda: adam(learning_rate=0.01, clip_norm=0.1, weight_decay=0.01),
}


def overflow_on_one_replica(devices):
    """Loss scale and change of the weights after an update whose second sample overflows float16, and after a normal one."""
    with devices.strategy.scope():
        model = linear(dtype="mixed_float16")
        rule = plain_sgd(0.5)
    scale = LossScale(2.0**12)
    step = build_step(
        devices=devices,
        model=model,
        loss=weighted,
        optimizer=rule,
        augmentation=none(),
        seed=0,
        batch=2,
        loss_scale=scale,
    )
    images = np.ones((2, 2, 2, 2, 1), np.float16)
    found = []
    for labels in ((1, 255), (1, 1)):
        before = model.get_weights()[0].copy()
        step(
            *shares(
                devices,
                0,
                images,
                np.full((2, 2, 2, 2), 1, np.uint8) * np.reshape(labels, (2, 1, 1, 1)).astype(np.uint8),
            )
        )
        found.append([scale.value, float(before.ravel()[0] - model.get_weights()[0].ravel()[0])])
    return found


def linear(channels=1, dtype="float32", start=1.0):
    """Network with logit = w · voxel, where every w is `start`."""
    image = keras.Input((None, None, None, channels), name="image")
    layer = keras.layers.Conv3D(
        1, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(start), name="w", dtype=dtype
    )
    return keras.Model(image, layer(image), name="linear")


def weighted(logits, labels):
    """Sum over voxels of label · logit; its gradient is known exactly."""
    product = keras.ops.cast(labels[..., None], "float32") * keras.ops.cast(logits, "float32")
    return keras.ops.sum(product, axis=(1, 2, 3, 4))


def plain_sgd(learning_rate, *, clip_norm=None, weight_decay=0.0):
    return sgd(
        learning_rate=learning_rate, momentum=0.0, nesterov=False, weight_decay=weight_decay, clip_norm=clip_norm
    )


def linear_step(optimizer, *, devices=ONE, augmentation=None, batch=1, start=1.0, loss=weighted, **options):
    model = linear(start=start, channels=2)
    return model, build_step(
        devices=devices,
        model=model,
        loss=loss,
        optimizer=optimizer,
        augmentation=augmentation or none(),
        seed=0,
        batch=batch,
        **options,
    )


def one_voxel(first, second, label=1):
    return np.full((1, 1, 1, 1, 2), [first, second], np.float16), np.full((1, 1, 1, 1), label, np.uint8)


def weights_of(model):
    return model.get_weights()[0].ravel().tolist()


def test_an_update_by_hand():
    model, step = linear_step(plain_sgd(0.5))
    loss, norm = step(*shares(ONE, 0, *one_voxel(3, 4)))
    assert float(loss) == 7 and float(norm) == 5
    assert weights_of(model) == [1 - 0.5 * 3, 1 - 0.5 * 4]


def test_the_loss_is_the_mean_over_the_whole_batch():
    model, step = linear_step(plain_sgd(1.0), batch=2)
    images = np.concatenate([one_voxel(3, 4)[0], one_voxel(1, 0)[0]])
    loss, norm = step(*shares(ONE, 0, images, np.ones((2, 1, 1, 1), np.uint8)))
    assert float(loss) == (7 + 1) / 2 and float(norm) == pytest.approx(8**0.5)
    assert weights_of(model) == [1 - 2, 1 - 2]


def test_gradients_above_the_norm_limit_are_scaled_down_and_others_are_unchanged():
    model, step = linear_step(plain_sgd(1.0, clip_norm=1.0))
    _, norm = step(*shares(ONE, 0, *one_voxel(3, 4)))
    assert float(norm) == 5  # the norm before clipping
    np.testing.assert_allclose(weights_of(model), [1 - 0.6, 1 - 0.8], rtol=1e-6)
    step(*shares(ONE, 1, *one_voxel(0.25, 0)))
    np.testing.assert_allclose(weights_of(model), [0.4 - 0.25, 0.2], rtol=1e-6)


def test_coupled_decay_is_added_after_clipping():
    model, step = linear_step(plain_sgd(0.5, clip_norm=1.0, weight_decay=0.1), start=2.0)
    step(*shares(ONE, 0, *one_voxel(3, 4)))
    np.testing.assert_allclose(weights_of(model), [2 - 0.5 * (0.6 + 0.2), 2 - 0.5 * (0.8 + 0.2)], rtol=1e-6)


def test_a_loss_that_is_not_finite_is_returned_unchanged():
    _, step = linear_step(plain_sgd(0.5))
    loss, norm = step(*shares(ONE, 0, *one_voxel(np.inf, -np.inf)))
    assert np.isnan(float(loss)) and not np.isfinite(float(norm))


def corner(logits, labels):
    """Logit of the first voxel; it shows whether a patch was mirrored."""
    return logits[:, 0, 0, 0, 0] + 0.0 * keras.ops.cast(labels[:, 0, 0, 0], "float32")


@pytest.mark.parametrize("jit", [False, True], ids=["plain", "XLA"])
def test_a_sample_is_augmented_the_same_alone_in_a_batch_and_with_xla(jit):
    devices = Devices(ONE.strategy, 1, "float32", jit, "CPU")
    images = np.arange(4 * 8 * 2, dtype=np.float16).reshape(4, 2, 2, 2, 2)
    labels = np.ones((4, 2, 2, 2), np.uint8)

    def losses(batch, groups):
        _, step = linear_step(plain_sgd(0.0), devices=devices, augmentation=mirror(), batch=batch, loss=corner)
        return [float(step(*shares(devices, 3, images[list(g)], labels[list(g)], g))[0]) for g in groups]

    alone = losses(1, [(i,) for i in range(4)])
    assert losses(2, [(0, 2), (3, 1)]) == [(alone[0] + alone[2]) / 2, (alone[3] + alone[1]) / 2]
    assert alone == EXPECTED_CORNERS


# Seed 0, step 3: the first voxel of each sample after mirroring. The same on every machine and with XLA.
EXPECTED_CORNERS = [25.0, 57.0, 85.0, 121.0]


def test_a_2d_network_takes_patches_of_one_slice():
    model = unet2d(channels=2, outputs=3, features=[4, 8], convolutions=1)
    loss = partial(deep_supervision, region_dice_bce(), scheme=builtin())
    step = build_step(devices=ONE, model=model, loss=loss, optimizer=adam(), augmentation=mirror(), seed=0, batch=4)
    images, labels = batch_of(0)
    value, norm = step(*shares(ONE, 0, images[:, :, :, :1], labels[:, :, :, :1]))
    assert 0 < float(value) < 5 and float(norm) > 0


@pytest.fixture(scope="module")
def on_one():
    return {name: updates(ONE, optimizer) for name, optimizer in RULES.items()}


def test_the_same_seed_gives_bit_identical_losses(on_one):
    assert updates(ONE, RULES["adam"]) == on_one["adam"]


def test_twenty_steps_with_full_augmentation_are_bit_identical():
    once, again = (updates(ONE, RULES["sgd"], 20, 1, full_augmentation) for _ in range(2))
    assert len(once[0]) == 20 and once == again


@pytest.mark.parametrize("accumulate", [2, 4])
@pytest.mark.parametrize("name", RULES)
def test_accumulating_gradients_gives_the_update_of_the_whole_batch(on_one, name, accumulate):
    found = updates(ONE, RULES[name], accumulate=accumulate)
    for parts, whole in zip(found, on_one[name], strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)


def test_accumulated_gradients_are_summed_by_hand():
    model, step = linear_step(plain_sgd(1.0), batch=2, accumulate=2)
    images = np.concatenate([one_voxel(3, 4)[0], one_voxel(1, 0)[0]])
    loss, norm = step(*shares(ONE, 0, images, np.ones((2, 1, 1, 1), np.uint8)))
    assert float(loss) == (7 + 1) / 2 and float(norm) == pytest.approx(8**0.5)
    assert weights_of(model) == [1 - 2, 1 - 2]


def test_each_accumulation_part_waits_for_the_previous_one():
    order = []

    def watched(logits, labels):
        value = weighted(logits, labels)
        return value + 0.0 * tf.numpy_function(lambda v: order.append(float(v[0])) or v, [value], tf.float32)

    _, step = linear_step(plain_sgd(0.0), batch=8, accumulate=8, loss=watched)
    images = np.concatenate([one_voxel(i, 0)[0] for i in range(8)])
    for _ in range(5):
        order.clear()
        step(*shares(ONE, 0, images, np.ones((8, 1, 1, 1), np.uint8)))
        assert order == list(range(8))


@pytest.fixture(scope="module")
def with_full_augmentation():
    return updates(ONE, RULES["sgd"], 2, 1, full_augmentation)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_xla_gives_the_same_numbers_with_full_augmentation_and_accumulation(with_full_augmentation, accumulate):
    compiled = Devices(ONE.strategy, 1, "float32", True, "CPU")
    found = updates(compiled, RULES["sgd"], 2, accumulate, full_augmentation)
    for actual, expected in zip(found, with_full_augmentation, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def measured_on_two():
    """Number of replicas, and on them: losses by rule, an overflow, losses with XLA, and moving statistics."""
    plain = choose_devices(device="mirrored", precision="float32", jit="off", replicas=2)
    found = {name: updates(plain, rule) for name, rule in RULES.items()}
    jit = Devices(plain.strategy, 2, "float32", True, "CPU")
    compiled = updates(jit, RULES["sgd"], 4, 2)
    moving = [statistics_after_an_update(devices) for devices in (plain, jit)]
    together = statistics_after_an_update(plain, synchronized=True)
    return plain.replicas, found, overflow_on_one_replica(plain), compiled, moving, together


def test_two_logical_devices_give_the_losses_of_one_also_with_accumulation_and_xla(on_one, in_new_process):
    replicas, on_two, overflow, compiled, moving, together = in_new_process(__file__, "measured_on_two")
    assert replicas == 2
    for name in RULES:
        (steps_one, weights_one, means_one), (steps_two, weights_two, means_two) = on_one[name], on_two[name]
        assert min(norm for _, norm in steps_one) > 0.1, "every update should be clipped"
        np.testing.assert_allclose(steps_two, steps_one, rtol=1e-5, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(weights_two, weights_one, rtol=1e-4, err_msg=name)
        np.testing.assert_allclose(means_two, means_one, rtol=1e-4, err_msg=name)
    for actual, expected in zip(compiled, on_one["sgd"], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    # Moving means equal those of the whole batch. Variances almost do: they lack the variance between the replicas.
    (mean,), (variance,) = statistics_after_an_update(ONE)
    for means, variances in moving:
        assert means == pytest.approx([mean] * 2, rel=1e-4)
        assert variances[0] == variances[1] == pytest.approx(variance, rel=1e-3)
    # Synchronised ones do not lack it.
    assert together == [pytest.approx([mean] * 2, rel=1e-5), pytest.approx([variance] * 2, rel=1e-5)]
    # An overflow on the second replica only is skipped on both.
    assert overflow == overflow_on_one_replica(ONE) == [[2.0**11, 0.0], [2.0**11, 4.0]]


def test_a_loss_scale_is_halved_at_each_overflow_down_to_1():
    scale = LossScale(4.0, since=7)
    assert [(scale.update(False), scale.value, scale.since) for _ in range(3)] == [
        (False, 2, 0),
        (False, 1, 0),
        (False, 1, 0),
    ]


def test_a_loss_scale_is_doubled_after_2000_updates_without_overflow_up_to_2_to_the_24():
    scale = LossScale(2.0**23)
    assert all(scale.update(True) for _ in range(1999)) and scale.value == 2.0**23
    assert scale.update(True) and (scale.value, scale.since) == (2.0**24, 0)
    for _ in range(2000):
        scale.update(True)
    assert scale.value == 2.0**24


def test_an_overflow_restarts_the_count():
    scale = LossScale(8.0)
    for finite in (*[True] * 1999, False, *[True] * 1999):
        scale.update(finite)
    assert (scale.value, scale.since) == (4, 1999)


def test_a_loss_scale_is_restored_and_is_new_where_the_checkpoint_has_none():
    scale = LossScale(4.0, since=7)
    scale.restore([64.0, 3])
    assert (scale.value, scale.since) == (64, 3)
    scale.restore(None)
    assert (scale.value, scale.since) == (LossScale().value, 0) == (2**15, 0)


def test_the_devices_of_these_tests_equal_hardware_cpu():
    chosen = choose_devices(device="cpu", precision="float32", jit="auto", replicas=None)
    assert (chosen.replicas, chosen.precision, chosen.jit) == (ONE.replicas, ONE.precision, ONE.jit)
