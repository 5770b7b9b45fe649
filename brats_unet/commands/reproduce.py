"""`brats-unet reproduce run=…`: repeat a training, and say whether it came out the same."""

import io
import json
from contextlib import nullcontext, redirect_stdout
from pathlib import Path

from brats_unet.assembly.reproduction import Reproduction, compared, settings_to_repeat
from brats_unet.commands import train
from brats_unet.errors import SettingsError, some
from brats_unet.report.console import PlainConsole, plain_table
from brats_unet.run import Run
from brats_unet.settings import Reproduce
from brats_unet.stopping import StopRequest


def main(settings: Reproduce, stop: StopRequest) -> int:
    """Repeat a training and compare; exit code 0 if it matched to the bit, 1 if not.

    Raises:
        Interrupted: A stop was requested; the same command continues.
        SettingsError: The run is not done, or cannot be repeated by this version.
        CheckpointError: `run` is not a run folder, or a file of it cannot be read.
        DataError, MachineError: As `train`.
    """
    run = Run(Path(settings.run))
    output = Path(settings.output) if settings.output is not None else run.folder.with_name(f"{run.folder.name}-again")
    if output.resolve() == run.folder.resolve():
        raise SettingsError(f"output={output} is the run itself. Give another folder.")
    repeated = settings_to_repeat(run, output, root=settings.data.root, cache=settings.data.cache, json=settings.json)
    stop.within_seconds = repeated.checkpoint.stop_seconds
    with redirect_stdout(io.StringIO()) if settings.json else nullcontext():  # one JSON document, that of this command
        train.main(repeated, stop)
    found = compared(run, Run(output))
    if settings.json:
        print(json.dumps(found.as_json(), indent=2, ensure_ascii=False))
    else:
        print_reproduction(PlainConsole(), found, by_time=repeated.minutes is not None)
    return 0 if found.matched else 1


def print_reproduction(console: PlainConsole, found: Reproduction, *, by_time: bool) -> None:
    """Print what a repetition found.

    Args:
        console: Where to print.
        found: What it found.
        by_time: Whether the training ended after a time, so that its number of steps is not fixed.
    """
    if found.matched:
        console.print(
            f"Matched to the bit: {found.steps[0]} steps, {found.tensors} tensors, and the Dice of the held-out cases.",
            soft_wrap=True,
        )
    else:
        console.print(f"{found.again} is not equal to {found.run}.", soft_wrap=True)
        table = plain_table("")
        for column in ("", "then", "now"):
            table.add_column(column, justify="left" if not column else "right", overflow="fold")
        table.add_row("steps", *map(str, found.steps))
        if (first := found.first_loss) is not None:
            table.add_row(
                f"loss of step {first.step}, the first that differs", f"{first.before:.9g}", f"{first.now:.9g}"
            )
        for region, values in found.dice.items():
            table.add_row(f"held-out Dice {region}", *("–" if one is None else f"{one:.4f}" for one in values))
        console.print(table)
        if found.differing:
            console.print(
                f"{found.differing} of {found.tensors} tensors of the checkpoint differ, up to {found.largest:.2g}.",
                soft_wrap=True,
            )
        if by_time:
            console.print(
                "The training ended after a time (minutes=…): its steps depend on the machine.", soft_wrap=True
            )
    if found.cases:
        console.print(f"Cases that differ: {some(found.cases)}.", soft_wrap=True)
    for name, (before, now) in found.around.items():
        console.print(f"{name}: {before} then, {now} now", soft_wrap=True)
    if not (found.matched or found.cases or found.around or by_time):
        console.print(
            "Data, versions and machine are the same: the arithmetic is not repeatable here, as on most GPUs.",
            soft_wrap=True,
        )
