"""What `brats-unet train` prints at its end or pause, as sentences or as JSON."""

import json

from brats_unet.commands.display import Display
from brats_unet.models import checkpoint
from brats_unet.run import Run
from brats_unet.settings import Train


def print_training(display: Display, run: Run, settings: Train, state: checkpoint.State, *, validated: bool) -> None:
    """Print what a finished training reached, and the next command."""
    validations = run.journal("validation")
    last_dice = validations[-1]["dice"] if validated and validations else None
    if settings.json:
        best = {"best_mean_dice": state.best, "best_patch_dice": None}  # whole volumes chose
        if state.running_mean is not None:
            best = {"best_mean_dice": None, "best_patch_dice": state.best}  # patches chose
        result = {"run": str(run.folder), "step": state.step, "dice": last_dice, **best}
        print(json.dumps({**result, "left_out_steps": state.left_out, "notes": display.notes}, indent=2))
        return
    left_out = f", but left out {', '.join(map(str, state.left_out))} (loss or gradient not finite)"
    display.log(f"Trained {state.step} steps{left_out if state.left_out else ''}: {run.folder}")
    if validated:
        display.log(f"Next: brats-unet evaluate run={run.folder}")
    else:
        display.log(f"Next: brats-unet predict run={run.folder} input=… output=…")


def print_pause(display: Display, run: Run, settings: Train, state: checkpoint.State) -> None:
    """Print where a training pauses, and how it goes on."""
    if settings.json:
        print(
            json.dumps({"run": str(run.folder), "step": state.step, "paused": True, "notes": display.notes}, indent=2)
        )
        return
    display.log(f"Paused at step {state.step} of {settings.steps}: {run.folder}")
    display.log("The same command without until= goes on.")
