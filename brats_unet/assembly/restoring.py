"""The state that a training goes on from: its newest whole checkpoint, and whether the devices are others."""

import keras

from brats_unet.errors import SettingsError
from brats_unet.files import read_json
from brats_unet.models import checkpoint
from brats_unet.run import Run
from brats_unet.settings import Train
from brats_unet.training.averaging import Average
from brats_unet.training.last_checkpoints import restore_newest, set_aside
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.step import LossScale


def restored(
    run: Run,
    settings: Train,
    model: keras.Model,
    optimizer: Optimizer,
    average: Average | None,
    loss_scale: LossScale | None,
) -> tuple[checkpoint.State, str]:
    """Restore the newest checkpoint that is whole; damaged ones are set aside.

    Returns:
        Its state, or that of step 0 if there is none; and a warning that names the damaged ones, or "".

    Raises:
        CheckpointError: No checkpoint is whole, or it is of another network.
        SettingsError: The run has done more steps than `settings.steps`.
    """
    state, damaged, warning = restore_newest(run, model, optimizer.rule, None if average is None else average.named())
    if settings.steps is not None and state.step > settings.steps:
        raise SettingsError(
            f"{run.folder} has done {state.step} steps already, more than steps={settings.steps}. "
            f"Give more steps, or another name=…."
        )
    set_aside(run, damaged)
    if loss_scale is not None:
        loss_scale.restore(state.loss_scale)
    return state, warning


def other_devices(run: Run, devices: str, precision: str, norm: str | None) -> str:
    """A sentence for the user if a run goes on with other devices than at its last start, or "".

    Args:
        run: The run, with the record of its last start.
        devices: The devices in words, such as "CPU, 2 cores".
        precision: "float32", "bfloat16" or "float16".
        norm: Kind of normalisation layers; None for a network without the option.
    """
    if not run.environment_file.exists():
        return ""
    before = read_json(run.environment_file, what=str(run.folder))
    old_devices, old_precision = before.get("devices"), before.get("precision")
    if (old_devices, old_precision) == (devices, precision):
        return ""
    result = "equals that without the change within rounding, not bit for bit"
    if norm == "batch" and old_devices != devices:
        result = "differs from that without the change: each device normalises its share of the batch by itself"
    if old_precision != precision:
        result = f"differs from that without the change; hardware.precision={old_precision} keeps the precision"
    return (
        f"Trained so far on {old_devices} in {old_precision}, from here on {devices} in {precision}, with the same "
        f"batches. The result {result}."
    )
