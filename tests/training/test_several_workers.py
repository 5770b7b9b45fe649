"""Two worker processes on loopback: the numbers of one device, and an end with one sentence when one of them fails."""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from brats_unet.data.augment.mirror import mirror, none
from brats_unet.distributed.joining import joined
from brats_unet.losses import region_dice_bce
from brats_unet.losses.compound import deep_supervision
from brats_unet.models.unet import unet3d
from brats_unet.schemes.scheme_file import builtin
from brats_unet.training.averaging import Average
from brats_unet.training.optimizers import adam, sgd
from brats_unet.training.step import LossScale, build_step, per_replica
from brats_unet.training.strategy import choose_devices

CHECKOUT = Path(__file__).resolve().parents[2]
STEPS, BATCH = 20, 8
PLAIN = {"precision": "float32", "jit": "off", "replicas": None}


def start(arguments, *, count=2, environment=None, **options):
    """Start worker processes; `environment` gives the extra variables of a worker by its index."""
    probes = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{probe.getsockname()[1]}" for probe in probes]
    for probe in probes:
        probe.close()
    started = []
    for index in range(count):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        variables = {**os.environ, "TF_CONFIG": json.dumps(config), "PYTHONPATH": str(CHECKOUT)}
        variables |= (environment or {}).get(index, {})
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(
            subprocess.Popen([sys.executable, "-W", "ignore", *arguments], env=variables, **pipes, **options)
        )
    return started, addresses


def ended(processes, seconds=300):
    """(exit code, stdout, stderr) of each."""
    return [
        (process.returncode, *streams) for process in processes for streams in [process.communicate(timeout=seconds)]
    ]


def function_on_two(name):
    """What a function of this file returns in each of two worker processes."""
    script = "import json, runpy, sys; print(json.dumps(runpy.run_path(sys.argv[1])[sys.argv[2]]()))"
    found = ended(start(["-c", script, __file__, name])[0])
    assert [code for code, _, _ in found] == [0, 0], found[0][2][-2000:] + found[1][2][-2000:]
    return [json.loads(out.splitlines()[-1]) for _, out, _ in found]


def batch_of(step, edge=8, channels=2):
    rng = np.random.default_rng(step)
    images = rng.normal(size=(BATCH, edge, edge, edge, channels)).astype(np.float16)
    return images, rng.choice(np.array([0, 1, 2, 4], np.uint8), size=images.shape[:-1])


def shares(devices, step, images, labels):
    """Arguments of a step for the replicas of this process; sample i goes to replica i modulo their number."""
    replicas = range(
        devices.workers.index * devices.local_replicas, (devices.workers.index + 1) * devices.local_replicas
    )
    parts = [slice(replica, None, devices.replicas) for replica in replicas]
    samples = np.arange(len(images))
    return per_replica(
        devices,
        [
            (tf.constant(step, tf.int64), tf.constant(samples[i]), tf.constant(images[i]), tf.constant(labels[i]))
            for i in parts
        ],
    )


def updates(devices, rule, *, norm="batch", accumulate=1):
    """[loss, gradient norm] of 20 updates with mirroring, clipping, deep supervision and EMA; then sums of the means."""
    with devices.strategy.scope():
        options = {"features": [4, 8], "convolutions": 1, "norm": norm, "deep_supervision": True}
        model = unet3d(channels=2, outputs=3, dtype=devices.policy, seed=0, **options)
        optimizer = rule()
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = devices.replicas > 1
    average = Average(model, 0.9, devices.strategy)
    step = build_step(
        devices=devices,
        model=model,
        loss=partial(deep_supervision, region_dice_bce(), scheme=builtin()),
        optimizer=optimizer,
        augmentation=mirror(),
        seed=5,
        batch=BATCH,
        accumulate=accumulate,
        average=average,
    )
    found = [[float(x) for x in step(*shares(devices, t, *batch_of(t)))] for t in range(STEPS)]
    moving = [
        weight.path for weight in model.weights if weight.path.endswith(("kernel", "moving_mean", "moving_variance"))
    ]
    return found, [float(np.abs(average.means[path].numpy()).sum()) for path in moving]


def overflow(devices):
    """Loss scale and change of the weight after an update whose second sample overflows float16, and a normal one."""
    with devices.strategy.scope():
        image = keras.Input((None, None, None, 1))
        start = keras.initializers.Constant(1.0)
        layer = keras.layers.Conv3D(1, 1, use_bias=False, kernel_initializer=start, dtype="mixed_float16")
        model = keras.Model(image, layer(image))
        optimizer = sgd(learning_rate=0.5, momentum=0.0, nesterov=False, weight_decay=0.0, clip_norm=None)
    scale = LossScale(2.0**12)

    def loss(logits, labels):
        return keras.ops.sum(
            keras.ops.cast(labels[..., None], "float32") * keras.ops.cast(logits, "float32"), (1, 2, 3, 4)
        )

    options = {"optimizer": optimizer, "augmentation": none(), "seed": 0, "batch": 4, "loss_scale": scale}
    step = build_step(devices=devices, model=model, loss=loss, **options)
    images, found = np.ones((4, 2, 2, 2, 1), np.float16), []
    for second in (255, 1):
        before = float(model.get_weights()[0].ravel()[0])
        labels = np.reshape(np.array([1, second, 1, 1], np.uint8), (4, 1, 1, 1)) * np.ones((4, 2, 2, 2), np.uint8)
        step(*shares(devices, 0, images, labels))
        found.append([scale.value, before - float(model.get_weights()[0].ravel()[0])])
    return found


# Every gradient norm is above 0.05, so every update is clipped.
CASES = {
    "sgd": (partial(sgd, learning_rate=0.1, clip_norm=0.05, weight_decay=0.01), {}),
    "adam with two parts and instance norm": (
        partial(adam, learning_rate=0.01, clip_norm=0.05, weight_decay=0.01),
        {"accumulate": 2, "norm": "instance"},
    ),
}


def measured(devices):
    return {name: updates(devices, rule, **options) for name, (rule, options) in CASES.items()}, overflow(devices)


def measured_on_a_worker():
    with joined(True, log=lambda sentence: None) as workers:
        devices = choose_devices(device="workers", **PLAIN, workers=workers)
        assert (devices.replicas, devices.local_replicas, len(devices.names)) == (2, 1, 1)
        return measured(replace(devices, precision="float32"))


def measured_on_logical_devices():
    count = int(os.environ["DEVICES"])
    devices = choose_devices(device="mirrored", **PLAIN | {"replicas": count})
    assert devices.replicas == count
    return measured(replace(devices, precision="float32"))


def assert_equal(found, expected):
    for name, (steps, means) in expected[0].items():
        assert len(steps) == STEPS and min(norm for _, norm in steps) > 0.05, "every update should be clipped"
        np.testing.assert_allclose(found[0][name][0], steps, rtol=1e-5, err_msg=name)
        np.testing.assert_allclose(found[0][name][1], means, rtol=1e-5, err_msg=name)
    (scale, skipped), (after, change) = expected[1]
    assert found[1] == expected[1] and scale == after == 2.0**11 and skipped == 0 != change


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_logical_devices_give_the_numbers_of_one_over_twenty_steps_also_with_an_overflow_on_one(count):
    script = "import json, runpy, sys; print(json.dumps(runpy.run_path(sys.argv[1])['measured_on_logical_devices']()))"
    variables = {**os.environ, "DEVICES": str(count), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-W", "ignore", "-c", script, __file__]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert_equal(json.loads(done.stdout.splitlines()[-1]), plain(measured(choose_devices(device="cpu", **PLAIN))))


def plain(value):
    return json.loads(json.dumps(value))


@pytest.mark.slow
def test_two_workers_give_the_numbers_of_one_device_over_twenty_steps_also_with_an_overflow_on_one_of_them():
    expected = plain(measured(choose_devices(device="cpu", **PLAIN)))
    for found in function_on_two("measured_on_a_worker"):
        assert_equal(found, expected)


def test_a_package_of_another_version_on_one_worker_is_refused_by_name_before_the_first_step(tmp_path):
    (tmp_path / "keras-2.0.dist-info").mkdir()
    (tmp_path / "keras-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 2.0\n")
    script = "from brats_unet.distributed.joining import joined\nwith joined(True, log=print): print('a step')"
    processes, addresses = start(["-c", script], environment={1: {"PYTHONPATH": f"{tmp_path}:{CHECKOUT}"}})
    for code, out, err in ended(processes):
        assert code == 1 and "a step" not in out
        assert f"Worker 1 ({addresses[1]}) has keras 2.0, Worker 0 ({addresses[0]}) has {keras.__version__}." in err
        assert "Install the same versions on every worker." in err
