"""What a training says before its first step."""

from types import SimpleNamespace

from brats_unet.assembly.start_sentences import start_sentences
from brats_unet.data.folds import Split
from brats_unet.models.checkpoint import State
from brats_unet.run import Run


def sentences(
    tmp_path, *, replicas=1, state=None, steps=100, minutes=None, rate_for_batch=None, spacing_mm=(1, 1, 1.5)
):
    settings = SimpleNamespace(
        model={"name": "unet3d"},
        optimizer={"learning_rate": 0.01},
        steps=steps,
        minutes=minutes,
        sampling=SimpleNamespace(batch=8, rate_for_batch=rate_for_batch),
        data=SimpleNamespace(preparation={"spacing_mm": spacing_mm}),
    )
    devices = SimpleNamespace(replicas=replicas, precision="float32", description="4 workers × CPU")
    split = Split(("a", "b"), ("c",))
    return start_sentences(settings, Run(tmp_path / "run"), split, 12345, devices, state or State(0))


def test_one_device_needs_one_sentence(tmp_path):
    assert sentences(tmp_path) == [
        f"{tmp_path / 'run'}: unet3d with 12,345 weights, 2 cases for training and 1 held out, at 1×1×1.5 mm; float32 on "
        f"4 workers × CPU."
    ]


def test_several_devices_say_the_patches_of_each(tmp_path):
    assert sentences(tmp_path, replicas=4)[1] == "A step has 8 patches over 4 devices: 2 per device."


def test_a_scaled_learning_rate_is_said_with_its_sum(tmp_path):
    assert sentences(tmp_path, rate_for_batch=2)[1] == "Learning rate 0.04: 0.01 × batch 8 / 2."


def test_a_time_limit_and_a_resumed_run_are_said(tmp_path):
    found = sentences(tmp_path, minutes=5, state=State(30, seconds=90.0), spacing_mm=None)
    assert "on the grids of the scans" in found[0]
    assert found[1:] == [
        "The schedule ends after 5 minutes of training and validation, or after 100 steps if that is earlier.",
        "Resuming from step 30, 1.5 minutes in.",
    ]
    assert sentences(tmp_path, state=State(30))[1] == "Resuming from step 30 of 100."
