"""Where the cases of a training stay, as the settings say, and the same sampler wherever that is."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from brats_unet.assembly.case_storage import store_cases, training_sampler
from brats_unet.errors import SettingsError
from brats_unet.models import describe
from brats_unet.training.strategy import Devices

ONE = Devices(tf.distribute.get_strategy(), 1, "float32", False, "CPU")
MODEL = {"name": "unet3d", "features": [4, 8]}


@pytest.fixture(scope="module")
def cases(tmp_path_factory, write_prepared):
    folder = tmp_path_factory.mktemp("cases")
    labels = np.random.default_rng(0).choice(np.array([0, 0, 1, 2, 4], np.uint8), size=(2, 8, 8, 8))
    return [write_prepared(folder, f"case_{i}", labels[i], seed=i, channels=3) for i in range(2)]


def put(cases, keep):
    sampling = SimpleNamespace(
        patch=[8, 8, 8], batch=2, accumulate=1, foreground=0.5, slices=[0, 8], regions={"ET": 2.0}, keep=keep
    )
    settings = SimpleNamespace(
        model=MODEL, sampling=sampling, seed=5, data=SimpleNamespace(modalities=["flair", "t1", "t1ce"])
    )
    said = []
    network_shape = describe("unet3d", {"features": [4, 8]})
    return (
        store_cases(settings, cases, ONE, network_shape, log=said.append, progress=lambda *counts: None),
        settings,
        said,
    )


@pytest.mark.parametrize(
    ("keep", "where"), [("disk", "from disk"), ("memory", "in memory"), ("device", "on the device")]
)
def test_cases_stay_where_they_are_asked_to_and_it_is_said(cases, keep, where):
    kept, _, said = put(cases, keep)
    assert len(said) == 1 and where in said[0]
    assert [bool(case.copies) for case in kept] == [keep == "device"] * 2
    assert [isinstance(case.image, np.memmap) for case in kept] == [keep != "memory"] * 2


def test_left_to_itself_a_small_dataset_stays_in_memory_on_a_cpu(cases):
    assert "Keeping" in put(cases, "auto")[2][0] and not put(cases, "auto")[0][0].mapped


def test_the_sampler_is_the_settings_own(cases):
    _, settings, _ = put(cases, "disk")
    found = training_sampler(settings, cases, (1, 2, 3))
    assert (found.patch, found.batch, found.foreground) == ((8, 8, 8), 2, 0.5)
    assert (found.slices, found.seed, found.margin, found.weights) == ((0, 8), 5, (1, 2, 3), {"ET": 2.0})


def test_more_than_fits_is_refused(cases, monkeypatch):
    monkeypatch.setattr("brats_unet.assembly.case_storage.memory_available_bytes", lambda: 1000)
    with pytest.raises(SettingsError, match=r"sampling.keep=memory: .* do not fit into"):
        put(cases, "memory")
    assert put(cases, "auto")[2] == [
        "Reading 8 KiB of cases from disk: too many for memory (1 KiB free, of which they may take half)."
    ]
