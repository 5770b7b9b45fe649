"""Cases on disk, in memory or on the device, as `sampling.keep` says, and the sampler of the settings."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from brats_unet.assembly import case_storage
from brats_unet.assembly.case_storage import held_out_sampler, store_cases, training_sampler
from brats_unet.errors import SettingsError
from brats_unet.models import describe
from brats_unet.training.step_memory import BYTES_PER_VOXEL
from brats_unet.training.strategy import Devices

ONE = Devices(tf.distribute.get_strategy(), 1, "float32", False, "CPU")
MODEL = {"name": "unet3d", "features": [4, 8]}


@pytest.fixture(scope="module")
def cases(tmp_path_factory, write_prepared):
    folder = tmp_path_factory.mktemp("cases")
    labels = np.random.default_rng(0).choice(np.array([0, 0, 1, 2, 4], np.uint8), size=(2, 8, 8, 8))
    return [write_prepared(folder, f"case_{i}", labels[i], seed=i, channels=3) for i in range(2)]


def store(cases, keep, margin=(0, 0, 0)):
    sampling = SimpleNamespace(
        patch=[8, 8, 8],
        batch=2,
        accumulate=1,
        foreground=0.5,
        slices=[0, 8],
        regions={"ET": 2.0},
        overhang=True,
        keep=keep,
    )
    settings = SimpleNamespace(
        model=MODEL, sampling=sampling, seed=5, data=SimpleNamespace(modalities=["flair", "t1", "t1ce"])
    )
    logged = []
    network_shape = describe("unet3d", {"features": [4, 8]})
    return (
        store_cases(
            settings, cases, ONE, network_shape, margin=margin, log=logged.append, progress=lambda *counts: None
        ),
        settings,
        logged,
    )


@pytest.mark.parametrize(
    ("keep", "where"), [("disk", "from disk"), ("memory", "in memory"), ("device", "on the device")]
)
def test_cases_are_stored_where_keep_says_and_one_line_is_logged(cases, keep, where):
    stored, _, logged = store(cases, keep)
    assert len(logged) == 1 and where in logged[0]
    assert [bool(case.copies) for case in stored] == [keep == "device"] * 2
    assert [isinstance(case.image, np.memmap) for case in stored] == [keep != "memory"] * 2


def test_keep_auto_puts_a_small_dataset_into_memory_on_a_cpu(cases):
    assert "Keeping" in store(cases, "auto")[2][0] and not store(cases, "auto")[0][0].mapped


def test_what_augmentation_reads_around_a_patch_counts_in_the_memory_of_a_step(cases, monkeypatch):
    seen = []
    choose = case_storage.choose_storage
    monkeypatch.setattr(
        case_storage,
        "choose_storage",
        lambda *a, **given: (seen.append(given["training_bytes"]), choose(*a, **given))[1],
    )
    store(cases, "disk"), store(cases, "disk", (4, 4, 4))
    assert seen[1] - seen[0] == 2 * (16**3 - 8**3) * BYTES_PER_VOXEL * 3 // 4  # two patches of three modalities


def test_held_out_patches_are_drawn_as_in_training_with_numbers_of_their_own(cases):
    _, settings, _ = store(cases, "disk")
    found, training = held_out_sampler(settings, cases), training_sampler(settings, cases, (0, 0, 0))
    assert found == replace(training, seed=5 + 2**32)  # no run has this seed
    assert [found.place(1, i).case for i in range(4)] == [
        held_out_sampler(settings, cases).place(1, i).case for i in range(4)
    ]


def test_the_sampler_follows_the_settings(cases):
    _, settings, _ = store(cases, "disk")
    found = training_sampler(settings, cases, (1, 2, 3))
    assert (found.patch, found.batch, found.foreground) == ((8, 8, 8), 2, 0.5)
    assert (found.slices, found.seed, found.margin, found.weights) == ((0, 8), 5, (1, 2, 3), {"ET": 2.0})
    assert found.overhang


def test_cases_that_do_not_fit_are_refused_or_stay_on_disk(cases, monkeypatch):
    monkeypatch.setattr("brats_unet.assembly.case_storage.memory_available_bytes", lambda: 1000)
    with pytest.raises(SettingsError, match=r"sampling.keep=memory: .* do not fit into"):
        store(cases, "memory")
    assert store(cases, "auto")[2] == [
        "Reading 8 KiB of cases from disk: too many for memory (1 KiB free, of which they may take half)."
    ]
