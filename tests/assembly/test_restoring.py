"""What is said about a run that goes on with other devices."""

import json
from dataclasses import replace

import pytest
import tensorflow as tf

from brats_unet.assembly.restoring import tell_other_devices
from brats_unet.binding import bind
from brats_unet.cli import arguments, checks, hydra
from brats_unet.cli.conf_files import COMMANDS
from brats_unet.run import Run
from brats_unet.training.strategy import Devices

ONE = Devices(tf.distribute.get_strategy(), 1, "float32", False, "CPU, 2 cores")


def said(tmp_path, devices, before, norm="instance"):
    request = arguments.split(["train", "data.root=x", f"model.norm={norm}"])
    settings = bind(COMMANDS["train"], hydra.settings_of(request, checks.checked(request)))
    run, sentences = Run(tmp_path), []
    if before is not None:
        run.environment_file.write_text(json.dumps(before))
    tell_other_devices(run, settings, devices, sentences.append)
    return sentences


@pytest.mark.parametrize("before", [None, {"devices": "CPU, 2 cores", "precision": "float32"}])
def test_nothing_is_said_about_the_same_or_unknown_devices(tmp_path, before):
    assert said(tmp_path, ONE, before, norm="batch") == []


@pytest.mark.parametrize(
    ("norm", "precision", "result"),
    [
        ("instance", "float32", "equals that without the change within rounding, not bit for bit."),
        ("batch", "float32", "differs from that without the change: each device normalises its share of the batch by"),
        ("batch", "bfloat16", "differs from that without the change; hardware.precision=bfloat16 keeps the precision."),
    ],
)
def test_other_devices_are_named_with_what_they_change(tmp_path, norm, precision, result):
    before = {"devices": "2 logical CPUs", "precision": precision}
    (sentence,) = said(tmp_path, replace(ONE, description="CPU, 4 cores"), before, norm)
    assert sentence.startswith(
        f"Trained so far on 2 logical CPUs in {precision}, from here on CPU, 4 cores in float32, with the same batches. "
        f"The result {result}"
    )
