"""The state that a training goes on from: its newest whole checkpoint, and whether the devices are others."""

from collections.abc import Callable

import keras

from brats_unet.errors import SettingsError
from brats_unet.json_files import without_hashes
from brats_unet.models import checkpoint
from brats_unet.parts import options_of
from brats_unet.run import Run
from brats_unet.settings import Train
from brats_unet.training.averaging import Average
from brats_unet.training.last_checkpoints import restore_newest, set_aside
from brats_unet.training.optimizers import Optimizer
from brats_unet.training.step import LossScale
from brats_unet.training.strategy import Devices


def restored(
    run: Run,
    settings: Train,
    devices: Devices,
    model: keras.Model,
    optimizer: Optimizer,
    average: Average | None,
    loss_scale: LossScale | None,
    log: Callable[[str], None],
) -> checkpoint.State:
    """Restore the newest checkpoint that is whole.

    Damaged ones are set aside, with a warning that names them; other devices than at the last start are mentioned,
    and files of an earlier version.

    Returns:
        Its state, or that of step 0 if there is none.

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
    if warning:
        log(warning)
    devices.workers.gather("checkpoint read", None)
    if run.writes:
        set_aside(run, damaged)
    if loss_scale is not None:
        loss_scale.restore(state.loss_scale)
    if state.step:
        if run.recipe_file.is_file() and (sentence := without_hashes([run.recipe_file])):
            log(sentence)
        tell_other_devices(run, settings, devices, log)
    return state


def tell_other_devices(run: Run, settings: Train, devices: Devices, log: Callable[[str], None]) -> None:
    """Say so in one sentence if a run goes on with other devices than at its last start, and what that changes.

    Args:
        run: The run, with the record of its last start.
        settings: Settings of this start.
        devices: Devices of this start.
        log: Called with the sentence.
    """
    if not run.environment_file.exists():
        return
    before = run.environment()
    old_devices, old_precision = before.get("devices"), before.get("precision")
    if (old_devices, old_precision) == (devices.description, devices.precision):
        return
    result = "equals that without the change within rounding, not bit for bit"
    own_statistics = options_of(settings.model).get("norm") == "batch" and not settings.hardware.synchronized_norm
    if own_statistics and old_devices != devices.description:
        result = "differs from that without the change: each device normalises its share of the batch by itself"
    if old_precision != devices.precision:
        result = f"differs from that without the change; hardware.precision={old_precision} keeps the precision"
    log(
        f"Trained so far on {old_devices} in {old_precision}, from here on {devices.description} in "
        f"{devices.precision}, with the same batches. The result {result}."
    )
