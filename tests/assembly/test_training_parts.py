"""Validation on held-out patches, the learning rate for a batch, and batch normalisation over several devices."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from brats_unet.assembly.training_parts import devices_of, optimizer_of, patch_validation, training_step
from brats_unet.data.patches.sampling import Sampler
from brats_unet.errors import SettingsError
from brats_unet.losses import region_dice_bce
from brats_unet.models import describe
from brats_unet.models.unet import unet3d
from brats_unet.schemes.scheme_file import builtin
from brats_unet.training.rules import NEWEST
from brats_unet.training.strategy import Devices

ONE = Devices(tf.distribute.get_strategy(), 1, "float32", False, "CPU")


def validation_of(sampler=None, *, rules=NEWEST, every=100, accumulate=1, replicas=1):
    settings = SimpleNamespace(
        rules=rules,
        scheme=builtin().as_dict(),
        validation=SimpleNamespace(patches_every=every, patch_batches=1),
        sampling=SimpleNamespace(batch=4, accumulate=accumulate),
    )
    return patch_validation(
        settings,
        devices=Devices(ONE.strategy, replicas, "float32", False, "CPU"),
        model=unet3d(channels=2, outputs=3, seed=0, features=[4, 8], convolutions=1),
        network_shape=describe("unet3d", {"features": [4, 8]}),
        loss=region_dice_bce(),
        sampler=sampler,
        average=None,
    )


def test_a_run_by_the_rules_of_version_1_or_without_an_interval_is_not_validated_on_patches():
    assert validation_of(rules=1) is None and validation_of(every=None) is None


@pytest.mark.parametrize(("accumulate", "replicas", "expected"), [(1, 1, 4), (2, 1, 2), (2, 2, 1)])
def test_as_many_patches_are_computed_at_once_as_in_training(
    tmp_path, write_prepared, monkeypatch, accumulate, replicas, expected
):
    from brats_unet.training import pseudo_dice

    seen, read = [], pseudo_dice.read_batch
    monkeypatch.setattr(
        pseudo_dice,
        "read_batch",
        lambda sampler, step, samples: (seen.append(len(samples)), read(sampler, step, samples))[1],
    )
    labels = np.full((8, 8, 8), 4, np.uint8)
    sampler = Sampler([write_prepared(tmp_path, "case", labels)], (8, 8, 8), 4, 0.5, None, 9)
    scores = validation_of(sampler, accumulate=accumulate, replicas=replicas).measure(1)
    assert seen == [expected] * (4 // expected) and scores.loss > 0


@pytest.mark.parametrize(("rate_for_batch", "rate"), [(None, 0.01), (4, 0.01), (2, 0.02), (16, 0.0025)])
def test_the_learning_rate_is_multiplied_by_the_batch_only_if_asked(rate_for_batch, rate):
    settings = SimpleNamespace(
        rules=NEWEST,
        optimizer={"name": "sgd", "learning_rate": 0.01},
        sampling=SimpleNamespace(batch=4, rate_for_batch=rate_for_batch),
    )
    assert optimizer_of(settings).learning_rate == pytest.approx(rate)


def hardware(**changed):
    told = {"device": "cpu", "precision": "float32", "jit": "auto", "replicas": None, "synchronized_norm": True}
    return SimpleNamespace(**told | changed)


def test_synchronized_norm_is_computed_without_xla():
    assert devices_of(hardware()).jit is False
    assert devices_of(hardware(jit="on", synchronized_norm=False)).jit is True
    with pytest.raises(SettingsError, match="hardware.synchronized_norm=true and hardware.jit=on"):
        devices_of(hardware(jit="on"))


def test_synchronized_norm_without_batch_normalisation_is_refused():
    model = unet3d(channels=2, outputs=3, seed=0, features=[4, 8], convolutions=1, norm="instance")
    parts = {"network_shape": None, "loss": None, "optimizer": None, "augmentation": None}
    with pytest.raises(SettingsError, match="but the network has no batch normalisation"):
        training_step(
            SimpleNamespace(hardware=hardware()), devices=ONE, model=model, average=None, loss_scale=None, **parts
        )
